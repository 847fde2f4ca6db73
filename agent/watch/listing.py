"""
Lists: pages in the right way for each resource, and the one question that shows a restored store.

Events have no cache, so their lists come in pages from etcd. The list of a whole cluster's resource comes in pages too:
the memory for 150,000 pods at once is not there. A list of one node's pods comes whole, from the cache.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import msgspec

from agent.errors import ServerSaid, Undecodable
from agent.kube.session import ApiSession
from agent.watch.counters import WatchCounters
from agent.watch.decoding import ListPage, decode_list, version_in
from agent.watch.kinds import WatchedKind
from agent.watch.requests import META_LIST, accepts, list_params


@dataclass(frozen=True, slots=True)
class Page:
    """Some items of one consistent list, and the list's version."""

    items: list[msgspec.Raw]
    resource_version: int


async def list_pages(
    session: ApiSession,
    kind: WatchedKind,
    node: str | None,
    counters: WatchCounters,
    *,
    not_older_than: int | None = None,
    page_items: int = 500,
    metadata_only: bool = False,
) -> AsyncIterator[Page]:
    """
    Yield the pages of one list, at least one; consistent when *not_older_than* is None.

    Raises ServerSaid with `is_expired` when a continue token is too old: then the whole list must begin again, because
    its rest would be of another moment. Raises RequestFailed, Undecodable for an answer that is no list.
    """
    limit = page_items if node is None and not_older_than is None else 0
    token, version = "", 0
    while True:
        body = await session.get(
            kind.path,
            list_params(node, not_older_than=not_older_than, limit=limit or page_items, token=token)
            if limit or token
            else list_params(node, not_older_than=not_older_than, limit=0, token=""),
            verb="list",
            resource=kind.stream_resource,
            accept=META_LIST if metadata_only else accepts(kind, is_list=True),
        )
        counters.bytes += len(body)
        page = decode_list(body)
        # The first page's version holds for all of them; a server that moves it has answered inconsistently.
        version = version or version_of_list(page)
        yield Page(page.items or [], version)
        token = page.continue_token
        if not token:
            return


async def current_version(session: ApiSession, kind: WatchedKind) -> int:
    """
    Return the store's version now, by a consistent list of one item. Raises RequestFailed, Undecodable.

    Without a selector: with one, etcd would be read until something matches.
    """
    body = await session.get(kind.path, {"limit": "1"}, verb="list", resource=kind.stream_resource, accept=META_LIST)
    return version_of_list(decode_list(body))


def version_of_list(page: ListPage) -> int:
    """Return the version of the list that *page* is of. Raises Undecodable."""
    return version_in(page.metadata.resource_version)


async def get_uid(session: ApiSession, kind: WatchedKind, namespace: str, name: str) -> str | None:
    """
    Return the uid of the object of that name as etcd has it, None when there is none.

    A GET without a version reads etcd, not the cache, which can keep an object that is gone (kubernetes#123072).
    Raises RequestFailed, Undecodable.
    """
    try:
        body = await session.get(
            kind.object_path(namespace, name),
            verb="get",
            resource=kind.stream_resource,
            accept="application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1,application/json",
        )
    except ServerSaid as error:
        if error.is_missing:
            return None
        raise
    try:
        return msgspec.json.decode(body, type=_Named).metadata.uid
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Undecodable(f"object {name[:64]}: {str(error)[:200]}") from error


class _Uid(msgspec.Struct, gc=False):
    uid: str


class _Named(msgspec.Struct, gc=False):
    metadata: _Uid
