"""
Train the dictionary that bodies and patches are compressed with: `python -m benchmarks.train_dictionary OUT.zdict`.

The samples are the recorded objects as an agent reports them, their patches and their Events. A shipped dictionary is
never replaced: journals were written with it. A better one is the next number in aggregator/store/dictionaries.
"""

import argparse
import random
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import zstandard

from aggregator.store import patches
from benchmarks.pod_lives import another_life, templates

_ACTOR = b'{"manager":"kubelet","operation":"Update","subresource":"status","time":%d}\n'
_TIMES = {
    "pods": 240,
    "replicasets": 40,
    "deployments": 40,
    "events": 60,
    "nodes": 10,
    "statefulsets": 10,
    "daemonsets": 10,
    "jobs": 10,
    "cronjobs": 4,
    "endpointslices": 10,
    "hpas": 4,
    "configmaps": 4,
    "services": 4,
}
"""How many lives of each resource are shown to the trainer: about as often as they change in a cluster."""

_BYTES = 48 * 1024


def samples() -> Iterator[bytes]:
    """Give what a journal would keep of objects like the recorded ones, none of which exists."""
    rng = random.Random(0)
    for resource, times in _TIMES.items():
        lives = templates(resource)
        for _ in range(times if lives else 0):
            _, _, life = another_life(rng, lives)
            yield life[0]
            for old, new in pairwise(life):
                time = 1_790_000_000_000_000_000 + rng.randrange(10**6) * 1_000_000_000
                yield _ACTOR % time + patches.diff(old, new)


def main() -> None:
    """Train and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    found: list[bytes | bytearray | memoryview[int]] = list(samples())
    dictionary = zstandard.train_dictionary(_BYTES, found)
    path: Path = parser.parse_args().out
    path.write_bytes(dictionary.as_bytes())
    print(f"{path}: {len(dictionary)} bytes from {len(found)} samples")


if __name__ == "__main__":
    main()
