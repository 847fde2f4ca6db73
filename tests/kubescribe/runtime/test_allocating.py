"""Threads of a daemon do not each keep an arena (glibc reserves 64 MiB of addresses for each); holes are given back."""

import platform
import subprocess
import sys

import pytest

ARENA_KB = 60_000

PROGRAM = """
import sys, threading
from pathlib import Path
from kubescribe.runtime.allocating import share_one_arena

def vm():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmSize:"))

if sys.argv[1] == "shared":
    assert share_one_arena()
threading.stack_size(256 * 1024)
before = vm()
here = threading.Barrier(5)

def allocate():
    kept = [bytes(4096) for _ in range(50)]
    here.wait()
    here.wait()
    del kept

threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
here.wait()
print(vm() - before)
here.wait()
for thread in threads:
    thread.join()
"""


def grown_kb(how: str) -> int:
    done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the arenas are glibc's")
def test_threads_share_one_arena_once_they_are_told_to() -> None:
    assert grown_kb("shared") < ARENA_KB < grown_kb("apart")


HOLES = """
import asyncio
from kubescribe.runtime.allocating import keep_giving_back, resident_bytes, share_one_arena

assert share_one_arena()

async def main():
    # What stays lies between what was only there in the rush.
    kept, rush = [], []
    for _ in range(10_000):
        rush.append(bytes(6000))
        kept.append(bytes(600))
    high = resident_bytes()
    rush.clear()
    giving = asyncio.create_task(keep_giving_back(look_seconds=0.01))
    deadline = asyncio.get_running_loop().time() + 60
    while resident_bytes() > high - 15 * 2**20 and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.01)
    print((high - resident_bytes()) // 2**20)
    giving.cancel()

asyncio.run(main())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the holes are glibc's")
def test_what_was_free_after_a_rush_is_given_back_wherever_it_lies() -> None:
    done = subprocess.run([sys.executable, "-c", HOLES], capture_output=True, text=True, check=True)

    assert int(done.stdout) >= 15
