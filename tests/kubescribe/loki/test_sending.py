"""The way to Loki: in order for each stream, nothing lost, nothing twice after Loki's dedupe, whatever it answers."""

import asyncio
import random
from dataclasses import replace

import msgspec
import pytest

from kubescribe.loki.errors import SenderStopped
from kubescribe.loki.pushes import Outcome
from kubescribe.loki.sending import MAX_TENANTS
from tests.kubescribe.loki.house import (
    CUT,
    DROP,
    NOW,
    QUICK,
    fake_loki,
    labels_of,
    outcomes,
    push_of,
    sending,
    stream_rate,
    too_far_behind,
    until,
)


def batches(apps, count):
    """Return numbered pushes of *apps* in turn, two lines each."""
    return [push_of(app, f"{n}.0", f"{n}.1", at=NOW + n * 10) for n in range(count) for app in apps]


def expected(count):
    return [f"{n}.{part}" for n in range(count) for part in (0, 1)]


async def test_a_push_is_in_loki_when_its_outcome_says_so():
    async with fake_loki() as loki, sending(loki.url) as sender:
        assert await outcomes(sender, push_of("web", "one", "two")) == [Outcome(accepted=2)]

        assert loki.lines(labels_of("web")) == ["one", "two"]
        assert loki.requests[0].headers["Content-Type"] == "application/x-protobuf"
        assert loki.requests[0].headers["User-Agent"] == "kubescribe/1.2"
        assert sender.numbers.pushes == {"204": 1}


async def test_each_stream_keeps_its_order_and_each_entry_its_bytes_under_failures():
    draw = random.Random(7)
    seen = {}

    def decide(request):
        for labels, entries in request.streams:
            for entry in entries:
                assert seen.setdefault((labels, entry[1]), entry) == entry
        return draw.choice([None, None, (500, "no"), (503, ""), DROP, CUT, (429, "slow down")])

    limits = replace(QUICK, linger_seconds=0.002)
    async with fake_loki(decide) as loki, sending(loki.url, limits) as sender:
        # A refusal for its rate pauses for a second: too slow for a test with so many.
        results = await outcomes(sender, *batches("abcde", 8)[:20])

        assert all(result == Outcome(accepted=2) for result in results)
        assert {app: loki.lines(labels_of(app)) for app in "abcde"} == dict.fromkeys("abcde", expected(4))
        assert loki.overtaken == []


async def test_a_stream_that_is_refused_for_its_rate_stops_no_other():
    def decide(request):
        return stream_rate(labels_of("hot")) if labels_of("hot") in request.labels and refuses else None

    refuses = True
    async with fake_loki(decide) as loki, sending(loki.url, replace(QUICK, lanes=1)) as sender:
        hot = await sender.submit(push_of("hot", "h"))
        await outcomes(sender, *batches("ab", 5))

        assert not hot.done()
        assert loki.lines(labels_of("a")) == loki.lines(labels_of("b")) == expected(5)
        refuses = False
        assert await hot == Outcome(accepted=1)


async def test_a_stream_for_which_loki_has_no_place_waits_and_those_that_exist_go_on():
    full = False

    def decide(request):
        if full and '{app="new"}' in request.labels:
            rest = [stream for stream in request.streams if stream[0] != labels_of("new")]
            loki.store(rest)
            return 429, 'maximum active stream limit exceeded when trying to create stream {app="new"}, reduce'
        return None

    async with fake_loki(decide) as loki, sending(loki.url, replace(QUICK, lanes=1)) as sender:
        await outcomes(sender, push_of("old", "first"))
        full = True
        new = await sender.submit(push_of("new", "n"))
        await outcomes(sender, *batches(["old"], 3))
        assert not new.done()

        full = False

        assert await new == Outcome(accepted=1)


async def test_what_is_new_to_loki_travels_alone_and_what_it_knows_together():
    async with fake_loki() as loki, sending(loki.url, replace(QUICK, lanes=1, idle_linger_seconds=0.05)) as sender:
        await outcomes(sender, *batches("abc", 1))
        assert [len(request.streams) for request in loki.requests] == [1, 1, 1]

        await outcomes(sender, *batches("abc", 3))

        assert [len(request.streams) for request in loki.requests[3:]] == [3]


async def test_a_400_is_never_sent_again_and_what_was_dropped_is_counted_by_reason():
    def decide(request):
        if "bad" not in request.lines:
            return None
        loki.store([(labels, [entry for entry in entries if entry[1] != "bad"]) for labels, entries in request.streams])
        return (
            400,
            "max entry size '2' bytes exceeded for stream '{app=\"web\"}' while adding an entry with length '3' bytes",
        )

    async with fake_loki(decide) as loki, sending(loki.url) as sender:
        (result,) = await outcomes(sender, push_of("web", "a", "bad", "b"))

        assert result == Outcome(accepted=2, rejected={"line_too_long": 1})
        assert loki.lines(labels_of("web")) == ["a", "b"]
        assert len(loki.requests) == 1
        assert sender.numbers.rejected == {"line_too_long": 1}


async def test_entries_that_their_stream_does_not_take_any_more_come_alone_under_late():
    behind = NOW - 2 * 3600 * 10**9

    def decide(request):
        ((labels, entries),) = request.streams
        old = [entry for entry in entries if entry[0] < NOW - 3600 * 10**9]
        if "late" in labels or not old:
            return None
        loki.store([(labels, [entry for entry in entries if entry not in old])])
        return too_far_behind(len(old), len(entries), labels)

    async with fake_loki(decide) as loki, sending(loki.url) as sender:
        old = push_of("web", "old1", "old2", at=behind)
        mixed = msgspec.structs.replace(
            old, entries=old.entries + push_of("web", "new").entries, count=3, last_at=NOW, content_bytes=90
        )
        results = await outcomes(sender, mixed, push_of("web", "newer", at=NOW + 1))

        assert results == [Outcome(accepted=3), Outcome(accepted=1)]
        assert loki.lines('{app="web", late="1"}') == ["old1", "old2"]
        assert loki.lines(labels_of("web")) == ["new", "newer"]
        assert sender.numbers.late == 2


async def test_what_is_too_late_even_under_late_is_told_and_not_sent_for_ever():
    def decide(request):
        return too_far_behind(1, 1, request.labels[0])

    async with fake_loki(decide) as loki, sending(loki.url) as sender:
        (result,) = await outcomes(sender, push_of("web", "old"))

        assert result == Outcome(accepted=0, rejected={"too_far_behind": 1})
        assert len(loki.requests) == 2


async def test_a_request_that_is_too_large_is_halved_down_to_one_entry():
    def decide(request):
        return (413, "request entity too large") if len(request.lines) > 1 or "big" in request.lines else None

    async with fake_loki(decide) as loki, sending(loki.url) as sender:
        results = await outcomes(sender, push_of("web", "a", "b", "big", "c"), push_of("web", "d", at=NOW + 9))

        assert results == [Outcome(accepted=3, rejected={"request_body_too_large": 1}), Outcome(accepted=1)]
        assert loki.lines(labels_of("web")) == ["a", "b", "c", "d"]


async def test_a_push_larger_than_a_request_goes_out_in_parts():
    lines = [f"{n:04d}" + "x" * 400 for n in range(100)]

    async with fake_loki() as loki, sending(loki.url, replace(QUICK, request_bytes=8 * 1024)) as sender:
        assert await outcomes(sender, push_of("web", *lines)) == [Outcome(accepted=100)]

        assert loki.lines(labels_of("web")) == lines
        assert all(request.size <= 8 * 1024 for request in loki.requests)


async def test_a_request_that_is_refused_as_a_whole_is_taken_apart_until_the_bad_stream_is_alone():
    def decide(request):
        return (400, "couldn't parse labels: 1:2: error") if labels_of("bad") in request.labels and knows else None

    knows = False
    async with (
        fake_loki(decide) as loki,
        sending(loki.url, replace(QUICK, lanes=1, idle_linger_seconds=0.05)) as sender,
    ):
        await outcomes(sender, push_of("a", "1"), push_of("bad", "1"), push_of("c", "1"))
        knows = True
        later = [push_of(app, "2", at=NOW + 5) for app in ("a", "bad", "c")]

        results = await outcomes(sender, *later)

        assert results == [
            Outcome(accepted=1),
            Outcome(accepted=0, rejected={"invalid_labels": 1}),
            Outcome(accepted=1),
        ]
        assert loki.lines(labels_of("c")) == ["1", "2"]


async def test_a_wrong_setting_is_told_and_kept_and_heals_when_it_is_put_right(tmp_path):
    token = tmp_path / "token"
    token.write_text("old")

    def decide(request):
        return None if request.headers.get("Authorization") == "Bearer new" else (401, "no")

    async with fake_loki(decide) as loki, sending(loki.url, bearer_token_file=token, tenant="shop") as sender:
        waiting = await sender.submit(push_of("web", "kept"))
        await until(lambda: sender.numbers.pushes["401"] >= 2)
        assert not waiting.done()

        token.write_text("new")

        assert await waiting == Outcome(accepted=1)
        assert loki.requests[-1].headers["X-Scope-OrgID"] == "shop"


async def test_a_tenant_that_may_not_write_stops_no_other_tenant():
    def decide(request):
        return (403, "no") if request.headers["X-Scope-OrgID"] == "bad" else None

    async with fake_loki(decide) as loki, sending(loki.url) as sender:
        refused = await sender.submit(push_of("web", "x", tenant="bad"))
        assert await outcomes(sender, push_of("web", "y", tenant="good")) == [Outcome(accepted=1)]

        assert not refused.done()
        assert loki.requests[-1].headers["X-Scope-OrgID"] in {"good", "bad"}


async def test_while_loki_is_away_memory_is_bounded_and_one_lane_at_a_time_asks():
    away = True
    at_once = most = 0

    async def decide(_request):
        nonlocal at_once, most
        if not away:
            return None
        at_once += 1
        most = max(most, at_once if sender.numbers.is_away else 0)
        await asyncio.sleep(0.002)
        at_once -= 1
        return 503, "away"

    limits = replace(QUICK, waiting_bytes=60_000)
    async with fake_loki(decide) as loki, sending(loki.url, limits) as sender:
        pushes = [push_of(f"app{n % 20}", f"{n} " + "x" * 100, at=NOW + n) for n in range(200)]

        async def submit_all():
            return [await sender.submit(push) for push in pushes]

        submitting = asyncio.create_task(submit_all())
        await until(lambda: sender.numbers.is_away and sender.numbers.pushes["503"] > 20)
        assert sender.numbers.waiting_bytes <= 60_000
        assert not submitting.done()
        assert most <= QUICK.lanes

        away = False

        results = [await outcome for outcome in await submitting]
        assert all(result == Outcome(accepted=1) for result in results)
        assert sum(len(lines) for lines in loki.stored.values()) == 200


async def test_a_tenant_named_once_is_not_remembered_for_ever_and_one_that_waits_is_not_forgotten():
    stuck = True
    decide = lambda request: (401, "no") if stuck and request.headers["X-Scope-OrgID"] == "stuck" else None  # noqa: E731
    async with fake_loki(decide) as loki, sending(loki.url) as sender:
        waiting = await sender.submit(push_of("web", "one", tenant="stuck"))
        await until(lambda: loki.requests)
        before = len(asyncio.all_tasks())
        for n in range(3 * MAX_TENANTS):
            await outcomes(sender, push_of("web", "one", tenant=f"t{n}"))

        await until(lambda: len(asyncio.all_tasks()) - before <= MAX_TENANTS)
        stuck = False
        assert await waiting == Outcome(accepted=1)


async def test_a_million_tiny_pushes_do_not_wait_in_memory_at_once():
    async with (
        fake_loki(lambda _: (500, "no")) as loki,
        sending(loki.url, replace(QUICK, waiting_bytes=2**20)) as sender,
    ):
        async with asyncio.timeout(10):
            submitting = [asyncio.create_task(sender.submit(push_of(f"a{n}", "x"))) for n in range(1000)]
            await until(lambda: loki.requests)

        assert sum(task.done() for task in submitting) < 512
        for task in submitting:
            task.cancel()
        await asyncio.gather(*submitting, return_exceptions=True)


async def test_a_stop_in_the_middle_acknowledges_nothing_that_loki_has_not():
    async with fake_loki(lambda _: (500, "no")) as loki, sending(loki.url) as sender:
        waiting = await sender.submit(push_of("web", "kept"))
        await until(lambda: loki.requests)

        await sender.stop(0.05)

        with pytest.raises(SenderStopped):
            await waiting
        with pytest.raises(SenderStopped):
            await sender.submit(push_of("web", "more"))


async def test_a_stop_sends_what_waits_if_there_is_time():
    async with (
        fake_loki() as loki,
        sending(loki.url, replace(QUICK, linger_seconds=60, idle_linger_seconds=60)) as sender,
    ):
        await outcomes(sender, push_of("web", "first"))
        waiting = await sender.submit(push_of("web", "second", at=NOW + 1))

        await sender.stop(5)

        assert await waiting == Outcome(accepted=1)
        assert loki.lines(labels_of("web")) == ["first", "second"]


async def test_a_push_without_entries_is_a_mistake_of_the_caller():
    async with fake_loki() as loki, sending(loki.url) as sender:
        with pytest.raises(ValueError, match="without an entry"):
            await sender.submit(msgspec.structs.replace(push_of("web", "x"), count=0))


async def test_a_tenant_that_has_nothing_to_send_costs_nothing_after_a_while():
    async with fake_loki() as loki, sending(loki.url, replace(QUICK, idle_lane_seconds=0.02)) as sender:
        await outcomes(sender, push_of("web", "one", tenant="once"))
        await until(lambda: not sender._lanes and not sender._tenants and not sender._tasks)

        assert await outcomes(sender, push_of("web", "two", at=NOW + 1, tenant="once")) == [Outcome(accepted=1)]
        assert loki.lines(labels_of("web")) == ["one", "two"]


@pytest.mark.parametrize("text", ["<html>The plain HTTP request was sent to HTTPS port</html>", "who are you"])
async def test_a_400_of_somebody_who_is_no_loki_drops_nothing(text):
    is_loki = False

    def decide(_request):
        return None if is_loki else (400, text)

    async with fake_loki(decide) as loki, sending(loki.url) as sender:
        waiting = await sender.submit(push_of("web", "kept"))
        await until(lambda: sender.numbers.pushes["400"] >= 2)
        assert not waiting.done()

        is_loki = True

        assert await waiting == Outcome(accepted=1)


async def test_a_400_in_new_words_of_a_loki_that_took_other_things_drops_what_it_is_about():
    def decide(request):
        return (400, "new words") if "bad" in request.lines else None

    async with fake_loki(decide) as loki, sending(loki.url) as sender:
        await outcomes(sender, push_of("web", "good"))

        results = await outcomes(sender, push_of("web", "bad", at=NOW + 1), push_of("web", "better", at=NOW + 2))

        assert results == [Outcome(accepted=0, rejected={"other": 1}), Outcome(accepted=1)]


async def test_a_tenant_at_a_slow_pace_does_not_keep_the_others_from_seeing_that_loki_is_back():
    is_away = False

    def decide(request):
        if request.headers.get("X-Scope-OrgID") == "slow":
            return 429, "Ingestion rate limit exceeded for user slow (limit: 1 bytes/sec) while attempting to ingest"
        return (500, "away") if is_away else None

    async with fake_loki(decide) as loki, sending(loki.url) as sender:
        await sender.submit(push_of("s0", "one", tenant="slow"))
        await until(lambda: len(loki.requests) == 1)
        is_away = True
        first = await sender.submit(push_of("a", "one"))
        await until(lambda: sender.numbers.is_away)
        for number in range(1, 9):
            await sender.submit(push_of(f"s{number}", "two", tenant="slow"))
        count = len(loki.requests)
        await until(lambda: len(loki.requests) > count + 10)

        is_away = False
        async with asyncio.timeout(10):
            await first
