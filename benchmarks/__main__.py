"""
`make bench`: every figure of the budgets, one JSON line a name; `python -m benchmarks NAME …` measures those named.

Each bench is a module of this folder, run as a process of its own with a time limit, so that one cannot warm up, slow
down or take with it another. Its last line on stdout is the result; what it says on stderr is shown as it comes.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress

LIMIT_SECONDS = 180.0
"""The budget of a bench, data building included."""

BENCHES: dict[str, str] = {
    "watch": "benchmarks.watch",
    "agent_logs": "benchmarks.agent_logs",
    "e2e_rate": "benchmarks.e2e_rate",
    "e2e_latency": "benchmarks.e2e_latency",
    "journal": "benchmarks.journal",
    "feed": "benchmarks.feed",
    "bytes_per_change": "benchmarks.bytes_per_change",
    "restart": "benchmarks.restart",
    "scrape": "benchmarks.scrape",
    "gateway": "benchmarks.gateway",
    "memory_agent": "benchmarks.memory_agent",
    "memory_aggregator": "benchmarks.memory_aggregator",
}

FIELDS = {"name", "value", "unit", "baseline", "ratio"}


class BenchFailed(Exception):
    """A bench ended badly, too late, or without a result."""


def main(names: Sequence[str], benches: dict[str, str] = BENCHES, limit_seconds: float = LIMIT_SECONDS) -> int:
    """Measure *names*, all if there are none; return 0 if each gave a result, 2 for a name that does not exist."""
    unknown = [name for name in names if name not in benches]
    if unknown:
        print(f"bench: no such name: {', '.join(unknown)}; there are {', '.join(benches)}", file=sys.stderr)
        return 2
    failures = 0
    for name in names or benches:
        try:
            print(json.dumps(measure(name, benches[name], limit_seconds)), flush=True)
        except BenchFailed as error:
            failures += 1
            print(f"bench: {name}: {error}", file=sys.stderr, flush=True)
    return 1 if failures else 0


def measure(name: str, module: str, limit_seconds: float) -> dict[str, object]:
    """Run one bench and return its result. Raises BenchFailed."""
    # A session of its own: what the bench started ends with it, however it ends.
    bench = subprocess.Popen([sys.executable, "-m", module], stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        output, _ = bench.communicate(timeout=limit_seconds)
    except subprocess.TimeoutExpired as error:
        raise BenchFailed(f"not done after {limit_seconds:g} s") from error
    finally:
        with suppress(ProcessLookupError):
            os.killpg(bench.pid, signal.SIGKILL)
        bench.communicate()
    if bench.returncode:
        raise BenchFailed(f"exit code {bench.returncode}")
    lines = output.strip().splitlines()
    try:
        result = json.loads(lines[-1])
    except (IndexError, ValueError) as error:
        raise BenchFailed("its last line is not JSON") from error
    if not isinstance(result, dict) or result.get("name") != name or not result.keys() >= FIELDS:
        raise BenchFailed(f"its result has not the fields {', '.join(sorted(FIELDS))}, or not its name")
    return result


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
