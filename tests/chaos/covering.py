"""Which numbered lines are missing without a Gap that covers them: the oracle of what was lost of a container. Pure."""

from bisect import bisect
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from simulator.logs.sequence import Account
from simulator.loki.entries import Entry


def uncovered(written: Mapping[str, int], entries: Sequence[Entry], gaps: Sequence[Mapping[str, Any]]) -> list[str]:
    """
    Return what is missing of the lines *written* without one of *gaps* over the time between the lines beside it.

    Gaps have `stream`, and `from` and `to` in nanoseconds. The end of a container's lines is never covered: its last
    file is there, and nothing of it may be lost.
    """
    account = Account()
    account.add(entry.line for entry in entries)
    missing = account.missing(written)
    if not missing:
        return []
    at: dict[str, dict[int, int]] = {}
    for entry in entries:
        container, number = entry.line.split(" ", 2)[:2]
        at.setdefault(container.removeprefix("seq="), {})[int(number.removeprefix("n="))] = entry.at
    found = []
    for container, numbers in missing.items():
        of_it = [gap for gap in gaps if gap["stream"].endswith(f"/{container}/app")]
        known = at.get(container, {})
        if max(known, default=-1) < written[container] - 2:
            found.append(f"{container}: {len(numbers)} missing, the end as well")
            continue
        arrived = sorted(known)
        latest = list(accumulate((known[number] for number in arrived), max))
        earliest = list(accumulate((known[number] for number in reversed(arrived)), min))[::-1]
        # All of a run of missing lines, which may be millions, lies between the same two.
        for place in dict.fromkeys(bisect(arrived, number) for number in numbers):
            before = latest[place - 1] if place else 0
            after = earliest[place] if place < len(arrived) else 2**63
            # The clock of the machine may have been set back between the two.
            begin, end = sorted((before, after))
            if not any(gap["from"] < end and begin < gap["to"] for gap in of_it):
                missed = [number for number in numbers if bisect(arrived, number) == place]
                found.append(f"{container}: {missed[:5]} … of {len(numbers)} missing, between {before} and {after}")
                break
    return found
