"""From files to Loki, through everything that happens to a node."""

import json
import shutil
import threading
import time

from msgspec.structs import replace

from agent.pods.ending import Ended
from agent.tail.store import TailStore
from kubescribe.labels.pods import PodFacts
from kubescribe.wire.times import to_rfc3339
from simulator.logs.rotating import content, generations
from simulator.logs.sequence import numbered
from simulator.loki.app import running_loki
from simulator.loki.faults import Cut, Fault
from simulator.loki.limits import Limits


def texts(begin: int, end: int) -> list[str]:
    return [numbered("web", number) for number in range(begin, end)]


async def test_lines_arrive_under_the_names_of_their_pod(node, eventually):
    log = node.container()
    async with node.tailing():
        log.write(["hello"])
        log.write(["oops"], "stderr")
        await eventually(lambda: len(node.lines()) == 2)

    (stdout,) = node.loki.entries('{namespace="shop", stream="stdout", container="app", cluster="c1"}')
    (stderr,) = node.loki.entries('{service_name="web", stream="stderr"}')
    assert (stdout.line, stderr.line) == ("hello", "oops")
    metadata = dict(stdout.metadata)
    assert metadata["pod"] == "web-0"
    assert (metadata["zone"], metadata["node"], metadata["restart"]) == ("zone-a", "n1", "0")


async def test_every_line_arrives_once_through_rotation_restart_and_a_second_life(node, eventually):
    log = node.container()
    async with node.tailing():
        log.write(texts(0, 10))
        log.rotate()
        log.write(texts(10, 20))
        await eventually(lambda: len(node.lines()) == 20)
    log.write(texts(20, 30))
    log.rotate()
    log.write(texts(30, 40))
    log.rotate()
    log.restart()
    log.write(texts(40, 50))
    async with node.tailing():
        await eventually(lambda: len(node.lines()) == 50)

    assert sorted(node.lines()) == sorted(texts(0, 50))
    assert len(node.loki.loki.arrived()) == 50
    assert node.gaps == []


async def test_nothing_is_read_twice_after_an_orderly_stop(node, eventually):
    log = node.container()
    log.write(texts(0, 100))
    for _ in range(3):
        async with node.tailing():
            await eventually(lambda: len(node.lines()) == 100)

    assert len(node.loki.loki.arrived()) == 100


async def test_a_place_moves_only_when_loki_has_the_lines(node, eventually):
    log = node.container()
    node.loki.faults.answer(500, 1000)
    async with node.tailing(stop_seconds=0.0) as tailer:
        log.write(texts(0, 10))
        await eventually(lambda: node.loki.requests)
        (tail,) = tailer.tails.values()
        assert tail.place is None
        assert tail.lag == log.size
    node.loki.faults.clear()
    async with node.tailing():
        await eventually(lambda: len(node.lines()) == 10)

    assert node.lines() == texts(0, 10)


async def test_lines_that_are_sent_again_are_the_same_bytes_though_the_pod_changed(node, eventually):
    log = node.container()
    node.loki.faults.add(Fault(count=1, cut=Cut.AFTER))
    node.loki.faults.answer(500, 1000)
    async with node.tailing(stop_seconds=0.0):
        log.write(texts(0, 10))
        await eventually(lambda: len(node.loki.loki.arrived()) == 10)
    node.loki.faults.clear()
    node.pods.pods.clear()
    node.pods.zone = "another"
    async with node.tailing():
        await eventually(lambda: len(node.loki.loki.arrived()) == 20)

    assert node.lines() == texts(0, 10)


async def test_lines_of_an_unknown_pod_wait_in_their_file_and_then_go_under_the_name_of_its_path(node, eventually):
    log = node.container("web-7d9f8c6b5-x2x4z", known=False)
    node.hold_seconds = 0.2
    async with node.tailing() as tailer:
        log.write(["hello"])
        await eventually(lambda: tailer.tails)
        assert node.lines() == []
        await eventually(node.lines)
        assert tailer.counts.unlabelled_lines == 1

    (entry,) = node.loki.entries('{workload_kind="Deployment", workload="web"}')
    assert dict(entry.metadata)["meta"] == "partial"


async def test_a_pod_that_becomes_known_in_time_is_named_in_full(node, eventually):
    log = node.container(known=False)
    node.hold_seconds = 300.0
    async with node.tailing() as tailer:
        log.write(["hello"])
        await eventually(lambda: tailer.tails)
        node.container()
        await eventually(node.lines)

    (entry,) = node.loki.entries('{service_name="web"}')
    assert "meta" not in dict(entry.metadata)


async def test_a_pod_that_is_deleted_at_once_loses_nothing(node, eventually):
    async with node.tailing():
        for number in range(20):
            log = node.container(f"job-{number}")
            log.write(texts(number * 10, number * 10 + 10))
            await eventually(lambda of=log.of: any(tail.uid == of.uid for tail in node.tailer.tails))
            await eventually(lambda: all(tail.reader.begins for tail in node.tailer.tails.values()))
            log.remove()
        await eventually(lambda: len(node.lines()) == 200)
        await eventually(lambda: not node.tailer.tails)

    assert node.gaps == []


async def test_a_pod_that_is_gone_before_anybody_looked_is_read_to_its_end(node, eventually):
    """Nothing slow comes before opening: the look at what was found waits here behind one that takes for ever."""
    looking, going_on = threading.Event(), threading.Event()
    async with node.tailing() as tailer:
        await eventually(lambda: tailer.finder)
        tailer._reading.submit(lambda: (looking.set(), going_on.wait(10)))
        await eventually(looking.is_set)
        try:
            logs = [node.container(f"job-{number}") for number in range(50)]
            for number, log in enumerate(logs):
                log.write(texts(number * 3, number * 3 + 3))
            await eventually(lambda: len(tailer.tails) == 50)
            for log in logs:
                log.remove()
        finally:
            going_on.set()
        await eventually(lambda: len(node.lines()) == 150)
        await eventually(lambda: not tailer.tails)

    assert node.gaps == []


async def test_what_was_gone_before_it_was_opened_is_a_gap_that_is_told_once_and_counted(node, eventually):
    async with node.tailing() as tailer:
        node.container("first-0").write(["hello"])
        await eventually(node.lines)
        before = time.time_ns()
        for number in range(3):
            folder = node.container(f"job-{number}").of.folder(node.folder)
            folder.mkdir(parents=True)
            # Docker's way, and nothing behind the link yet, or where the agent may see it.
            (folder / "0.log").symlink_to("/nowhere/json.log")
        await eventually(lambda: len(tailer.tails) == 4)
        assert node.gaps == []
        for pod in node.folder.glob("shop_job-*"):
            shutil.rmtree(pod)
        await eventually(lambda: len(node.gaps) == 3)
        await eventually(lambda: len(tailer.tails) == 1)
        assert tailer.counts.gaps["logDeleted"] == 3
    async with node.tailing(save_seconds=0.01) as tailer:
        await eventually(lambda: tailer.finder is not None)

    assert {gap.stream for gap in node.gaps} == {f"logs/shop/job-{number}/app" for number in range(3)}
    assert {(gap.cause, gap.outcome, gap.bytes) for gap in node.gaps} == {("logDeleted", "lost", None)}
    assert all(gap.start <= time.time_ns() and before <= (gap.to or 0) <= time.time_ns() for gap in node.gaps)
    assert all(before - gap.start < 60 * 10**9 for gap in node.gaps)
    assert len({gap.id for gap in node.gaps}) == len(node.gaps) == 3


async def test_containers_that_never_wrote_a_line_leave_no_gap(node, eventually):
    async with node.tailing() as tailer:
        log = node.container()
        log.open()
        await eventually(lambda: {0} in tailer._roster.restarts.values())
        log.restart()
        await eventually(lambda: {0, 1} in tailer._roster.restarts.values())
        log.remove()
        await eventually(lambda: not tailer.tails)
        await eventually(lambda: not tailer._roster.restarts)

    assert node.gaps == []


async def test_a_pod_that_had_ended_and_was_read_leaves_no_gap_when_it_is_deleted_while_the_agent_is_away(
    node, eventually
):
    written, silent = node.container("job-0"), node.container("job-1")
    async with node.tailing() as tailer:
        written.write(["hello"])
        silent.open()
        node.pods.over = {written.of.uid, silent.of.uid}
        await eventually(lambda: len(tailer.tails) == 2 and node.lines())
        await eventually(lambda: all(tailer._states.of(instance).is_done for instance in tailer.tails))
    written.remove()
    silent.remove()

    async with node.tailing() as tailer:
        await eventually(lambda: tailer.finder)
        node.container("job-2").write(["again"])
        await eventually(lambda: len(node.lines()) == 2)
        await eventually(lambda: len(tailer._states.known()) == 1)

    assert node.gaps == []


async def test_what_a_pod_writes_although_it_had_ended_is_read(node, eventually):
    log = node.container()
    node.pods.over = {log.of.uid}
    async with node.tailing() as tailer:
        log.write(["hello"])
        await eventually(lambda: any(tailer._states.of(instance).is_done for instance in tailer.tails))
        log.write(["more"])
        await eventually(lambda: node.lines() == ["hello", "more"])
    log.write(["and more"])
    async with node.tailing():
        await eventually(lambda: node.lines() == ["hello", "more", "and more"])


async def test_what_was_found_and_vanished_while_the_agent_was_dead_is_told_once(node, eventually):
    node.hold_seconds = 300.0
    log = node.container(known=False)
    log.write(["lost"])
    await node.crashing(seconds=0.5)
    assert "web-0" in node.settings.state.read_text()
    log.remove()

    for _ in range(2):
        async with node.tailing() as tailer:
            await eventually(lambda: node.gaps)
            await eventually(lambda tailer=tailer: not tailer.tails)

    (gap,) = node.gaps
    assert (gap.stream, gap.cause, gap.bytes) == ("logs/shop/web-0/app", "logDeleted", None)


async def test_a_pod_that_only_the_api_server_saw_is_a_gap(node, eventually):
    later = time.time_ns() + 60 * 10**9
    unseen = PodFacts(namespace="shop", name="job-0", uid="u-0", node="n1", created_at=later)
    async with node.tailing(with_inotify=False):
        log = node.container()
        log.write(["hello"])
        await eventually(node.lines)
        seen = PodFacts(namespace="shop", name="web-0", uid=log.of.uid, node="n1", created_at=later)
        node.ended = [Ended(pod=pod, containers=("app",), told_at=later) for pod in (seen, unseen)]
        await eventually(lambda: node.gaps)

    assert [gap.stream for gap in node.gaps] == ["logs/shop/job-0/app"]


async def test_a_pod_that_came_and_went_while_the_agent_was_away_is_a_gap_and_told_once(node, eventually):
    known = node.container("known-0")
    async with node.tailing():
        known.write(["hello"])
        await eventually(node.lines)
    before = PodFacts(namespace="shop", name="old-0", uid="u-0", node="n1", created_at=time.time_ns() - 60 * 10**9)
    away = replace(before, name="job-0", uid="u-1", created_at=time.time_ns())
    found = replace(away, name="known-0", uid=known.of.uid)
    known.remove()
    async with node.tailing(with_inotify=False):
        node.ended = [Ended(pod=pod, containers=("app",), told_at=1) for pod in (before, away, found)]
        await eventually(lambda: len(node.gaps) == 2 and not node.ended)

    # What was known and has no files any more is told from the state.
    assert sorted(gap.stream for gap in node.gaps) == ["logs/shop/job-0/app", "logs/shop/known-0/app"]


async def test_it_works_without_inotify(node, eventually):
    async with node.tailing(with_inotify=False):
        log = node.container()
        log.write(texts(0, 5))
        await eventually(lambda: len(node.lines()) == 5)
        log.rotate()
        log.write(texts(5, 10))
        await eventually(lambda: len(node.lines()) == 10)


async def test_the_folder_of_all_logs_may_come_later(node, eventually):
    node.folder.rmdir()
    async with node.tailing():
        log = node.container()
        log.write(["hello"])
        await eventually(node.lines)


async def test_dockers_files_behind_symbolic_links_are_read(node, eventually, tmp_path):
    target = tmp_path / "json.log"
    at = to_rfc3339(time.time_ns())
    line = json.dumps({"log": "hello\n", "stream": "stderr", "time": at})
    target.write_text(f"{line}\n")
    log = node.container()
    log.path.parent.mkdir(parents=True)
    log.path.symlink_to(target)
    async with node.tailing():
        await eventually(lambda: node.lines() == ["hello"])


async def test_files_of_an_ended_instance_that_cannot_be_opened_for_now_are_read_when_they_can(
    node, eventually, tmp_path
):
    log = node.container()
    log.write(["hello"])
    earlier = log.path
    moved = earlier.rename(tmp_path / "elsewhere")
    earlier.symlink_to(tmp_path / "target")
    log.restart()
    log.write(["again"])
    async with node.tailing():
        await eventually(lambda: node.lines() == ["again"])
        moved.rename(tmp_path / "target")
        await eventually(lambda: sorted(node.lines()) == ["again", "hello"])


async def test_what_was_deleted_unread_is_told_with_its_bytes(node, eventually):
    node.loki.faults.answer(500, 100_000)
    log = node.container(max_files=2)
    async with node.tailing(stop_seconds=0.0, window_bytes=1, held_bytes=0) as tailer:
        log.write(texts(0, 10))
        await eventually(lambda: node.loki.requests)
        for number in range(1, 4):
            log.rotate()
            log.write(texts(number * 10, number * 10 + 10))
            (tail,) = tailer.tails.values()
            await eventually(lambda tail=tail, count=number: tail.look.unread >= count * 1000 or node.gaps)
        node.loki.faults.clear()
        await eventually(lambda: numbered("web", 39) in node.lines())

        assert {gap.cause for gap in node.gaps} == {"logRotated"}
        assert all(gap.stream == "logs/shop/web-0/app" for gap in node.gaps)
        lost = 40 - len(node.lines())
        assert lost > 0
        assert tailer.counts.gap_bytes["logRotated"] >= lost * 100


async def test_what_was_deleted_of_a_container_that_was_restarted_while_nobody_looked_is_told(node, eventually):
    log = node.container()
    async with node.tailing():
        log.write(texts(0, 10))
        await eventually(lambda: len(node.lines()) == 10)
    log.write(texts(10, 20))
    log.restart()
    log.write(texts(20, 30))
    # Of the instances that have ended the kubelet keeps the last: the one with unread lines goes.
    log.restart()
    log.write(texts(30, 40))

    async with node.tailing():
        await eventually(lambda: node.gaps)
        await eventually(lambda: len(node.lines()) == 30)

    (gap,) = node.gaps
    assert (gap.cause, gap.outcome, gap.stream) == ("logDeleted", "lost", "logs/shop/web-0/app")


async def test_no_more_deleted_pods_are_held_open_than_may_be_and_the_oldest_is_a_gap(node, eventually):
    node.loki.faults.answer(500, 100_000)
    async with node.tailing(stop_seconds=0.0, held_files=5) as tailer:
        for number in range(8):
            log = node.container(f"job-{number}")
            # More than is read in one go: the rest waits for Loki.
            log.write([numbered(f"job-{number}", line) for line in range(4_000)])
            await eventually(lambda count=number: len(tailer.tails) == count + 1)
            log.remove()
            await eventually(
                lambda count=number: sum(it.look.held_files for it in tailer.tails.values()) == min(5, count + 1)
            )
        node.loki.faults.clear()
        await eventually(lambda: not tailer.tails)

        assert tailer.counts.gaps["logRotated"] == 3
    told = {gap.stream.split("/")[2] for gap in node.gaps}
    assert told == {"job-0", "job-1", "job-2"}


async def test_what_has_arrived_and_is_deleted_when_the_agent_stops_is_no_loss_to_the_next_life(node, eventually):
    logs = [node.container(f"web-{number}") for number in range(5)]
    for log in logs:
        log.write(texts(0, 10))
    # It looks once, and not again before it is stopped.
    async with node.tailing(look_seconds=60.0) as tailer:
        await eventually(lambda: len(node.lines()) == 50)
        await eventually(lambda: not any(tail.lag for tail in tailer.tails.values()))
        for log in logs:
            log.remove()
    assert tailer.tails == {}
    async with node.tailing():
        node.container("web-9").write(texts(0, 10))
        await eventually(lambda: len(node.lines()) == 60)

    assert node.gaps == []


async def test_instances_that_came_and_went_while_the_agent_was_away_are_one_gap(node, eventually):
    log = node.container()
    async with node.tailing():
        log.write(texts(0, 10))
        await eventually(lambda: len(node.lines()) == 10)
        log.restart()
        log.write(texts(10, 20))
        await eventually(lambda: len(node.lines()) == 20)
        # The first one has ended.
        await eventually(lambda: len(node.tailer.tails) == 1)
    for number in range(2, 6):
        log.restart()
        log.write(texts(number * 10, number * 10 + 10))
    async with node.tailing() as tailer:
        await eventually(lambda: len(node.gaps) == 2)
        await eventually(lambda: len(node.lines()) == 40)
        await eventually(lambda: len(tailer.tails) == 1)

    # What is missing of the one that was read, and the two after it.
    assert {(gap.stream, gap.cause, gap.bytes) for gap in node.gaps} == {("logs/shop/web-0/app", "logDeleted", None)}


async def test_lines_that_loki_refuses_for_good_are_counted_and_told(node, eventually):
    log = node.container()
    node.loki.loki.limits = Limits(max_line_bytes=50)
    async with node.tailing() as tailer:
        log.write(["short", "x" * 60, "short too"])
        await eventually(lambda: node.gaps)

        assert tailer.counts.rejected_lines == {"line_too_long": 1}
    (gap,) = node.gaps
    assert (gap.cause, gap.count, gap.detail) == ("logRefused", 1, "line_too_long")
    assert node.lines() == ["short", "short too"]


async def test_memory_is_bounded_while_loki_is_away(node, eventually):
    log = node.container()
    node.loki.faults.answer(503, 100_000)
    async with node.tailing(stop_seconds=0.0, flying_bytes=500_000, window_bytes=200_000) as tailer:
        for number in range(20):
            log.write(texts(number * 1000, number * 1000 + 1000))
        (tail,) = await _tails(tailer, eventually)
        await eventually(lambda: tail.flying_bytes and not tail.is_sending)
        # Nothing has arrived: of one file the first block is in memory, and no more.
        assert tail.flying_bytes < 2**20
        node.loki.faults.clear()
        await eventually(lambda: len(node.lines()) == 20_000)


async def test_a_stream_that_has_no_room_holds_up_no_other(node, eventually):
    first = node.container("web-0", labels={"app": "web"})
    stuck = node.container("api-0", labels={"app": "api"})
    async with running_loki(Limits(max_streams=1)) as node.loki, node.tailing(flying_bytes=2**20) as tailer:
        first.write(["first"])
        await eventually(node.lines)
        stuck.write(["x" * 1000] * 5000)

        def held() -> int:
            return sum(tail.flying_bytes for tail in tailer.tails.values() if tail.instance.pod == "api-0")

        await eventually(held)
        first.write(texts(0, 1000))
        await eventually(lambda: len(node.lines()) == 1001)

        assert 0 < held() < 2**20


async def test_a_compressed_generation_is_resumed_within(node, eventually):
    log = node.container()
    log.write(texts(0, 10))
    async with node.tailing():
        await eventually(lambda: len(node.lines()) == 10)
    log.write(texts(10, 20))
    log.rotate()
    log.rotate()
    log.write(texts(20, 30))
    assert [content(path).count(b"\n") for path in generations(log.path)] == [20, 0, 10]

    async with node.tailing():
        await eventually(lambda: len(node.lines()) == 30)

    assert node.lines() == texts(0, 30)
    assert len(node.loki.loki.arrived()) == 30


async def test_what_is_gone_is_forgotten(node, eventually):
    log = node.container()
    async with node.tailing():
        log.write(["hello"])
        await eventually(node.lines)
        log.restart()
        log.write(["again"])
        await eventually(lambda: len(node.lines()) == 2)
        log.remove()
        await eventually(lambda: not node.tailer.tails)
    state = node.settings.state.read_text()
    async with node.tailing():
        await eventually(lambda: node.settings.state.read_text() != state)

    assert TailStore(node.settings.state, since=0).instances == {}


async def _tails(tailer, eventually):
    await eventually(lambda: tailer.tails)
    return tailer.tails.values()


async def test_a_stream_that_loki_holds_up_keeps_no_other_from_being_read(node, eventually):
    node.loki.loki.ingester.limits = Limits(stream_rate_bytes=1, stream_burst_bytes=2000)
    for pod in ("web-0", "web-1", "web-2"):
        log = node.container(pod)
        facts = node.pods.pods[log.of.uid]
        node.pods.pods[log.of.uid] = replace(facts, owner_kind="StatefulSet", owner_name="web")
        log.write(["x" * 1000] * 4000)
    async with node.tailing(stop_seconds=0.0) as tailer:
        await eventually(lambda: sum(tail.flying_bytes for tail in tailer.tails.values()) >= 2**19)
        # Time enough for whatever else would be read of them.
        looked = {tail: tail.idle_since for tail in tailer.tails.values()}
        await eventually(lambda: all(tail.idle_since > at for tail, at in looked.items()))
        node.container("quiet-0").write(["still here"])

        await eventually(lambda: "still here" in node.lines(), seconds=20)
