"""Pods in a journal that is a list, and nodes with real files whose agents are asked without a link."""

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from agent.lines.answering import LineReader
from aggregator.errors import RequestFailed
from aggregator.records import ObjectQuery, Page, RecordQuery
from kubescribe.lines.scrubbing import Scrubber
from kubescribe.wire.times import to_rfc3339

START = 1_767_323_045_000_000_000
SECOND = 10**9
NOW = START + 1_000 * SECOND


class PodJournal:
    """The readers' half, as far as lines need it."""

    def __init__(self) -> None:
        self.items: list[dict[str, Any]] = []
        self.gap_items: list[dict[str, Any]] = []
        self.asked: list[RecordQuery] = []

    def pod(
        self,
        name: str,
        node: str,
        *,
        workload: str = "checkout",
        kind: str = "ReplicaSet",
        gone_at: float = 0,
        has_run: bool = True,
        latest: Mapping[str, tuple[int, int]] | None = None,
    ) -> str:
        """
        Add a pod of a Deployment (or of another owner); return its uid.

        *latest* tells of each container how often it was restarted and when the last time was, ns.
        """
        uid = f"uid-{name}"
        owner = f"{workload}-5d8f7c9b6" if kind == "ReplicaSet" else workload
        meta = {
            "name": name,
            "namespace": "shop",
            "uid": uid,
            "labels": {"pod-template-hash": "5d8f7c9b6"},
            "ownerReferences": [{"kind": kind, "name": owner, "controller": True}],
        }
        at = to_rfc3339(START + int(gone_at * SECOND))
        state = {"running": {}} if has_run else {"waiting": {"reason": "ImagePullBackOff"}}
        statuses: list[dict[str, Any]] = [
            {"name": name, "restartCount": restart, "state": {"running": {"startedAt": to_rfc3339(began_at)}}}
            for name, (restart, began_at) in (latest or {}).items()
        ]
        status = {"containerStatuses": statuses or [{"name": "app", "state": state, "restartCount": 0}]}
        body = {
            "metadata": meta,
            "status": status,
            "spec": {"nodeName": node, "containers": [{"name": "app", "image": "app:1"}]},
        }
        self.items = [it for it in self.items if it["uid"] != uid]
        self.items.append(
            {
                "kind": "Pod",
                "namespace": "shop",
                "name": name,
                "uid": uid,
                "node": node or None,
                "gone": bool(gone_at),
                "observedAt": at,
                "body": body,
            }
        )
        return uid

    async def objects(self, query: ObjectQuery) -> Page:
        found = [
            it
            for it in self.items[query.after :]
            if (not query.namespace or it["namespace"] == query.namespace)
            and (not query.name or it["name"] == query.name)
            and query.q in it["name"]
            and (query.include_deleted or not it["gone"])
        ]
        return Page(items=[json.dumps(it).encode() for it in found], last=None)

    async def object(self, uid: str, at: int | None = None) -> bytes | None:  # noqa: ARG002
        return next((json.dumps(it).encode() for it in self.items if it["uid"] == uid), None)

    async def gaps(self, query: RecordQuery, *, open_or_lost_only: bool = False) -> Page:  # noqa: ARG002
        self.asked.append(query)
        begin = query.after or 0
        items = self.gap_items[begin : begin + query.limit]
        more = begin + query.limit < len(self.gap_items)
        return Page(items=[json.dumps(it).encode() for it in items], last=begin + query.limit if more else None)


class Node:
    """A node: its files, and its agent as a session; `away` it fails."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.agent = f"node/{name}"
        self.folder = folder
        self.reader = LineReader(folder, Scrubber())
        self.away = False
        self.requests = 0
        self.under_way = 0

    def write(self, pod: str, at: float, text: str, *, restart: int = 0, container: str = "app") -> None:
        self.write_at(START + int(at * SECOND), pod, text, restart=restart, container=container)

    def write_at(self, at: int, pod: str, text: str, *, restart: int = 0, container: str = "app") -> None:
        folder = self.folder / f"shop_{pod}_uid-{pod}" / container
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{restart}.log").open("ab") as file:
            file.write(f"{to_rfc3339(at)} stdout F {text}\n".encode())

    async def request(
        self,
        verb: str,
        arguments: bytes = b"",
        deadline_seconds: float = 10.0,  # noqa: ARG002
    ) -> AsyncIterator[bytes]:
        assert verb == "lines"
        self.requests += 1
        self.under_way += 1
        answer = self.reader.handle(arguments)
        try:
            if self.away:
                raise RequestFailed("lines: the agent is gone")
            async for payload in answer:
                yield payload
                if self.away:
                    raise RequestFailed("lines: the agent is gone")
        finally:
            self.under_way -= 1
            await answer.aclose()


class Fleet:
    """The agents that are connected."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.nodes: dict[str, Node] = {}
        self.connected: set[str] = set()

    def node(self, name: str) -> Node:
        node = self.nodes[name] = Node(name, self._folder / name)
        self.connected.add(name)
        return node

    def reading(self, node: str) -> Node | None:
        return self.nodes[node] if node in self.connected else None

    def close(self) -> None:
        for node in self.nodes.values():
            node.reader.close()
