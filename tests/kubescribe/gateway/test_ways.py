"""However Loki answers, each push goes out once, and those of a stream in their order."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from kubescribe.gateway.waiting import PORTION_STREAMS, Tenant, portions_of, way_key
from kubescribe.gateway.ways import HELD_SECONDS, Ways
from kubescribe.loki.pushes import Push


def push(tenant, stream, n, part):
    return Push(
        labels=stream,
        entries=b"%d/%d" % (n, part) + bytes(40_000),
        count=1,
        content_bytes=1,
        first_at=1,
        last_at=1,
        tenant=tenant,
    )


@given(seed=st.integers(0, 2**32), window=st.sampled_from([60_000, 300_000, 2**23]))
@settings(max_examples=40, deadline=None)
def test_each_push_goes_out_once_in_the_order_of_its_stream(seed, window):
    rng = random.Random(seed)
    frames, flights, sent, clock = {}, [], [], 0.0
    for n in range(1, 40):
        tenant = rng.choice("ab")
        streams = rng.sample("uvwxyz", rng.randint(1, 4))
        frames[n] = (tenant, [push(tenant, each, n, part) for each in streams for part in range(rng.randint(1, 4))])
    ways = Ways(window)

    def take(moved):
        for way in moved:
            while way.outbox:
                given_out, flight = way.outbox.popleft()
                sent.append(given_out)
                flights.append((way, flight))

    def again():
        while (waiting := ways.next_waiting()) is not None:
            n = waiting.notes.first
            if isinstance(waiting, Tenant):
                waiting.notes.drop_first()
                take(ways.route(waiting, n, frames[n][1], clock))
            else:
                take(ways.resume(waiting.tenant, n, frames[n][1], clock))

    def land():
        ways.land(*flights.pop(rng.randrange(len(flights))), clock)

    for n, (name, pushes) in frames.items():
        tenant = ways.tenant(name)
        if tenant.notes or not ways.takes(tenant):
            tenant.notes.add(n)
        elif not ways.pass_over(tenant, n, [each.labels for each in pushes]):
            take(ways.route(tenant, n, pushes, clock))
        clock += rng.choice([0.0, 20.0])
        while flights and rng.random() < 0.4:
            land()
            again()
        assert ways.flying <= window + 50_000 * 2
    while flights:
        assert ways.oldest() == ways.open()[0]
        land()
        again()

    assert (ways.oldest(), ways.open(), ways.flying, ways._tenants) == (None, [], 0, {})
    by_stream = {}
    for each in sent:
        by_stream.setdefault((each.tenant, each.labels), []).append(each)
    expected = {}
    for _, pushes in frames.values():
        for each in pushes:
            expected.setdefault((each.tenant, each.labels), []).append(each)
    assert by_stream == expected


@given(seed=st.integers(0, 2**32), count=st.sampled_from([0, 1, 500, 501, 1000, 1700]))
@settings(max_examples=12, deadline=None)
def test_portions_of_a_frame_keep_what_goes_one_way_together_and_in_order(seed, count):
    rng = random.Random(seed)
    pushes = [
        Push(labels=f"s{rng.randrange(900)}", entries=b"%d" % n, count=1, content_bytes=1, first_at=1, last_at=1)
        for n in range(count)
    ]

    portions = portions_of(pushes)

    assert sorted((push for portion in portions for push in portion), key=lambda it: int(it.entries)) == pushes
    assert all(len(portion) >= PORTION_STREAMS for portion in portions[:-1])
    ways = [{way_key(push) for push in portion} for portion in portions]
    assert sum(map(len, ways)) == len(set().union(*ways))
    for portion in portions:
        by_way = {}
        for push in portion:
            by_way.setdefault(way_key(push), []).append(int(push.entries))
        assert all(sorted(each) == each for each in by_way.values())


def test_who_comes_last_finds_room_however_many_tenants_are_held_up():
    ways = Ways()
    for name in range(20):
        ways.route(ways.tenant(f"a{name}"), name + 1, [push("", "s", 1, n) for n in range(100)], 0.0)

    assert ways.takes(ways.tenant("b"))


def test_a_tenant_whose_streams_wait_for_too_many_frames_waits_as_a_whole(monkeypatch):
    monkeypatch.setattr("kubescribe.gateway.ways.MAX_NOTES", 10)
    ways = Ways()
    tenant = ways.tenant("a")
    for n in range(1, 50):
        if ways.takes(tenant):
            ways.route(tenant, n, [push("a", "s", n, part) for part in range(2)], 0.0)

    assert tenant.noted == 5
    assert ways.takes(ways.tenant("b"))


def test_a_frame_that_cannot_be_read_any_more_leaves_nothing_behind():
    ways = Ways()
    ways.tenant("a").notes.add(1)

    ways.skip(ways.next_waiting())

    assert (ways.oldest(), ways._tenants) == (None, {})


@given(seed=st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_what_is_taken_back_goes_out_later_once_and_in_order(seed):
    rng = random.Random(seed)
    ways, frames, sent = Ways(400_000), {}, []
    for n in range(1, 30):
        name = rng.choice("abcd")
        frames[n] = (name, [push(name, each, n, part) for each in "xy" for part in range(rng.randint(1, 4))])

    def take(moved):
        for way in moved:
            # Some are not given to the sender yet.
            while way.outbox and rng.random() < 0.8:
                given_out, flight = way.outbox.popleft()
                sent.append((given_out, flight))

    def again():
        while (waiting := ways.next_waiting()) is not None:
            n = waiting.notes.first
            if isinstance(waiting, Tenant):
                waiting.notes.drop_first()
                take(ways.route(waiting, n, frames[n][1], 0.0))
            else:
                take(ways.resume(waiting.tenant, n, frames[n][1], 0.0))

    def take_back():
        tenant = rng.choice(list(ways._tenants.values()))
        ways.hold(tenant)
        for way in list(tenant.ways.values()):
            count = rng.randint(0, len(way.flights)) if not way.outbox else len(way.outbox)
            taken = [flight for flight in list(way.flights)[len(way.flights) - count :] if not flight.is_final]
            way.outbox.clear()
            if taken:
                ways.put_back(way, taken)
                sent[:] = [it for it in sent if it[1] not in taken]

    def land():
        waiting = [(way, flight) for it in ways._tenants.values() for way in it.ways.values() for flight in way.flights]
        given = {id(flight) for _, flight in sent}
        ready = [it for it in waiting if id(it[1]) in given and not it[1].is_final and it[0].flights[0] is it[1]]
        if ready:
            ways.land(*rng.choice(ready), 0.0)

    for n, (name, pushes) in frames.items():
        tenant = ways.tenant(name)
        if not tenant.notes and ways.takes(tenant):
            take(ways.route(tenant, n, pushes, 0.0))
        else:
            tenant.notes.add(n)
        if rng.random() < 0.3:
            take_back()
        land()
        again()
    for _ in range(10_000):
        if ways.oldest() is None:
            break
        take([way for it in ways._tenants.values() for way in it.ways.values()])
        land()
        again()

    assert (ways.oldest(), ways.open(), ways.flying, ways.held_flying, ways._noted) == (None, [], 0, 0, 0)
    by_stream, expected = {}, {}
    for each, _ in sent:
        by_stream.setdefault((each.tenant, each.labels), []).append(each)
    for _, pushes in frames.values():
        for each in pushes:
            expected.setdefault((each.tenant, each.labels), []).append(each)
    assert by_stream == expected


def test_those_that_are_held_up_give_way_to_others_and_try_in_turn():
    ways = Ways(400_000)
    for number in range(12):
        tenant = ways.tenant(f"held-{number}")
        if ways.takes(tenant):
            ways.route(tenant, number + 1, [push("", "s", number + 1, 0)], 0.0)
        else:
            tenant.notes.add(number + 1)
    assert not ways.takes(ways.tenant("b"))
    assert ways.held_up(HELD_SECONDS) == []

    for tenant in ways.held_up(HELD_SECONDS + 0.1):
        ways.hold(tenant)
        for way in tenant.ways.values():
            way.outbox.clear()
            ways.put_back(way, list(way.flights))

    assert ways.takes(ways.tenant("b"))
    tried = ways.next_waiting()
    ways.resume(tried.tenant, tried.notes.first, [push("", "s", tried.notes.first, 0)], 10.0)
    assert ways.next_waiting().tenant is not tried.tenant
    (flight,) = tried.flights
    ways.land(tried, flight, 11.0)
    assert not tried.tenant.is_held


def test_a_tenant_that_is_well_has_room_beside_any_number_of_which_nothing_is_known():
    ways = Ways()
    well = ways.tenant("b")
    (way,) = ways.route(well, 1, [push("b", "s", 1, 0)], 0.0)
    ways.land(way, way.flights[0], 0.1)
    for number in range(200):
        tenant = ways.tenant(f"new-{number}")
        if ways.takes(tenant):
            ways.route(tenant, number + 2, [push("", "s", 1, n) for n in range(100)], 0.0)
        else:
            tenant.notes.add(number + 2)
    ways.tenant("b").notes.add(300)

    assert ways.takes(ways.tenant("b"))
    assert ways.next_waiting() is ways.tenant("b")


def test_a_frame_of_streams_that_all_wait_is_passed_over_and_one_of_others_is_not():
    ways = Ways(300_000)
    for n in range(1, 5):
        ways.route(ways.tenant("a"), n, [push("a", "s", n, part) for part in range(2)], 0.0)

    assert ways.waits("a", ["s"])
    assert not ways.waits("a", ["s", "t"])
    assert not ways.waits("b", ["s"])
    assert ways.pass_over(ways.tenant("a"), 5, ["s", "s"])
    assert not ways.pass_over(ways.tenant("a"), 6, ["s", "t"])
    assert ways.open()[-1] == 5
