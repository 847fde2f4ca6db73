"""
What an answer does to the parcels of a request: which are done, which go back, which come again otherwise. Pure.

Whatever goes back keeps its bytes and its place before everything newer of its stream.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from kubescribe.loki.answers import TOO_FAR_BEHIND, Meaning, Verdict
from kubescribe.loki.parcels import Parcel, halves, too_late
from kubescribe.loki.queues import Caution

_SMALL_BYTES = 64 * 1024


@dataclass(slots=True, kw_only=True)
class Settlement:
    """
    What becomes of the parcels of one request.

    `done` are those whose fate is final, with how many entries that is true of and what was dropped by reason; `back`
    go to the heads of their queues. `late` are entries that their stream refused as too old, on their way to a stream
    of their own; they are in no count of `done`. `cautions` are by stream; `asleep` are streams that have to wait.
    """

    done: list[tuple[Parcel, int, Mapping[str, int]]] = field(default_factory=list)
    back: list[Parcel] = field(default_factory=list)
    late: list[Parcel] = field(default_factory=list)
    cautions: dict[str, Caution] = field(default_factory=dict)
    asleep: set[str] = field(default_factory=set)


def settle(meaning: Meaning, parcels: Sequence[Parcel]) -> Settlement:
    """Return what becomes of *parcels*, which were one request and at least one."""
    streams = list(dict.fromkeys(parcel.labels for parcel in parcels))
    match meaning.verdict:
        case Verdict.STORED:
            return _stored(meaning, parcels, streams)
        case Verdict.REFUSED:
            return _refused(meaning, parcels, streams)
        case Verdict.TOO_LARGE:
            return _too_large(meaning, parcels, streams)
        case Verdict.STREAM_RATE_LIMITED:
            named = meaning.stream if meaning.stream in streams else ""
            asleep = {named} if named else set(streams)
            return _alone(parcels, streams, asleep)
        case Verdict.STREAM_LIMITED:
            return _alone(parcels, streams, set(streams) if len(streams) == 1 else set())
        case _:
            return Settlement(back=list(parcels))


def _alone(parcels: Sequence[Parcel], streams: list[str], asleep: set[str]) -> Settlement:
    """
    Send each stream again by itself, where it is told what is with it.

    What of them was stored is stored a second time as the same bytes, which Loki drops; what was refused without a
    word is not lost.
    """
    return Settlement(back=list(parcels), cautions=dict.fromkeys(streams, Caution.ALONE), asleep=asleep)


def _refused(meaning: Meaning, parcels: Sequence[Parcel], streams: list[str]) -> Settlement:
    if len(streams) > 1:
        return Settlement(back=list(parcels), cautions=dict.fromkeys(streams, Caution.ALONE))
    if len(parcels) > 1:
        return Settlement(back=list(parcels), cautions={streams[0]: Caution.SINGLY})
    (parcel,) = parcels
    return Settlement(done=[(parcel, parcel.count, {meaning.reason: parcel.count})])


def _too_large(meaning: Meaning, parcels: Sequence[Parcel], streams: list[str]) -> Settlement:
    if len(parcels) > 1:
        # Whoever sends lowers the size of its requests; below this it does not, and each parcel shows what is with it.
        is_small = sum(parcel.size for parcel in parcels) <= _SMALL_BYTES
        return Settlement(back=list(parcels), cautions=dict.fromkeys(streams, Caution.SINGLY) if is_small else {})
    (parcel,) = parcels
    if parcel.count > 1:
        return Settlement(back=list(halves(parcel)))
    return Settlement(done=[(parcel, 1, {meaning.reason: 1})])


def _stored(meaning: Meaning, parcels: Sequence[Parcel], streams: list[str]) -> Settlement:
    out = Settlement()
    left = dict(meaning.rejected)
    ways = dict(meaning.whole_streams)
    if len(streams) == 1 and ways:
        # Loki may write a stream's labels otherwise than we do (it adds service_name): there is only this one.
        ways = {streams[0]: next(iter(ways.values()))}
    suspects = _suspects(meaning, parcels, streams, ways)
    if len(suspects) > 1 and left:
        # Whose lines they were nobody tells, and those of one container must not be told of another: again and singly,
        # where Loki drops what it has stored already, and refuses what it refused.
        out.back = suspects
        out.cautions = dict.fromkeys((parcel.labels for parcel in suspects), Caution.SINGLY)
        parcels = [parcel for parcel in parcels if parcel.labels not in out.cautions]
    for parcel in parcels:
        if (reason := ways.get(parcel.labels)) is not None:
            out.done.append((parcel, parcel.count, {reason: parcel.count}))
            continue
        if meaning.stream in streams and parcel.labels != meaning.stream:
            out.done.append((parcel, parcel.count, {}))
            continue
        out.done.append(_share(parcel, left, out.late))
    return out


def _suspects(meaning: Meaning, parcels: Sequence[Parcel], streams: list[str], ways: Mapping[str, str]) -> list[Parcel]:
    """Return the parcels of which some entries may have been refused."""
    named = {meaning.stream} if meaning.stream in streams else set(streams)
    return [parcel for parcel in parcels if parcel.labels in named and parcel.labels not in ways]


def _share(parcel: Parcel, left: dict[str, int], late: list[Parcel]) -> tuple[Parcel, int, Mapping[str, int]]:
    """Charge *parcel* with as much as it can bear of what is *left*; what came too late goes to *late* instead."""
    known = parcel.count
    rejected: dict[str, int] = {}
    for reason in list(left):
        count = min(left[reason], known - sum(rejected.values()))
        if not count:
            continue
        left[reason] -= count
        again = _again(parcel, count) if reason == TOO_FAR_BEHIND and not parcel.is_late else None
        if again is not None:
            late.append(again)
            known -= count
        else:
            rejected[reason] = count
    return parcel, known, rejected


def _again(parcel: Parcel, count: int) -> Parcel | None:
    try:
        return too_late(parcel, count)
    except ValueError:
        # An entry that is none: nobody can tell which of them came too late.
        return None
