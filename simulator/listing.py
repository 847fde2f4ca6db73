"""Lists: which state answers which resourceVersion, pages and their tokens, and the envelope."""

from collections.abc import Mapping
from dataclasses import dataclass

from simulator.etcd import Etcd, Key
from simulator.options import EXACT, ListOptions
from simulator.selectors import Selector, everything
from simulator.statuses import (
    bad_request,
    continue_expired,
    continue_token,
    list_expired,
    read_continue_token,
    too_large_version,
)
from simulator.versions import Version
from simulator.views import View
from simulator.watchcache import Expired, WatchCache

State = Mapping[Key, Version]


@dataclass(frozen=True, slots=True)
class Source:
    """What a list is answered from: the state, its version, and where a page begins."""

    state: State
    revision: int
    start: str = ""


async def source_of(
    etcd: Etcd, cache: WatchCache, options: ListOptions, fresh_seconds: float, *, value: str | None = None
) -> Source:
    """
    Choose the state for a list by its resourceVersion; may wait *fresh_seconds* for a lagging cache.

    Unset is consistent (the cache must have caught up, else the store answers), "0" is whatever the cache has,
    a version is "not older than", unless Exact is asked for, or implied by a limit (the documentation's table).
    With a *value* of the cache's trigger field, the present state is only what has it.
    """
    etcd.flush()
    if options.token:
        return _continued(etcd, cache, options.token, value)
    if options.version is None:
        if await cache.reached(etcd.revision, fresh_seconds):
            return Source(cache.of_value(value), cache.revision)
        return Source(etcd.state(cache.resource), etcd.revision)
    if options.version == 0:
        return Source(cache.of_value(value), cache.revision)
    if options.version > etcd.revision or not await cache.reached(options.version, fresh_seconds):
        raise too_large_version(options.version, cache.revision)
    if options.match == EXACT or (not options.match and options.limit):
        if options.version < etcd.compacted:
            raise list_expired()
        try:
            return Source(cache.at(options.version, value), options.version)
        except Expired as error:
            raise list_expired() from error
    return Source(cache.of_value(value), cache.revision)


def page(source: Source, view: View, options: ListOptions, namespace: str, matches: Selector) -> bytes:
    """Return the list's body: the envelope and the items, in the order of etcd's keys."""
    prefix = f"{namespace}/" if namespace else ""
    paths = sorted(
        (path, key)
        for key in source.state
        if (path := _path(view, key)).startswith(prefix) and path >= prefix + source.start
    )
    limit = 0 if options.version == 0 else options.limit
    items: list[bytes] = []
    taken = 0
    for _, key in paths:
        if limit and len(items) == limit:
            break
        taken += 1
        version = source.state[key]
        if matches is everything or matches(version.facts):
            items.append(view.item(version))
    metadata = f'{{"resourceVersion":"{source.revision}"'
    left = len(paths) - taken
    if left:
        last = paths[taken - 1][0]
        metadata += f',"continue":"{continue_token(source.revision, _start(view, last, namespace))}"'
        if matches is everything:
            metadata += f',"remainingItemCount":{left}'
    return b'%b%b,"items":[%b]}\n' % (view.list_head, (metadata + "}").encode(), b",".join(items))


def _path(view: View, key: Key) -> str:
    return f"{key[0]}/{key[1]}" if view.resource.namespaced else key[1]


def _start(view: View, last: str, namespace: str) -> str:
    """Return a token's start, just behind the last key; the cache's keys begin with a slash, the store's do not."""
    relative = last.removeprefix(f"{namespace}/") if namespace else last
    return f"{'/' if view.resource.cached else ''}{relative}\x00"


def _continued(etcd: Etcd, cache: WatchCache, token: str, value: str | None) -> Source:
    revision, start = read_continue_token(token)
    behind = start.removeprefix("/")
    if not behind:
        raise bad_request("invalid continue token: continue key is not valid: encoded start key empty")
    if revision == -1:
        return Source(cache.of_value(value), cache.revision, behind)
    if revision < etcd.compacted:
        raise continue_expired(start)
    try:
        return Source(cache.at(revision, value), revision, behind)
    except Expired as error:
        raise continue_expired(start) from error
