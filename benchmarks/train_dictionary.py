"""
Train the dictionary that bodies and patches are compressed with: `python -m benchmarks.train_dictionary OUT.zdict`.

The samples are the recorded objects as an agent reports them, their patches and their Events. A shipped dictionary is
never replaced: journals were written with it. A better one is the next number in aggregator/store/dictionaries.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from aggregator.store import patches

_RECORDINGS = Path(__file__).parents[1] / "tests" / "data" / "recordings"
_BYTES = 48 * 1024


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


def samples() -> Iterator[bytes]:
    """Give what a journal would keep of the recordings."""
    for path in sorted(_RECORDINGS.glob("*.watch.ndjson")):
        if path.name.startswith("410"):
            continue
        for life in recorded_lives(path).values():
            yield life[0]
            for old, new in zip(life, life[1:], strict=False):
                actor = b'{"manager":"kubelet","operation":"Update","subresource":"status"}\n'
                yield actor + patches.diff(old, new)


def main() -> None:
    """Train and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    found = list(samples())
    dictionary = zstandard.train_dictionary(_BYTES, found)
    path: Path = parser.parse_args().out
    path.write_bytes(dictionary.as_bytes())
    print(f"{path}: {len(dictionary)} bytes from {len(found)} samples")


if __name__ == "__main__":
    main()
