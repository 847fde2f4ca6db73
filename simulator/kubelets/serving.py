"""
The kubelets' own port, the API server's proxy to it, and metrics.k8s.io: routes over one store, and their verbs.

A kubelet is `…/simulator/kubelets/NODE`, in place of `https://NODE:10250`; what lies below is what it serves.
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import msgspec
from aiohttp import web

from simulator import statuses
from simulator.etcd import Etcd
from simulator.kubelets.documents import node_metrics, pod_metrics, summary_of
from simulator.kubelets.nonsense import NONSENSE
from simulator.requests import RequestCounts
from simulator.versions import Object

Arguments = Mapping[str, Any]

_METRICS = "/apis/metrics.k8s.io/v1beta1"
_HOWS = (*NONSENSE, "hang", "forbidden", "")


class Kubelets:
    """All kubelets, and the metrics server, of one pretend cluster."""

    def __init__(self, etcd: Etcd, counts: RequestCounts, *, clock: Callable[[], float] = time.time) -> None:
        self._etcd = etcd
        self._counts = counts
        self._clock = clock
        self._spoiled: dict[str, str] = {}
        self._booted: dict[str, float] = {}
        self.is_away = False
        """No metrics server: metrics.k8s.io is not served."""

    @property
    def verbs(self) -> Mapping[str, Callable[[Arguments], Object]]:
        """The verbs by name; each takes the arguments of its request."""
        return {
            "spoil-usage": lambda a: self.spoil(a.get("node", ""), a.get("how", "")),
            "restart-kubelet": lambda a: self.restart(a["node"]),
            "metrics-server": lambda a: self._serve(is_served=a.get("on", True)),
        }

    def spoil(self, node: str, how: str) -> Object:
        """Let the kubelet of *node* ("": metrics.k8s.io) talk nonsense; *how* "" ends it. ValueError: not known."""
        if how not in _HOWS:
            raise ValueError(f"no such nonsense: {how!r}; there are {', '.join(_HOWS)}")
        self._spoiled[node] = how
        return {}

    def restart(self, node: str) -> Object:
        """Let the counters of the node itself begin anew."""
        self._booted[node] = self._clock()
        return {}

    def mend(self) -> None:
        """End all nonsense."""
        self._spoiled.clear()
        self.is_away = False

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [
            web.get("/simulator/kubelets/{node}/stats/summary", self._summary),
            web.get("/api/v1/nodes/{node}/proxy/stats/summary", self._summary),
            web.get(f"{_METRICS}/pods", self._pod_metrics),
            web.get(_METRICS + "/namespaces/{namespace}/pods", self._pod_metrics),
            web.get(f"{_METRICS}/nodes", self._node_metrics),
        ]

    def _serve(self, *, is_served: bool) -> Object:
        self.is_away = not is_served
        return {}

    async def _summary(self, request: web.Request) -> web.Response:
        name = request.match_info["node"]
        node = self._etcd.get("nodes", "", name)
        if node is None:
            raise statuses.not_found("", "nodes", name)
        return await self._answer(name, self._summary_of(node, self._pods_of(name)))

    async def _pod_metrics(self, request: web.Request) -> web.Response:
        self._note("pods")
        pods = self._etcd.list("pods", request.match_info.get("namespace", ""))
        return await self._answer("", pod_metrics(pods, now=self._clock()))

    async def _node_metrics(self, _: web.Request) -> web.Response:
        self._note("nodes")
        summaries = [self._summary_of(node, self._pods_of(node["metadata"]["name"])) for node in self._nodes()]
        return await self._answer("", node_metrics(summaries, now=self._clock()))

    def _note(self, plural: str) -> None:
        if self.is_away:
            raise statuses.no_such_path()
        self._counts.note(f"{plural}.metrics.k8s.io", "list", {})

    async def _answer(self, who: str, document: Object) -> web.Response:
        how = self._spoiled.get(who, "")
        if how == "hang":
            await asyncio.Event().wait()  # until the client gives up
        if how == "forbidden":
            raise statuses.forbidden("system:serviceaccount:test", "get", "", "nodes", namespace="", name=who)
        body = NONSENSE[how](document) if how else msgspec.json.encode(document)
        return web.Response(body=body, content_type="application/json")

    def _nodes(self) -> list[Object]:
        return self._etcd.list("nodes")

    def _pods_of(self, node: str) -> list[Object]:
        return [pod for pod in self._etcd.list("pods") if pod["spec"].get("nodeName") == node]

    def _summary_of(self, node: Object, pods: list[Object]) -> Object:
        created = datetime.fromisoformat(node["metadata"]["creationTimestamp"]).timestamp()
        claims = {
            (claim["metadata"]["namespace"], claim["metadata"]["name"]): claim["spec"]["resources"]["requests"][
                "storage"
            ]
            for claim in self._etcd.list("persistentvolumeclaims")
        }
        booted_at = self._booted.get(node["metadata"]["name"], created)
        return summary_of(node, pods, now=self._clock(), booted_at=booted_at, claims=claims)
