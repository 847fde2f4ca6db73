"""The first signal asks, the second kills."""

import asyncio
import os
import signal
import subprocess
import sys

import pytest

from kubescribe.runtime.signals import SIGNALS, stopping_on_signals


@pytest.mark.parametrize("number", SIGNALS)
async def test_the_first_signal_sets_the_stop_and_the_handlers_return(number: signal.Signals) -> None:
    before = [signal.getsignal(each) for each in SIGNALS]
    stop, asked = asyncio.Event(), []

    with stopping_on_signals(stop, asked.append):
        os.kill(os.getpid(), number)
        async with asyncio.timeout(5):
            await stop.wait()

    assert asked == [number.name]
    assert [signal.getsignal(each) for each in SIGNALS] == before


PROGRAM = """
import asyncio
from kubescribe.runtime.signals import stopping_on_signals

async def main():
    stop = asyncio.Event()
    with stopping_on_signals(stop):
        print("ready", flush=True)
        await stop.wait()
        print("stopping", flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""


@pytest.mark.parametrize("number", SIGNALS)
def test_the_second_signal_kills(number: signal.Signals) -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.stdout.readline() == "stopping\n"
        process.send_signal(number)

        assert process.wait(20) == -number
