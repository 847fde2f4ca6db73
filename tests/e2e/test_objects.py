"""Bad objects from the API server: each is counted and told, alone affected; nothing beside it is lost."""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from simulator.control import Control
from tests.e2e.processes import Rig, eventually

pytestmark = pytest.mark.timeout(60)


@asynccontextmanager
async def unharmed(rig: Rig) -> AsyncIterator[Control]:
    """Hold that, afterwards, both streams still deliver, every list can be read, and nobody broke."""
    async with rig.cluster.control() as control:
        yield control

        for resource in ("configmaps", "pods"):
            spec = {"spec": {"containers": [{"name": "app", "image": "app:1"}]}} if resource == "pods" else {}
            await arrives(rig, control, resource, spec)
    for path in ("objects?includeBody=true&limit=1000", "changes?limit=1000", "gaps", "status", "occurrences"):
        assert rig.get(f"/api/v1/{path}").status == 200, path
    for process in (rig.agent, rig.aggregator):
        assert process.popen.poll() is None
        assert "Traceback" not in process.log
        assert process.events("ingest.change_failed") == []
    assert rig.aggregator.ready() == {"status": "ok"}


async def arrives(rig: Rig, control: Control, resource: str, parts: dict[str, Any]) -> dict[str, Any]:
    """Create an object; return the whole object as the journal has it."""
    metadata = {"name": f"made-{os.urandom(4).hex()}", "namespace": "default", **parts.pop("metadata", {})}
    made = (await control.create(resource, {"metadata": metadata, **parts}))["metadata"]
    rig.arrived(made["uid"], made["resourceVersion"])
    answer = rig.get(f"/api/v1/objects/{made['uid']}")
    assert answer.status == 200, answer
    return answer.json()


def config_map(version: int, data: str, uid: str = "0ddba11") -> str:
    """Return an object as text, so that it may be broken."""
    return (
        '{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"bad","namespace":"default",'
        f'"uid":"{uid}","resourceVersion":"{version}"}},"data":{data}}}'
    )


def line(kind: str, text: str) -> bytes:
    return f'{{"type":"{kind}","object":{text}}}\n'.encode()


@pytest.mark.parametrize(
    "data",
    [
        b"<html>502 Bad Gateway</html>\n",
        b'{"type":"ADDED","object":{"kind":"ConfigMap","metadata":{"name":"half\n',
        b'{"type":"ADDED","object":null}\n',
        b'{"type":"ADDED","object":{"kind":"ConfigMap","apiVersion":"v1","metadata":{"name":"nameless-uid"}}}\n',
        b'{"type":"ADDED","object":{"kind":"Secret","apiVersion":"v1","metadata":{"name":"s","uid":"u","resourceVersion":"5"}}}\n',
        b'{"type":"DREAMT","object":{}}\n',
        b"\x00\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        b'{"type":"ADDED","object":' + b'{"a":' * 100_000 + b"\n",
        line("ADDED", config_map(10**30, "{}")),
        line("ADDED", config_map(-5, "{}")),
    ],
    ids=["html", "half", "null", "no uid", "a Secret", "type", "binary", "brackets", "braces", "version", "negative"],
)
async def test_a_line_that_is_no_object_is_counted_and_told(rig: Rig, data: bytes) -> None:
    before = rig.agent.metric("kubescribe_watch_undecodable_total")
    async with unharmed(rig) as control:
        assert await control.send("configmaps", data) == 1

        eventually(
            lambda: rig.agent.metric("kubescribe_watch_undecodable_total") > before, lambda: rig.agent.log[-1000:]
        )
        eventually(
            lambda: [
                gap
                for gap in rig.get("/api/v1/gaps").json()["items"]
                if (gap["stream"], gap["cause"], gap["outcome"]) == ("configmaps", "undecodable", "lost")
            ]
        )


async def test_a_line_that_is_cut_in_the_middle_comes_again_whole(rig: Rig) -> None:
    async with unharmed(rig) as control:
        assert await control.drop("configmaps", where="line") == 1

        made = await arrives(rig, control, "configmaps", {"data": {"greeting": "hello"}})

        assert made["body"]["data"] == {"greeting": "hello"}


async def test_an_object_of_6_megabytes_is_known_but_not_kept(rig: Rig) -> None:
    before = rig.agent.metric("kubescribe_watch_oversized_total")
    async with unharmed(rig) as control:
        name = f"huge-{os.urandom(4).hex()}"
        made = await control.oversized("configmaps", name=name, size=6 * 2**20)
        change = rig.arrived(made["uid"], made["resourceVersion"])
        await control.delete("configmaps", "default", name)

    assert change["name"] == name
    assert rig.agent.metric("kubescribe_watch_oversized_total") > before
    history = rig.get(f"/api/v1/objects/{made['uid']}/history").json()["items"]
    assert len(json.dumps(history)) < 10_000


@pytest.mark.parametrize(
    ("resource", "parts"),
    [
        ("pods", {"metadata": {"labels": {f"label-{at}": f"value-{at}" for at in range(10_000)}}}),
        ("pods", {"metadata": {"annotations": {f"note-{at}": "hello there" for at in range(10_000)}}}),
        ("configmaps", {"data": {f"key-{at}": "hello" for at in range(2_000)}}),
    ],
    ids=["10,000 labels", "10,000 annotations", "2,000 keys"],
)
async def test_a_large_object_is_kept_whole(rig: Rig, resource: str, parts: dict[str, Any]) -> None:
    async with unharmed(rig) as control:
        made = await arrives(rig, control, resource, json.loads(json.dumps(parts)))

        for section, fields in (parts.get("metadata", {}) | {"data": parts.get("data", {})}).items():
            where = made["body"] if section == "data" else made["body"]["metadata"]
            assert len(where.get(section, {})) == len(fields), section


async def test_a_huge_annotation_does_not_hide_the_object(rig: Rig) -> None:
    async with unharmed(rig) as control:
        made = await arrives(
            rig, control, "configmaps", {"metadata": {"annotations": {"note": "x y " * 350_000}}, "data": {"a": "b"}}
        )

        assert made["body"]["metadata"]["name"].startswith("made-")
        assert len(json.dumps(made["body"])) < 10_000


async def test_deep_nesting_hurts_nobody(rig: Rig) -> None:
    """5,000 levels, in a section that is compared from version to version."""

    def pod(version: int, leaf: str) -> str:
        deep = '{"a":' * 5_000 + leaf + "}" * 5_000
        return (
            '{"kind":"Pod","apiVersion":"v1","metadata":{"name":"deep","namespace":"default","uid":"dee9",'
            f'"resourceVersion":"{version}"}},"spec":{{"nodeName":"","deep":{deep}}},"status":{{}}}}'
        )

    async with unharmed(rig) as control:
        revision = (await control.state())["revision"]
        assert await control.send("pods", line("ADDED", pod(revision - 1, '"old"'))) == 1
        assert await control.send("pods", line("MODIFIED", pod(revision, '"new"'))) == 1


async def test_invalid_utf_8_hurts_nobody(rig: Rig) -> None:
    async with unharmed(rig) as control:
        for at in range(2):
            revision = (await control.state())["revision"]
            text = line("ADDED", config_map(revision, '{"k":"%s"}', uid=f"u8-{at}"))
            assert await control.send("configmaps", text.replace(b"%s", b"\xff\xfe caf\xe9 %d" % at)) == 1


async def test_numbers_and_times_beyond_64_bits_hurt_nobody(rig: Rig) -> None:
    """Go's zero time is one of them; an Event's times are whatever its reporter wrote."""
    times = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")
    async with unharmed(rig) as control:
        for at, moment in enumerate(times):
            about = {"kind": "Pod", "namespace": "default", "name": "late"}
            await control.create(
                "events",
                {
                    "metadata": {"name": f"far-{at}-{os.urandom(4).hex()}", "namespace": "default"},
                    "involvedObject": about,
                    "reason": f"Far{at}",
                    "firstTimestamp": moment,
                    "lastTimestamp": moment,
                    "count": 2**31,
                },
            )
        revision = (await control.state())["revision"]
        large = config_map(revision, "{}").replace('"uid"', f'"generation":{10**40},"uid"')
        assert await control.send("configmaps", line("ADDED", large)) == 1
        for at in range(2):
            eventually(lambda at=at: rig.get(f"/api/v1/occurrences?reason=Far{at}").json()["items"])


async def test_strange_names_are_data(rig: Rig) -> None:
    async with unharmed(rig) as control:
        made = await arrives(
            rig,
            control,
            "configmaps",
            {"data": {"<script>alert(1)</script>": "\u202e\u0000😀", "'; DROP TABLE changes; --": "true"}},
        )

        assert "<script>alert(1)</script>" in made["body"]["data"]
