"""The client of the simulator's verbs, for tests and benches. One method a verb; `verbs.py` is the other end."""

import asyncio
import base64
import io
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import aiohttp
import msgspec

from simulator.errors import SimulatorError
from simulator.history import Record, record_of

Object = dict[str, Any]

_POLL_SECONDS = 0.005
_TIMEOUT = aiohttp.ClientTimeout(total=30)


class VerbRefused(SimulatorError):
    """The pretend cluster answered a verb with an error."""


class Control:
    """
    Drives a pretend cluster over HTTP. An async context manager; faults last until used up, or until `mend`.

    `resource` is a plural ("pods", "deployments.apps") or None for all; `count` limits to the oldest open watches,
    `user_agent` (its beginning) and `field_selector` to those of a client.
    """

    def __init__(self, url: str, token: str = "") -> None:
        self.url = url
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._headers = headers
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=_TIMEOUT)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    # Open watches

    async def drop(
        self,
        resource: str | None = None,
        *,
        where: str = "now",
        count: int | None = None,
        user_agent: str = "",
        field_selector: str = "",
    ) -> int:
        """Drop open watches: "now", or in the middle of their next "line"; return how many there were."""
        whose = {"userAgent": user_agent, "fieldSelector": field_selector}
        return int((await self.verb("drop", resource=resource, where=where, count=count, **whose))["streams"])

    async def freeze(
        self,
        resource: str | None = None,
        *,
        count: int | None = None,
        user_agent: str = "",
        field_selector: str = "",
    ) -> int:
        """Half-open: keep the connections, send nothing ever again."""
        whose = {"userAgent": user_agent, "fieldSelector": field_selector}
        return int((await self.verb("freeze", resource=resource, count=count, **whose))["streams"])

    async def end(self, resource: str | None = None, *, count: int | None = None) -> int:
        """End open watches cleanly, as their timeout would."""
        return int((await self.verb("end", resource=resource, count=count))["streams"])

    async def bookmark(self, resource: str | None = None) -> int:
        """Have open watches say their version now, as they do each minute: nobody has to wait for it."""
        return int((await self.verb("bookmark", resource=resource))["streams"])

    async def send(self, resource: str | None, data: str | bytes) -> int:
        """Send bytes as they are into open watches: a line that is no JSON, say; the newline is yours."""
        encoded = base64.b64encode(data.encode() if isinstance(data, str) else data).decode()
        return int((await self.verb("send", resource=resource, base64=encoded))["streams"])

    async def error(self, resource: str | None = None, *, code: int = 500, reason: str = "InternalError") -> int:
        """Send an ERROR into open watches and end them."""
        return int((await self.verb("error", resource=resource, code=code, reason=reason))["streams"])

    # Coming requests

    async def expire(self, resource: str | None = None, *, shape: str = "stream", drop: bool = True) -> int:
        """
        Expire all versions up to now, and drop the open watches; return the oldest version that is served.

        Shapes: "stream" (HTTP 200, ERROR 410), "http" (status 410), "empty" (HTTP 200 and an immediate end).
        """
        return int((await self.verb("expire", resource=resource, shape=shape, drop=drop))["revision"])

    async def fail(
        self, resource: str | None = None, *, verb: str = "*", code: int = 500, count: int = 1, retry_after: int = 1
    ) -> None:
        """Answer the next *count* requests (list, watch, get) with 429, 500, 502 (HTML), 503 …."""
        await self.verb("fail", resource=resource, verb=verb, code=code, count=count, retryAfterSeconds=retry_after)

    async def hang(self, resource: str | None = None, *, verb: str = "*", count: int = 1) -> None:
        """Never answer the next *count* requests."""
        await self.verb("fail", resource=resource, verb=verb, count=count, hang=True)

    async def watchlist(self, mode: str, resource: str | None = None) -> None:
        """Set WatchList to "allowed", "gate-off" (422, EKS 1.33) or "no-progress" (ERROR 500, etcd 3.4)."""
        await self.verb("watchlist", resource=resource, mode=mode)

    async def forbid(self, resource: str | None = None, *, verb: str = "*", on: bool = True) -> None:
        """Answer 403, or stop doing so."""
        await self.verb("forbid", resource=resource, verb=verb, on=on)

    # The store and its caches

    async def restore(self, revision: int) -> int:
        """Bring back the state at an older revision; all connections die. Return the new era."""
        return int((await self.verb("restore", revision=revision))["era"])

    async def compact(self, revision: int | None = None) -> int:
        """Compact the store: older continue tokens and Event watches expire."""
        return int((await self.verb("compact", revision=revision))["revision"])

    async def delay(self, seconds: float, resource: str | None = None) -> None:
        """Let the watch caches lag; 0 ends it at once."""
        await self.verb("delay", resource=resource, seconds=seconds)

    async def lose_deletes(self, resource: str, count: int = 1) -> None:
        """Let the watch cache miss the next *count* deletes for good."""
        await self.verb("lose-deletes", resource=resource, count=count)

    async def oversized(
        self, resource: str = "configmaps", *, name: str = "oversized", size: int = 6 * 2**20
    ) -> Object:
        """Create an object of *size* bytes; return its uid and resourceVersion."""
        return await self.verb("oversized", resource=resource, name=name, bytes=size)

    async def custom(self, group: str, *, on: bool = True) -> None:
        """Serve the custom resources of a group, or stop."""
        await self.verb("custom", group=group, on=on)

    async def mend(self) -> None:
        """End all faults that still last."""
        await self.verb("mend")

    async def load(self, rate: float | None = None, *, changes: int = 0) -> Object:
        """Set the load's rate (pod changes a second), or make some changes at once."""
        return await self.verb("load", changes=changes, **({} if rate is None else {"rate": rate}))

    # Clients

    async def hold_client(self, *, token: str = "", user_agent: str = "", field_selector: str = "") -> int:
        """
        Let a client hang: its open watches and its new requests stay open, and nothing is done or said.

        It is told by its token, the beginning of its User-Agent or a field selector; all that are given must match.
        Return how many watches it has. A request whose client gives up before the release is never carried out.
        """
        arguments = {"token": token, "userAgent": user_agent, "fieldSelector": field_selector}
        return int((await self.verb("hold-client", **arguments))["streams"])

    async def release_client(self, *, token: str = "", user_agent: str = "", field_selector: str = "") -> None:
        """End a hold that began with the same arguments, or all of them without: what waits goes on."""
        await self.verb("release-client", token=token, userAgent=user_agent, fieldSelector=field_selector)

    async def token(
        self,
        token: str,
        *,
        namespace: str = "kubescribe",
        name: str = "kubescribe",
        audiences: Sequence[str] = (),
        lifetime_seconds: float | None = None,
        pod: str = "",
        pod_uid: str = "",
        node: str = "",
        node_uid: str = "",
    ) -> Object:
        """
        Register a ServiceAccount's token, for TokenReviews and for the API itself; return its username, uid and extra.

        Without *audiences* it is for the API. Without *pod_uid* the pod must be there, its node is claimed too, and
        the token ends with it. As on a real server it is taken for a minute longer than its lifetime.
        """
        claims = {"token": token, "namespace": namespace, "name": name, "pod_name": pod, "pod_uid": pod_uid}
        claims |= {"node_name": node, "node_uid": node_uid}
        given = {"audiences": list(audiences)} if audiences else {}
        return await self.verb("token", lifetimeSeconds=lifetime_seconds, **claims, **given)

    async def revoke_token(self, token: str) -> None:
        """Forget a token: it proves nothing any more."""
        await self.verb("revoke-token", token=token)

    # Nodes and pods

    async def bind(self, namespace: str, name: str, node: str) -> Object:
        """Bind a pod to a node as the scheduler does; return it as stored."""
        return await self.verb("bind", namespace=namespace, name=name, node=node)

    async def recreate(self, namespace: str, name: str, *, node: str | None = None) -> Object:
        """Delete a pod and create it under its name, with a new uid, on its node, another, or ("") none yet."""
        return await self.verb("recreate", namespace=namespace, name=name, node=node)

    async def node(self, name: str, *, fargate: bool = False, labels: Mapping[str, str] | None = None) -> Object:
        """Register a ready node, or one of Fargate; return it as stored."""
        return await self.verb("node", name=name, fargate=fargate, labels=dict(labels or {}))

    async def vanish(self, node: str, *, pods_after: float | None = 0.0) -> Object:
        """
        Delete a Node; its pods are collected *pods_after* seconds later, at once (0) or never (None).

        As the real pod garbage collector does it: failed, told to go, deleted; not if the node is back by then.
        """
        return await self.verb("vanish", name=node, podsAfterSeconds=pods_after)

    async def return_node(self, node: str) -> Object:
        """Bring a node that vanished back under its name, with a new uid; return it as stored."""
        return await self.verb("return-node", name=node)

    # Usage

    async def spoil_usage(self, how: str, node: str = "") -> None:
        """Let a kubelet (or metrics.k8s.io) talk nonsense of `kubelets/nonsense.py`, "hang" or be "forbidden"."""
        await self.verb("spoil-usage", node=node, how=how)

    async def restart_kubelet(self, node: str) -> None:
        """Let the counters of the node itself begin anew."""
        await self.verb("restart-kubelet", node=node)

    # Objects

    async def create(self, resource: str, obj: Object, *, manager: str = "kubectl-create") -> Object:
        """Create an object; return it as stored."""
        return await self.verb("create", resource=resource, object=obj, manager=manager)

    async def update(
        self, resource: str, obj: Object, *, manager: str = "kubectl-edit", subresource: str = ""
    ) -> Object:
        """Replace an object, or its status; return it as stored."""
        return await self.verb("update", resource=resource, object=obj, manager=manager, subresource=subresource)

    async def delete(self, resource: str, namespace: str, name: str) -> Object:
        """Delete an object; return it with the delete's resourceVersion."""
        return await self.verb("delete", resource=resource, namespace=namespace, name=name)

    # The oracle

    async def history(self, resource: str | None = None) -> list[Record]:
        """Return every write, oldest first; across restores their era tells them apart."""
        async with self._get("history", {"resource": resource} if resource else {}) as response:
            body = await response.read()
        return [record_of(line) for line in body.splitlines()]

    async def state(self) -> Object:
        """Return revision, era, counts of objects, open watches."""
        async with self._get("state", {}) as response:
            return dict(await response.json())

    async def until(self, condition: Callable[[Object], bool], *, timeout_seconds: float = 20.0) -> Object:
        """Wait until the state meets *condition*, and return it; TimeoutError when it does not in time."""
        async with asyncio.timeout(timeout_seconds):
            while True:
                state = await self.state()
                if condition(state):
                    return state
                await asyncio.sleep(_POLL_SECONDS)

    async def requests(self) -> list[Object]:
        """Return how many requests came, by resource, verb and query shape."""
        async with self._get("requests", {}) as response:
            return list((await response.json())["requests"])

    async def count(
        self, *, verb: str = "", resource: str = "", field_selector: str | None = None, user_agent: str = ""
    ) -> int:
        """Return how many requests came of a verb, a resource, a field selector, the beginning of a User-Agent."""
        return sum(
            row["count"]
            for row in await self.detailed_requests()
            if verb in ("", row["verb"])
            and resource in ("", row["resource"])
            and field_selector in (None, row["fieldSelector"])
            and row["userAgent"].startswith(user_agent)
        )

    async def detailed_requests(self) -> list[Object]:
        """Return how many requests came, by resource, verb, query shape, both selectors and User-Agent."""
        async with self._get("requests", {"detailed": "1"}) as response:
            return list((await response.json())["requests"])

    async def forget_requests(self) -> None:
        """Count requests from zero."""
        await self.verb("forget-requests")

    async def verb(self, verb: str, /, **arguments: object) -> Object:
        """Do a verb; VerbRefused with the answer's text if it cannot be done."""
        if self._session is None:
            raise VerbRefused("the control is not open")
        # From a buffer: aiohttp warns of large bodies that are bytes.
        body = io.BytesIO(msgspec.json.encode(arguments))
        async with self._session.post(f"{self.url}/simulator/v1/{verb}", data=body) as response:
            if response.status != 200:
                raise VerbRefused(f"{verb}: {response.status} {(await response.text())[:256]}")
            return dict(await response.json())

    def _get(self, view: str, query: dict[str, str]) -> Any:
        if self._session is None:
            raise VerbRefused("the control is not open")
        return self._session.get(f"{self.url}/simulator/v1/{view}", params=query)
