"""
One look at the pods of a cluster, and what is printed of it.

A plain list in pages, no watch: what is held is a page and the counts. It asks for nothing but `list` on pods.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
import structlog

from agent.errors import RequestFailed, ServerSaid, Undecodable
from agent.kube.session import ApiSession, open_session
from agent.watch.decoding import decode_list
from kubescribe.cli.preview.counting import Census, SeenPod
from kubescribe.cli.preview.printing import as_json, as_table
from kubescribe.cli.previewconfig import PreviewConfig
from kubescribe.kube.access import find_access
from kubescribe.kube.errors import AccessError
from kubescribe.labels.pods import pod_facts
from kubescribe.runtime.process import version_string

PAGE_PODS = 500
PAGE_SECONDS = 60.0
"""What a page may take: a busy API server queues requests."""

_log = structlog.get_logger()


class _Meta(msgspec.Struct, gc=False, rename="camel"):
    creation_timestamp: datetime | None = None


class _Pod(msgspec.Struct, gc=False):
    metadata: _Meta


_AGE = msgspec.json.Decoder(_Pod)


async def run(config: PreviewConfig, _stop: asyncio.Event) -> None:
    """Print the preview and return. Raises AccessError when the API server does not let us see the pods."""
    access = await find_access(str(config.kubeconfig) if config.kubeconfig else None)
    census = Census(config.cluster or access.cluster, config.logs.pod_labels)
    async with open_session(access, version=version_string()) as session:
        for namespace in config.namespaces or ("",):
            async for pods in _pages(session, namespace):
                census.add(pods)
    made = census.preview()
    sys.stdout.write(as_json(made) if config.output == "json" else as_table(made))


async def _pages(session: ApiSession, namespace: str) -> AsyncIterator[list[SeenPod]]:
    token = ""
    while True:
        body = await _page(session, namespace, token)
        try:
            page = decode_list(body)
        except Undecodable as error:
            raise AccessError(f"{session.access.base_url} is no API server: {error}") from error
        yield _seen(page.items or [])
        token = page.continue_token
        if not token:
            return


async def _page(session: ApiSession, namespace: str, token: str) -> bytes:
    path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
    where = f"in the namespace {namespace}" if namespace else "in all namespaces, or give --namespace"
    for is_last in (False, True):
        try:
            return await session.get(
                path,
                {"limit": str(PAGE_PODS), **({"continue": token} if token else {})},
                verb="list",
                resource="pods",
                deadline_seconds=PAGE_SECONDS,
            )
        except RequestFailed as error:
            if isinstance(error, ServerSaid) and error.code == 401 and not is_last:
                await session.access.credentials.renew()
                continue
            raise session.told(error, f"`list` on pods {where}") from error
    raise AssertionError("unreachable")


def _seen(items: list[msgspec.Raw]) -> list[SeenPod]:
    now = datetime.now(UTC)
    seen = []
    for item in items:
        body = bytes(item)
        try:
            facts, created = pod_facts(body), _AGE.decode(body).metadata.creation_timestamp
        except (ValueError, RecursionError) as error:
            # One of them alone says nothing about the others.
            _log.warning("preview.pod_skipped", error=str(error)[:200])
            continue
        seen.append(SeenPod(facts=facts, age_seconds=(now - created).total_seconds() if created else 0.0))
    return seen
