"""
The simulator's own HTTP verbs, under `/simulator/v1/`: faults on demand, writes, and the oracle for tests.

`control.py` is their client. A verb is `POST /simulator/v1/VERB` with a JSON object; an unknown resource or a
wrong value is answered with 400 and one line.
"""

import asyncio
import base64
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from aiohttp import web

from simulator.clients import ClientFilter, Holds
from simulator.errors import SimulatorError
from simulator.etcd import Etcd
from simulator.faults import ExpiryShape, Failure, Faults, WatchListMode
from simulator.kubelets.serving import Kubelets
from simulator.load import Load
from simulator.placing import Placing
from simulator.requests import RequestCounts
from simulator.resource import Resource
from simulator.statuses import status
from simulator.streams import Action, Doing, Streams
from simulator.tokens import ServiceAccountToken, Tokens
from simulator.versions import Object
from simulator.watchcache import WatchCaches

PREFIX = "/simulator/v1"

Arguments = Mapping[str, Any]
Verb = Callable[[Arguments], Object]


class Verbs:
    """Carries out verbs on the parts of one pretend cluster."""

    def __init__(
        self,
        *,
        etcd: Etcd,
        caches: WatchCaches,
        faults: Faults,
        streams: Streams,
        counts: RequestCounts,
        load: Load,
        tokens: Tokens,
        holds: Holds,
        placing: Placing,
        kubelets: Kubelets,
    ) -> None:
        self._etcd = etcd
        self._caches = caches
        self._faults = faults
        self._streams = streams
        self._counts = counts
        self._load = load
        self._tokens = tokens
        self._holds = holds
        self._kubelets = kubelets
        self._verbs: Mapping[str, Verb] = {
            "drop": self._drop,
            "freeze": lambda a: self._do(a, Action(Doing.FREEZE)),
            "end": lambda a: self._do(a, Action(Doing.END)),
            "bookmark": lambda a: self._do(a, Action(Doing.BOOKMARK)),
            "send": lambda a: self._do(a, Action(Doing.SEND, base64.b64decode(a["base64"]))),
            "error": self._error,
            "expire": self._expire,
            "fail": self._fail,
            "watchlist": self._watchlist,
            "forbid": self._forbid,
            "restore": self._restore,
            "compact": self._compact,
            "delay": self._delay,
            "lose-deletes": self._lose_deletes,
            "oversized": self._oversized,
            "custom": self._custom,
            "mend": self._mend,
            "load": self._set_load,
            "create": lambda a: etcd.create(a["resource"], a["object"], manager=a["manager"]),
            "update": lambda a: etcd.update(
                a["resource"], a["object"], manager=a["manager"], subresource=a.get("subresource", "")
            ),
            "delete": lambda a: etcd.delete(a["resource"], a.get("namespace", ""), a["name"]),
            "token": self._token,
            "revoke-token": self._revoke_token,
            "hold-client": self._hold_client,
            "release-client": self._release_client,
            "forget-requests": self._forget_requests,
            **placing.verbs,
            **kubelets.verbs,
        }

    def routes(self) -> list[web.RouteDef]:
        """Return the routes of all verbs and views."""
        return [
            web.get(f"{PREFIX}/history", self._history),
            web.get(f"{PREFIX}/state", self._state),
            web.get(f"{PREFIX}/requests", self._requests),
            web.post(PREFIX + "/{verb}", self._handle),
        ]

    async def _handle(self, request: web.Request) -> web.Response:
        verb = self._verbs.get(request.match_info["verb"])
        if verb is None:
            return web.Response(status=404, text=f"there is no verb {request.match_info['verb']!r}\n")
        try:
            answer = verb(msgspec.json.decode(await request.read() or b"{}"))
        except (KeyError, ValueError, TypeError, SimulatorError) as error:
            return web.Response(status=400, text=f"{type(error).__name__}: {error}\n")
        self._etcd.flush()
        return web.Response(body=msgspec.json.encode(answer), content_type="application/json")

    def _resource(self, arguments: Arguments) -> Resource | None:
        """Return the resource named; None stands for all."""
        name = arguments.get("resource")
        return None if name in (None, "*") else self._etcd.table.find(name)

    def _do(self, arguments: Arguments, action: Action) -> Object:
        clients = _clients(arguments)
        streams = self._streams.of(self._resource(arguments), arguments.get("count"), clients=clients)
        for stream in streams:
            stream.do(action)
        return {"streams": len(streams)}

    def _drop(self, arguments: Arguments) -> Object:
        where = arguments.get("where", "now")
        return self._do(arguments, Action({"now": Doing.DROP, "line": Doing.CUT}[where]))

    def _error(self, arguments: Arguments) -> Object:
        error = status(
            arguments.get("code", 500),
            arguments.get("message", "etcdserver: request timed out"),
            arguments.get("reason", "InternalError"),
        )
        return self._do(arguments, Action(Doing.SEND_AND_END, error.error_line))

    def _expire(self, arguments: Arguments) -> Object:
        resource = self._resource(arguments)
        self._faults.shapes[resource] = ExpiryShape(arguments.get("shape", "stream"))
        # One more revision, so that even a client which is up to date finds its version expired.
        floor = self._etcd.touch()
        self._etcd.flush()
        for cache in self._caches.matching(resource):
            cache.expire(floor)
        if arguments.get("drop", True):
            self._do(arguments, Action(Doing.DROP))
        return {"revision": floor}

    def _fail(self, arguments: Arguments) -> Object:
        self._faults.failures.append(
            Failure(
                resource=self._resource(arguments),
                verb=arguments.get("verb", "*"),
                code=arguments.get("code", 500),
                count=arguments.get("count", 1),
                retry_after_seconds=arguments.get("retryAfterSeconds", 1),
                hang=arguments.get("hang", False),
            ),
        )
        return {}

    def _watchlist(self, arguments: Arguments) -> Object:
        self._faults.watchlist[self._resource(arguments)] = WatchListMode(arguments["mode"])
        return {}

    def _forbid(self, arguments: Arguments) -> Object:
        rule = self._resource(arguments), arguments.get("verb", "*")
        (self._faults.forbidden.add if arguments.get("on", True) else self._faults.forbidden.discard)(rule)
        return {}

    def _restore(self, arguments: Arguments) -> Object:
        self._etcd.restore(arguments["revision"])
        return {"revision": self._etcd.revision, "era": self._etcd.era}

    def _compact(self, arguments: Arguments) -> Object:
        self._etcd.compact(arguments.get("revision") or self._etcd.revision)
        for cache in self._caches.matching(None):
            if not cache.resource.cached:
                cache.expire(self._etcd.compacted)
        return {"revision": self._etcd.compacted}

    def _delay(self, arguments: Arguments) -> Object:
        for cache in self._caches.matching(self._resource(arguments)):
            if arguments["seconds"] > 0:
                cache.delay_seconds = arguments["seconds"]
            else:
                cache.hurry()
        return {}

    def _lose_deletes(self, arguments: Arguments) -> Object:
        for cache in self._caches.matching(self._resource(arguments)):
            cache.deletes_to_lose = arguments.get("count", 1)
        return {}

    def _oversized(self, arguments: Arguments) -> Object:
        obj = {
            "metadata": {
                "name": arguments.get("name", "oversized"),
                "namespace": arguments.get("namespace", "default"),
                "annotations": {"padding": "x" * arguments.get("bytes", 6 * 1024 * 1024)},
            },
        }
        created = self._etcd.create(arguments.get("resource", "configmaps"), obj, manager="kubectl-create")
        return {"uid": created["metadata"]["uid"], "resourceVersion": created["metadata"]["resourceVersion"]}

    def _custom(self, arguments: Arguments) -> Object:
        self._etcd.table.switch(arguments["group"], on=arguments.get("on", True))
        return {}

    def _mend(self, _: Arguments) -> Object:
        self._faults.clear()
        self._holds.release()
        self._kubelets.mend()
        for cache in self._caches.matching(None):
            cache.hurry()
            cache.deletes_to_lose = 0
        return {}

    def _set_load(self, arguments: Arguments) -> Object:
        if "rate" in arguments:
            self._load.rate = arguments["rate"]
        self._load.change(arguments.get("changes", 0))
        return {"rate": self._load.rate, "changes": self._load.changes}

    def _token(self, arguments: Arguments) -> Object:
        claims = {key: value for key, value in arguments.items() if key != "lifetimeSeconds"}
        token = msgspec.convert(claims, ServiceAccountToken)
        registered = self._tokens.register(token, lifetime_seconds=arguments.get("lifetimeSeconds"))
        return {"username": registered.username, "uid": registered.uid, "extra": registered.extra}

    def _revoke_token(self, arguments: Arguments) -> Object:
        self._tokens.revoke(arguments["token"])
        return {}

    def _hold_client(self, arguments: Arguments) -> Object:
        clients = _clients(arguments)
        self._holds.hold(clients)
        return {"streams": len(self._streams.of(None, clients=clients))}

    def _release_client(self, arguments: Arguments) -> Object:
        clients = _clients(arguments)
        self._holds.release(None if clients.is_empty else clients)
        return {}

    def _forget_requests(self, _: Arguments) -> Object:
        self._counts.clear()
        return {}

    async def _history(self, request: web.Request) -> web.StreamResponse:
        """Every write, as NDJSON: the oracle."""
        self._etcd.flush()
        wanted = request.query.get("resource")
        name = self._etcd.table.find(wanted).name if wanted else ""
        mark = f',"resource":"{name}",'.encode()
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        for block in self._etcd.history.blocks():
            lines = block if not name else b"".join(line for line in block.splitlines(keepends=True) if mark in line)
            if lines:
                await response.write(lines)
            await asyncio.sleep(0)  # a long history must not hold up the watches
        await response.write_eof()
        return response

    async def _state(self, _: web.Request) -> web.Response:
        etcd = self._etcd
        document = {
            "revision": etcd.revision,
            "era": etcd.era,
            "compacted": etcd.compacted,
            "objects": {
                resource.name: len(state) for resource in etcd.table.served() if (state := etcd.state(resource))
            },
            "floors": {cache.resource.name: cache.floor for cache in self._caches.matching(None) if cache.floor},
            "watches": [
                {
                    "resource": stream.resource.name,
                    "sentEvents": stream.sent_events,
                    "fieldSelector": stream.client.field_selector,
                    "userAgent": stream.client.user_agent,
                }
                for stream in self._streams.of(None)
            ],
            "held": self._holds.waiting,
            "load": {"rate": self._load.rate, "changes": self._load.changes},
        }
        return web.Response(body=msgspec.json.encode(document), content_type="application/json")

    async def _requests(self, request: web.Request) -> web.Response:
        rows = self._counts.detailed() if "detailed" in request.query else self._counts.rows()
        return web.Response(body=msgspec.json.encode({"requests": rows}), content_type="application/json")


def _clients(arguments: Arguments) -> ClientFilter:
    return ClientFilter(
        token=arguments.get("token", ""),
        user_agent=arguments.get("userAgent", ""),
        field_selector=arguments.get("fieldSelector", ""),
    )
