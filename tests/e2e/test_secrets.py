"""No credential reaches a disk, an answer, a log or a metric: planted in the cluster, looked for everywhere."""

import base64
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import aiohttp
import pytest
import zstandard

from agent.spool.frames import frames_in
from aggregator.store.bodies import Unpacker
from tests.e2e.processes import Rig, ask, eventually

pytestmark = pytest.mark.timeout(60)

MARK = f"Zq7{os.urandom(6).hex()}Xw9"
"""In every planted credential, and nowhere else."""


def planted(at: int) -> str:
    return f"{MARK}{at:02d}"


def pod_spec(first: int) -> dict[str, object]:
    """Return a pod's spec with credentials wherever people put them, numbered from *first*."""
    return {
        "containers": [
            {
                "name": "app",
                "image": "app:1",
                "args": [f"--db-password={planted(first)}", f"--dsn=postgres://app:{planted(first + 1)}@db:5432/app"],
                "command": ["sh", "-c", f"export API_TOKEN={planted(first + 2)}; exec app"],
                "env": [
                    {"name": "DB_PASSWORD", "value": planted(first + 3)},
                    {"name": "HARMLESS", "value": f"https://user:{planted(first + 4)}@example.org/"},
                    {"name": "SETTINGS", "value": json.dumps({"secret": planted(first + 5)})},
                    {"name": "BEARER", "value": f"Bearer {planted(first + 6)}"},
                ],
            }
        ],
        "initContainers": [
            {"name": "init", "image": "init:1", "env": [{"name": "sessionKey", "value": planted(first + 7)}]}
        ],
    }


async def plant(rig: Rig, version: int) -> dict[str, str]:
    """Create or change objects that hold credentials; return {uid: resourceVersion}."""
    first = 40 * version
    encoded = base64.b64encode(planted(first).encode()).decode()
    notes = {
        "example.org/token": planted(first + 1),
        "kubectl.kubernetes.io/last-applied-configuration": planted(first),
    }
    template = {"metadata": {"annotations": {"password": planted(first + 2)}}, "spec": pod_spec(first + 10)}
    objects = {
        "secrets": {"data": {"password": encoded}, "stringData": {"password": planted(first)}, "type": "Opaque"},
        "configmaps": {
            "data": {
                "password": planted(first + 3),
                "app.properties": f"url=x\nspring.datasource.password = {planted(first + 4)}\n",
                "app.yaml": f"db:\n  user: app\n  password: {planted(first + 5)}\n",
                "random": f"{os.urandom(8).hex()}{planted(first + 6)}",
            },
            "binaryData": {"keystore": encoded},
        },
        "pods": {"spec": pod_spec(first + 10)},
        "deployments.apps": {
            "spec": {"replicas": 0, "selector": {"matchLabels": {"app": "p"}}, "template": template},
        },
        "jobs.batch": {"spec": {"suspend": True, "template": template}},
    }  # fmt: skip
    arrived = {}
    async with rig.cluster.control() as control:
        for resource, parts in objects.items():
            metadata = {"name": "planted", "namespace": "default", "annotations": notes}
            write = control.update if version else control.create
            made = (await write(resource, {"metadata": metadata, **parts}))["metadata"]
            if resource != "secrets":
                arrived[made["uid"]] = made["resourceVersion"]
    return arrived


def texts_on_disk(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield what lies in a folder: raw, and what is inside of frames and packed values."""
    for path in folder.rglob("*"):
        if not path.is_file():
            continue
        data = path.read_bytes()
        yield str(path), data
        for placed in frames_in(data, start=0):
            yield f"{path} frame", zstandard.ZstdDecompressor().decompress(placed.frame.batch)
        for start in range(64):  # wherever a segment's header ends
            for placed in frames_in(data, start=start):
                yield f"{path} frame", zstandard.ZstdDecompressor().decompress(placed.frame.batch)


def texts_in_journal(journal: Path) -> Iterator[tuple[str, bytes]]:
    """Yield every value of every row of every table, unpacked where it is packed."""
    with closing(sqlite3.connect(f"file:{journal}?mode=ro", uri=True)) as connection:
        unpacker = Unpacker(dict(connection.execute("SELECT id, data FROM dictionaries")))
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            for row in connection.execute(f"SELECT * FROM {table}"):
                for value in row:
                    data = value if isinstance(value, bytes) else str(value).encode()
                    yield table, data
                    if isinstance(value, bytes):
                        try:
                            yield f"{table} unpacked", unpacker.unpack(value)
                        except ValueError:
                            continue


async def texts_told(rig: Rig, uids: list[str]) -> dict[str, bytes]:
    paths = [
        *("changes?limit=1000", "objects?includeBody=true&limit=1000", "occurrences?limit=1000", "gaps", "status"),
        *("agents", f"changes?q={MARK}", f"objects?q={MARK}&includeBody=true"),
        *(f"objects/{uid}" for uid in uids),
        *(f"objects/{uid}/history" for uid in uids),
    ]
    told = {path: rig.get(f"/api/v1/{path}").body.replace(f"q={MARK}".encode(), b"") for path in paths}
    async with (
        aiohttp.ClientSession() as session,
        session.get(rig.aggregator.said["http"].rstrip("/") + "/api/v1/feed/sse?topic=changes&from=0") as feed,
    ):
        told["feed"] = b""
        while uids[-1].encode() not in told["feed"]:
            told["feed"] += await feed.content.readany()
    for process in (rig.agent, rig.aggregator):
        told[f"{process.role} log"] = process.log.encode()
        told[f"{process.role} metrics"] = ask(process.said["metrics"] + "/metrics").body
    return told


async def test_no_credential_is_found_anywhere(rig: Rig) -> None:
    arrived = await plant(rig, 0)
    later = await plant(rig, 1)
    for uid, version in [*arrived.items(), *later.items()]:
        rig.arrived(uid, version)

    found = {
        place
        for texts in (
            texts_on_disk(rig.folder / "agent"),
            texts_on_disk(rig.folder / "journal"),
            texts_in_journal(rig.journal),
            (await texts_told(rig, list(arrived))).items(),
        )
        for place, data in texts
        if MARK.encode() in data or base64.b64encode(planted(0).encode())[:16] in data
    }

    assert found == set()
    # It was looked for in the right place: the changes themselves are there, with what stands for the values.
    bodies = b"".join(data for place, data in texts_in_journal(rig.journal) if "unpacked" in place)
    assert b"kubescribe:redacted:" in bodies
    frames = [data for place, data in texts_on_disk(rig.spool) if place.endswith("frame")]
    assert any(b"kubescribe:redacted:" in data for data in frames)


async def test_secrets_are_not_even_asked_for(rig: Rig) -> None:
    async with rig.cluster.control() as control:
        asked = await control.requests()

    assert [entry for entry in asked if "secret" in str(entry).lower()] == []
    assert "pods" in str(asked)
    assert rig.objects("kind=Secret&includeDeleted=true") == []


def test_keys_and_data_are_the_owner_s_alone(rig: Rig) -> None:
    eventually((rig.spool / "spool.json").exists)

    for path in (rig.journal, rig.spool / "spool.json"):
        assert path.stat().st_mode & 0o077 == 0, path
