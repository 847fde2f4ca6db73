"""What the journal's tests are made of: recorded pods and rows."""

import json
from pathlib import Path

import msgspec
import pytest

RECORDINGS = Path(__file__).parents[2] / "data" / "recordings"


def without_churn(item: dict) -> bytes:
    metadata = item["metadata"]
    for field in ("managedFields", "resourceVersion", "generation"):
        metadata.pop(field, None)
    return msgspec.json.encode(item)


@pytest.fixture(scope="session")
def pod_lives() -> dict[str, list[bytes]]:
    """Give the recorded versions of each pod, as an agent would report their bodies."""
    lives: dict[str, list[bytes]] = {}
    for line in (RECORDINGS / "pods.watch.ndjson").read_bytes().splitlines():
        event = json.loads(line)
        if event["type"] != "BOOKMARK":
            item = event["object"]
            lives.setdefault(item["metadata"]["uid"], []).append(without_churn(item))
    return lives
