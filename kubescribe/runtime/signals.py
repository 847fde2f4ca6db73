"""SIGTERM and SIGINT set the stop event; the second one kills. Not the stop itself: see tasks.py."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGTERM, signal.SIGINT)


@contextmanager
def stopping_on_signals(stop: asyncio.Event, asked: Callable[[str], None] | None = None) -> Iterator[None]:
    """
    Set *stop* at the first SIGTERM or SIGINT inside the block; *asked* is told the signal's name before.

    The second one ends the process as if nobody had caught it: an operator who asks twice means it. To be entered in
    the main thread, with the loop running; the handlers of before are put back at the end.
    """
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in SIGNALS}

    def first(number: signal.Signals) -> None:
        for each in SIGNALS:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_DFL)
        if asked is not None:
            asked(number.name)
        stop.set()

    for number in SIGNALS:
        loop.add_signal_handler(number, first, number)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)
            signal.signal(number, before[number])
