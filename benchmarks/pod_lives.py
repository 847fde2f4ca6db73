"""
Pods to measure the journal with: the recorded lives, each time of another pod.

Names, uids, addresses, container ids and times are made anew from a seed, so that no two pods share what real ones do
not share; the shapes and the order of what happens are the recorded ones.
"""

import json
import random
import re
import uuid
from collections.abc import Iterator
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import msgspec

from aggregator.ingest.pipeline import Limits
from aggregator.records import ChangeRow, Head, ObjectKey, Plan, Verb, Version
from aggregator.store import patches

_RECORDINGS = Path(__file__).parents[1] / "tests" / "data" / "recordings"
_TIME = re.compile(rb"2026-11-23T(\d\d):(\d\d):(\d\d)Z")
_IP = re.compile(rb"10\.\d+\.\d+\.\d+")
_UID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX = re.compile(rb"(?<=containerd://)[0-9a-f]{64}")
_SECOND = 1_000_000_000
_START = 1_790_000_000 * _SECOND

KEY_VERSION_EVERY = Limits().key_version_every


def reported(item: dict[str, Any]) -> bytes:
    """Return the body that an agent reports of the API object *item*, which is changed."""
    for field in ("managedFields", "resourceVersion", "generation"):
        item["metadata"].pop(field, None)
    return msgspec.json.encode(item)


def recorded_lives(path: Path) -> dict[str, list[bytes]]:
    """Return the versions of each object in a recorded watch, by uid."""
    lives: dict[str, list[bytes]] = {}
    for line in path.read_bytes().splitlines():
        event = json.loads(line)
        if event["type"] in {"ADDED", "MODIFIED", "DELETED"}:
            item = event["object"]
            lives.setdefault(item["metadata"]["uid"], []).append(reported(item))
    return lives


Life = tuple[str, str, list[bytes]]
"""The uid and the name of an object, and its versions in their order."""


@cache
def templates(resource: str = "pods") -> list[Life]:
    """Return (uid, name, versions) of each recorded object of *resource* that was seen to change."""
    lives = recorded_lives(_RECORDINGS / f"{resource}.watch.ndjson")
    return [
        (uid, json.loads(life[0])["metadata"]["name"], life) for uid, life in sorted(lives.items()) if len(life) > 1
    ]


def another_life(rng: random.Random, lives: list[Life] | None = None) -> Life:
    """Return (uid, name, versions) of a pod, or of one of *lives*, that lived as a recorded one did."""
    uid, name, life = rng.choice(lives or templates())
    new_uid = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    new_name = f"{name[: name.rfind('-')]}-{rng.getrandbits(24):05x}"[:63]
    shift = rng.randrange(3600 * 20)
    seen: dict[bytes, bytes] = {uid.encode(): new_uid.encode()}

    def moved(match: re.Match[bytes]) -> bytes:
        hour, minute, second = (int(part) for part in match.groups())
        time_of_day = (hour * 3600 + minute * 60 + second + shift) % 86_400
        return b"2026-11-24T%02d:%02d:%02dZ" % (time_of_day // 3600, time_of_day // 60 % 60, time_of_day % 60)

    def address(match: re.Match[bytes]) -> bytes:
        return seen.setdefault(match[0], b"10.%d.%d.%d" % (rng.randrange(256), rng.randrange(256), rng.randrange(256)))

    def container(match: re.Match[bytes]) -> bytes:
        return seen.setdefault(match[0], b"%064x" % rng.getrandbits(256))

    def other_uid(match: re.Match[bytes]) -> bytes:
        return seen.setdefault(match[0], str(uuid.UUID(int=rng.getrandbits(128), version=4)).encode())

    text = b"\n".join(life).replace(name.encode(), new_name.encode())
    text = _UID.sub(other_uid, text)
    text = _HEX.sub(container, _IP.sub(address, _TIME.sub(moved, text)))
    return new_uid, new_name, text.split(b"\n")


def plans(rng: random.Random, changes: int, per_plan: int, lives: list[Life] | None = None) -> Iterator[Plan]:
    """Give plans of *per_plan* changes each until there are *changes*: pods that live at once, interleaved."""
    seqs, ids, versions = count(1), count(1), count(1000)
    running: list[Iterator[tuple[ChangeRow, Head]]] = []
    committed_at = _START
    for first in range(0, changes, per_plan):
        committed_at += 50_000_000
        plan = Plan(cluster_uid="c1", cluster="bench") if first == 0 else Plan()
        while len(plan.changes) < per_plan:
            if len(running) < 400:
                running.append(_rows(another_life(rng, lives), ids, versions, seqs))
            place = rng.randrange(len(running))
            try:
                row, head = next(running[place])
            except StopIteration:
                running[place] = running[-1]
                running.pop()
                continue
            at = committed_at - rng.randrange(5_000_000, 60_000_000)
            plan.changes.append(msgspec.structs.replace(row, observed_at=at, committed_at=committed_at))
            plan.heads[head.id] = head
        yield plan


def _rows(
    lived: Life, ids: Iterator[int], versions: Iterator[int], seqs: Iterator[int]
) -> Iterator[tuple[ChangeRow, Head]]:
    uid, name, life = lived
    actor = b'{"manager":"kubelet","operation":"Update","subresource":"status","time":%d}'
    object_id = next(ids)
    base: int | None = None
    old, depth = b"", 0
    for body in life:
        seq, resource_version = next(seqs), next(versions)
        patch = None if base is None else patches.diff(old, body)
        depth = 0 if depth + 1 >= KEY_VERSION_EVERY else depth + 1
        is_key_version = base is None or depth == 0
        version = Version(1, resource_version, False)
        row = ChangeRow(
            seq=seq,
            object_id=object_id,
            version=version,
            verb=Verb.ADDED if base is None else Verb.MODIFIED,
            observed_at=0,
            committed_at=0,
            late=False,
            listed=False,
            generation=1,
            base=base,
            patch=patch,
            body=body if is_key_version else None,
            actor=actor % (_START + resource_version * _SECOND),
            after=None,
        )
        head = Head(
            id=object_id,
            key=ObjectKey("Pod", uid),
            namespace="shop",
            name=name,
            node=f"ip-10-0-{object_id % 7}-{object_id % 31}",
            version=version,
            seq=seq,
            depth=depth,
            observed_at=_START,
        )
        yield row, head
        base, old = seq, body
