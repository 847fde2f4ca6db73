"""The generator writes every number once, through rotations and restarts, and the account finds what is missing."""

import json
import subprocess
import sys

from simulator.logs.generate import Plan, generate
from simulator.logs.rotating import content, generations
from simulator.logs.sequence import Account, numbered


def read(folder):
    """Read all files of all containers as a tailer that misses nothing would."""
    account = Account()
    for container in sorted(folder.glob("*/app")):
        for number in sorted({int(path.name.partition(".")[0]) for path in container.iterdir()}):
            partial = {b"stdout": b"", b"stderr": b""}
            for path in generations(container / f"{number}.log"):
                for record in content(path).splitlines():
                    _, stream, tag, text = record.split(b" ", 3)
                    partial[stream] += text
                    if tag == b"F":
                        account.add([partial[stream].decode()])
                        partial[stream] = b""
    return account


def test_every_line_is_written_once_through_rotation(tmp_path):
    plan = Plan(folder=tmp_path, containers=3, rate=0, lines=2000, long_every=500, max_bytes=50_000, max_files=100)

    written = generate(plan)

    account = read(tmp_path)
    assert written == {"gen-0": 2000, "gen-1": 2000, "gen-2": 2000}
    assert account.missing(written) == {}
    assert (account.repeats, account.strangers) == (0, 0)
    assert len(list(tmp_path.glob("*/app/*.gz"))) > 3


def test_the_process_prints_what_it_wrote(tmp_path):
    command = [sys.executable, "-m", "simulator.logs.generate", "--folder", str(tmp_path)]
    command += ["--containers", "2", "--lines", "50", "--rate", "0", "--rotate-every", "0.001", "--max-files", "50"]

    done = subprocess.run(command, capture_output=True, timeout=60, check=True)

    assert json.loads(done.stdout) == {"gen-0": 50, "gen-1": 50}
    assert read(tmp_path).missing({"gen-0": 50, "gen-1": 50}) == {}


def test_the_account_tells_what_is_missing_and_what_came_twice():
    account = Account()

    account.add([numbered("a", 0), numbered("a", 2), numbered("a", 2), "something else"])

    assert account.missing({"a": 4, "b": 1}) == {"a": [1, 3], "b": [0]}
    assert (account.repeats, account.strangers, account.count("a")) == (1, 1, 2)
