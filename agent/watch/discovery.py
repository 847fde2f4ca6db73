"""
Which kinds this cluster serves, at which version. Asked at start and again later: custom resources come and go.

Secrets cannot come out of here, whatever was asked for and whatever the server says.
"""

import dataclasses
from collections.abc import Sequence

import msgspec
import structlog

from agent.errors import ServerSaid, Undecodable
from agent.kube.session import ApiSession
from agent.watch.kinds import WatchedKind

_LOG = structlog.get_logger()
_NEEDED_VERBS = frozenset({"list", "watch"})
_BAD_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class _Version(msgspec.Struct, gc=False):
    version: str = ""


class _Group(msgspec.Struct, gc=False, rename="camel"):
    name: str = ""
    versions: list[_Version] = []
    preferred_version: _Version | None = None


class _Groups(msgspec.Struct, gc=False):
    groups: list[_Group] = []


class _Resource(msgspec.Struct, gc=False):
    name: str = ""
    kind: str = ""
    namespaced: bool = True
    verbs: list[str] = []


class _Resources(msgspec.Struct, gc=False):
    resources: list[_Resource] = []


async def discover(session: ApiSession, wanted: Sequence[WatchedKind]) -> tuple[WatchedKind, ...]:
    """
    Return those of *wanted* that the cluster serves, each with its resource and a version that is served.

    A group that fails (an aggregated API that is away) is left out and found by a later call. Raises RequestFailed,
    Undecodable when the list of groups itself cannot be had.
    """
    groups = await _groups(session)
    resources: dict[tuple[str, str], dict[str, _Resource]] = {}
    served = []
    for kind in wanted:
        versions = groups.get(kind.group, ())
        # The version of the table first: its shape is known here. Else the one that the cluster prefers.
        for version in [kind.version] if kind.version in versions else list(versions[:1]):
            place = (kind.group, version)
            if place not in resources:
                resources[place] = await _resources(session, *place)
            found = resources[place].get(kind.kind)
            if found is None or not _NEEDED_VERBS.issubset(found.verbs):
                continue
            if kind.group == "" and found.name == "secrets":
                _LOG.error("watch.secrets_refused")
                continue
            served.append(
                dataclasses.replace(kind, version=version, resource=found.name, is_namespaced=found.namespaced)
            )
    return tuple(served)


async def _groups(session: ApiSession) -> dict[str, tuple[str, ...]]:
    """Return the versions of each group, the preferred one first."""
    body = await session.get("/apis", verb="get", resource="apis")
    try:
        answer = msgspec.json.decode(body, type=_Groups)
    except _BAD_JSON as error:
        raise Undecodable(f"discovery: {str(error)[:200]}") from error
    groups: dict[str, tuple[str, ...]] = {"": ("v1",)}
    for group in answer.groups:
        preferred = group.preferred_version.version if group.preferred_version else ""
        others = [version.version for version in group.versions if version.version != preferred]
        groups[group.name] = tuple(version for version in (preferred, *others) if version)
    return groups


async def _resources(session: ApiSession, group: str, version: str) -> dict[str, _Resource]:
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    try:
        body = await session.get(path, verb="get", resource="apis")
        answer = msgspec.json.decode(body, type=_Resources)
    except (*_BAD_JSON, ServerSaid) as error:
        _LOG.warning("watch.group_unavailable", group=group, version=version, detail=str(error)[:200])
        return {}
    return {resource.kind: resource for resource in answer.resources if "/" not in resource.name}
