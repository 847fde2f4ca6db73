"""Numbered lines through everything at once: rotation, restarts of containers and of the agent, a Loki that fails."""

import asyncio
import random
import threading
from contextlib import suppress

from simulator.logs.generate import Plan, generate
from simulator.logs.sequence import Account
from simulator.loki.faults import Cut, Fault


async def test_no_numbered_line_is_lost_and_none_is_twice(node, eventually):
    plan = Plan(
        folder=node.folder,
        namespace="shop",
        containers=4,
        rate=2000,
        seconds=3.0,
        long_every=150,
        rotate_every_seconds=0.3,
        # Once: of dead instances the kubelet keeps the last, and the second restart would delete the first.
        restart_every_seconds=1.8,
        max_files=50,
    )
    written: dict[str, int] = {}
    stopped = threading.Event()
    writing = threading.Thread(target=lambda: written.update(generate(plan, stopped.is_set)))
    draw = random.Random(7)
    writing.start()
    try:
        while writing.is_alive():
            for _ in range(3):
                node.loki.faults.add(Fault(count=draw.randrange(3), code=draw.choice((500, 503))))
                node.loki.faults.add(Fault(count=1, cut=draw.choice(list(Cut))))
            await node.crashing(seconds=draw.uniform(0.1, 0.5))
        node.loki.faults.clear()
        async with node.tailing() as tailer:
            await eventually(lambda: sum(written.values()) == len(node.lines()), seconds=30.0)
            await eventually(lambda: not any(tail.lag for tail in tailer.tails.values()))
    finally:
        stopped.set()
        with suppress(RuntimeError):
            await asyncio.to_thread(writing.join)

    account = Account()
    account.add(node.lines())
    assert account.missing(written) == {}
    assert (account.repeats, account.strangers) == (0, 0)
    assert node.gaps == []
