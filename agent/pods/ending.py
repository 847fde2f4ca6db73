"""Which containers of a pod ever ran, as its last state in the API tells. Pure."""

from dataclasses import dataclass

import msgspec

from kubescribe.labels.pods import PodFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A pod that is gone, as told at `told_at`, nanoseconds; `containers` are those that ran, init ones included."""

    pod: PodFacts
    containers: tuple[str, ...]
    told_at: int


class _Container(msgspec.Struct, gc=False, rename="camel"):
    name: str = ""
    container_id: str = msgspec.field(name="containerID", default="")


class _Status(msgspec.Struct, gc=False, rename="camel"):
    container_statuses: list[_Container] | None = None
    init_container_statuses: list[_Container] | None = None
    ephemeral_container_statuses: list[_Container] | None = None


class _Pod(msgspec.Struct, gc=False):
    status: _Status | None = None


_POD = msgspec.json.Decoder(_Pod)


def containers_that_ran(body: bytes) -> tuple[str, ...]:
    """Return the containers that the runtime gave an id to; of a pod that was evicted before its start none."""
    try:
        status = _POD.decode(body).status or _Status()
    except msgspec.MsgspecError:
        return ()
    statuses = (
        *(status.init_container_statuses or ()),
        *(status.container_statuses or ()),
        *(status.ephemeral_container_statuses or ()),
    )
    return tuple(each.name for each in statuses if each.container_id and each.name)
