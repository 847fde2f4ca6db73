"""
`GET …/pods/NAME/log` of the pretend API server, from the log files of the pretend nodes.

As the API server (pkg/registry/core/pod/strategy.go, LogLocation) and the kubelet (validateContainerLogStatus) answer.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from aiohttp import web

from simulator import statuses
from simulator.etcd import Etcd
from simulator.logs.folder import LogFolder
from simulator.logs.lines import LineReader, Wanted
from simulator.logs.podviews import ContainerView, PodView, pod_view
from simulator.logs.records import NANOS
from simulator.logs.writer import LogOf

POLL_SECONDS = 0.1
"""Between two looks at a file that is followed."""


class PodLogAnswers:
    """Answers requests for logs; *folder* is None where no log files are written."""

    def __init__(self, etcd: Etcd, folder: LogFolder | None) -> None:
        self._etcd = etcd
        self._folder = folder

    async def answer(self, request: web.Request, namespace: str, name: str) -> web.StreamResponse:
        """Answer one request. Raises ApiError."""
        view = self._pod(namespace, name)
        response = web.StreamResponse(headers={"Content-Type": "text/plain"})
        if view is None:
            # A pod without a node has no log: the API server answers nothing at all.
            await response.prepare(request)
            return response
        container = _container(view, request.query.get("container", ""))
        path = self._file(view, container, is_previous=_flag(request.query, "previous"))
        reader = LineReader(path, _wanted(request.query, self._etcd.stamp))
        is_followed = _flag(request.query, "follow")
        await response.prepare(request)
        while True:
            is_over = not is_followed or not self._is_current(view, container)
            if text := reader.read():
                await response.write(text)
            if is_over or reader.is_full:
                return response
            await asyncio.sleep(POLL_SECONDS)

    def _pod(self, namespace: str, name: str) -> PodView | None:
        version = self._etcd.version(self._etcd.table.find("pods"), namespace, name)
        if version is None:
            raise statuses.not_found("", "pods", name)
        return pod_view(version.body)

    def _is_current(self, view: PodView, container: ContainerView) -> bool:
        """Tell whether the instance that is followed still runs."""
        version = self._etcd.version(self._etcd.table.find("pods"), view.namespace, view.name)
        now = pod_view(version.body) if version is not None else None
        if now is None or now.uid != view.uid:
            return False
        return any(
            each.name == container.name and each.instance == container.instance and each.is_running
            for each in now.containers
        )

    def _file(self, view: PodView, container: ContainerView, *, is_previous: bool) -> Path:
        named = f'container "{container.name}" in pod "{view.name}"'
        if not container.is_running and not container.has_ended:
            raise statuses.bad_request(f"{named} is waiting to start: {container.waiting_reason}")
        instance = container.instance
        if is_previous:
            # While a container waits for its restart, the one that ended last is the previous one.
            instance -= 0 if container.waiting_reason else 1
            if instance < 0 or not container.has_predecessor:
                raise statuses.bad_request(f"previous terminated {named} not found")
        if self._folder is None:
            address = f'Get "https://{view.node}:10250/containerLogs/{view.namespace}/{view.name}/{container.name}"'
            raise statuses.internal_error(f"{address}: dial tcp: connect: connection refused")
        of = LogOf(namespace=view.namespace, pod=view.name, uid=view.uid, container=container.name)
        return of.folder(self._folder.of_node(view.node)) / f"{instance}.log"


def _container(view: PodView, name: str) -> ContainerView:
    if not name and len(view.container_names) > 1:
        names = " ".join(view.container_names)
        raise statuses.bad_request(f"a container name must be specified for pod {view.name}, choose one of: [{names}]")
    if name and name not in view.container_names:
        raise statuses.bad_request(f"container {name} is not valid for pod {view.name}")
    wanted = name or next(iter(view.container_names), "")
    found = next((container for container in view.containers if container.name == wanted), None)
    if found is None:
        named = f'container "{wanted}" in pod "{view.name}"'
        raise statuses.bad_request(f"{named} is waiting to start: ContainerCreating")
    return found


def _wanted(query: Mapping[str, str], now: str) -> Wanted:
    since = _time(query.get("sinceTime", ""))
    if (seconds := _number(query, "sinceSeconds")) is not None:
        since = _time(now) - seconds * NANOS
    return Wanted(
        tail_lines=_number(query, "tailLines"),
        since_ns=since,
        timestamps=_flag(query, "timestamps"),
        limit_bytes=_number(query, "limitBytes"),
    )


def _number(query: Mapping[str, str], name: str) -> int | None:
    text = query.get(name, "")
    if not text:
        return None
    if not text.isdigit():
        raise statuses.bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    return int(text)


def _flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "false").lower() not in {"false", "0"}


def _time(text: str) -> int:
    if not text:
        return 0
    try:
        return int(datetime.fromisoformat(text).timestamp()) * NANOS
    except ValueError as error:
        raise statuses.bad_request(f'parsing time "{text}"') from error
