"""What stands still in an object's text: a line that fits gives what decoding it gives."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.watch.changes import ChangeRecorder
from agent.watch.counters import WatchCounters
from agent.watch.kinds import PODS, parse_kind, wanted_kinds
from agent.watch.redaction import Redactor
from agent.watch.stencils import REFUSALS, SETTLING, Standing, Stencils
from agent.watch.taking import ChangeTaker
from kubescribe.wire.records import Change

KINDS = {kind.kind: kind for kind in wanted_kinds()}
NEVER = Stencils(room_bytes=0)
CUSTOM = parse_kind("example.org/v1/Widget")


def taker(kind=PODS, stencils=None, **options):
    counters = WatchCounters()
    recorder = ChangeRecorder(
        kind, None, Redactor(b"key"), counters, stencils=Stencils() if stencils is None else stencils, **options
    )
    return ChangeTaker(recorder, kind, counters)


def entry(manager, second, **more):
    return {"manager": manager, "operation": "Update", "time": f"2026-01-01T00:00:{second:02d}Z", **more}


def a_line(version=1, *, fields=(), event="MODIFIED", kind="Pod", meta=None, **sections):
    head = {"name": "web", "namespace": "shop", "uid": "u1", "resourceVersion": str(version), **(meta or {})}
    head["managedFields"] = list(fields) or [entry("kubelet", version)]
    obj = {"kind": kind, "apiVersion": "v1", "metadata": head, **sections}
    return json.dumps({"type": event, "object": obj}, separators=(",", ":")).encode()


SPEC = {"nodeName": "n1", "containers": [{"name": "a", "env": [{"name": "TOKEN", "value": "abc"}]}]}


def statuses(count, **more):
    return [a_line(version, spec=SPEC, status={"step": version}, **more) for version in range(1, count + 1)]


def take(one, lines):
    return [one.take([line], [], at) for at, line in enumerate(lines, 1)]


def records(one, lines):
    return [msgspec.to_builtins(record) for taken in take(one, lines) for record in taken.records]


def fits(stencils, line):
    return stencils.fit(line) is not None


def primed(lines=None, **options):
    stencils = Stencils()
    one = taker(stencils=stencils, **options)
    take(one, lines or statuses(2))
    return one, stencils


def test_a_version_of_which_only_the_status_moved_gives_the_same_record_as_when_it_is_decoded():
    lines = statuses(9)
    stencils = Stencils()

    assert records(taker(stencils=stencils), lines) == records(taker(stencils=NEVER), lines)
    assert fits(stencils, lines[-1])
    assert not fits(NEVER, lines[-1])


@pytest.mark.parametrize(
    "name", ["pods", "nodes", "deployments", "replicasets", "jobs", "hpas", "services", "configmaps"]
)
def test_recorded_watches_give_the_same_records_with_and_without(recording, name):
    lines = recording(f"{name}.watch.ndjson")
    kind = next(
        kind for kind in KINDS.values() if kind.kind == json.loads(lines[0])["object"]["kind"] or kind.resource == name
    )

    # Twice: then every object that lives on is known, and what only moved its status fits.
    assert records(taker(kind), lines * 2) == records(taker(kind, NEVER), lines * 2)


entries = st.lists(
    st.builds(
        entry,
        st.sampled_from(["kubelet", "helm", 'a,{"manager":', ""]),
        st.integers(0, 3),
        fieldsV1=st.sampled_from([{"f:spec": {}}, {"f:status": {'k:{"type":"Ready"}': {}}}, {"f:metadata": {}}]),
        subresource=st.sampled_from(["", "status"]),
    ),
    max_size=3,
)
parts = st.sampled_from(
    [{"a": 1}, {"a": 2}, {"b": '"resourceVersion":"7"'}, {"managedFields": [{}], "spec": {"status": {}}}]
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["MODIFIED"] * 5 + ["ADDED", "DELETED"]),
            entries,
            parts,
            parts | st.none(),
            st.sampled_from([{}, {}, {}, {"labels": {"a": "1"}}, {"deletionTimestamp": "2026-01-01T00:00:00Z"}]),
        ),
        max_size=12,
    )
)
def test_any_history_gives_the_same_records_with_and_without(history):
    lines = []
    for version, (event, fields, spec, status, meta) in enumerate(history, 1):
        sections = {"spec": spec} if status is None else {"spec": spec, "status": status}
        lines.append(a_line(version, event=event, fields=fields, meta=meta, **sections))

    fast, plain = taker(), taker(stencils=NEVER)

    assert records(fast, lines) == records(plain, lines)
    assert dict(fast.recorder.known.items()) == dict(plain.recorder.known.items())


def test_a_version_that_only_moved_its_bookkeeping_is_churn():
    one, stencils = primed()
    line = a_line(7, spec=SPEC, status={"step": 2})

    (taken,) = take(one, [line])

    assert fits(stencils, line)
    assert (taken.records, taken.version, taken.events) == ([], 7, 1)
    assert one.recorder.known.get("u1").resource_version == 7


def test_the_actor_is_found_among_all_entries_when_more_than_the_last_moved():
    fields = [entry("helm", 1), entry("kubelet", 1, subresource="status", fieldsV1={"f:status": {}})]
    one, stencils = primed([a_line(version, fields=fields, spec=SPEC, status={"step": version}) for version in (1, 2)])
    both = [entry("helm", 5), entry("kubelet", 5, subresource="status", fieldsV1={"f:status": {}})]
    neither = a_line(4, fields=both, spec=SPEC, status={"step": 4})
    line = a_line(3, fields=both, spec=SPEC, status={"step": 3})

    changes = [taken.records[0] for taken in take(one, [line, neither])]

    assert fits(stencils, neither)
    assert [change.actor.manager for change in changes] == ["kubelet", "kubelet"]


def test_a_status_is_redacted_where_the_kind_asks_for_it():
    lines = [
        a_line(version, kind="Widget", spec={"a": 1}, status={"url": f"postgres://app:hunter{version}@db/x"})
        for version in range(1, 6)
    ]
    stencils = Stencils()

    bodies = [taken.records[0].body for taken in take(taker(CUSTOM, stencils), lines)]

    assert fits(stencils, lines[-1])
    assert all(b"hunter" not in body and b"kubescribe:redacted:" in body for body in bodies)


def test_a_spec_stays_redacted():
    one, stencils = primed()
    line = a_line(3, spec=SPEC, status={"step": 3})

    (change,) = take(one, [line])[0].records

    assert fits(stencils, line)
    assert b'"abc"' not in change.body
    assert b"kubescribe:redacted:" in change.body


def test_a_body_over_its_limit_is_cut_as_when_it_is_decoded():
    lines = [*statuses(3), a_line(9, spec=SPEC, status={"step": "x" * 2000})]

    assert records(taker(max_body_bytes=1000), lines) == records(taker(stencils=NEVER, max_body_bytes=1000), lines)


def test_an_object_that_is_not_known_any_more_is_decoded():
    one, stencils = primed()
    one.recorder.known.drop("u1")
    line = a_line(3, spec=SPEC, status={"step": 3})

    (taken,) = take(one, [line])

    assert fits(stencils, line)
    assert isinstance(taken.records[0], Change)
    assert one.recorder.known.get("u1").sections


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"name":"web"', b'"name":"new"'),
        (b'"nodeName":"n1"', b'"nodeName":"n2"'),
        (b'"resourceVersion":"3"', b'"resourceVersion":""'),
        (b'"resourceVersion":"3"', b'"resourceVersion":"3a"'),
        (b'"resourceVersion":"3"', b'"resourceVersion":"1234567890123456789"'),
        (b'"MODIFIED"', b'"DELETED"'),
        (b'"status":{"step":3}', b'"status":{"step":3},"more":{}'),
        (b'"status":{"step":3}', b'"status":{"step":}'),
        (b'"status":{"step":3}', b'"status":[]'),
        (b'"status":{"step":3}}}', b'"status":{"step":3}}} '),
        (b'"status":{"step":3}}}', b'"status":{"step":3}},"type":{}}'),
        (b'"manager":"kubelet"', b'"manager":7'),
        (b'[{"manager"', b'[,{"manager"'),
        (b'[{"manager"', b'[{},,{"manager"'),
        (b'[{"manager"', b'[{"manager":"a"}{"manager"'),
    ],
)
def test_a_line_that_differs_elsewhere_or_holds_no_whole_value_does_not_fit(old, new):
    _, stencils = primed()
    line = a_line(3, spec=SPEC, status={"step": 3})
    assert fits(stencils, line)
    assert line.count(old) == 1

    assert not fits(stencils, line.replace(old, new))


def _object(meta, rest=',"status":{}', spec="{}"):
    return f'{{"type":"MODIFIED","object":{{"metadata":{{{meta}}},"spec":{spec}{rest}}}}}'.encode()


@pytest.mark.parametrize(
    "line",
    [
        # A field that stands twice: the second counts.
        _object('"resourceVersion":"1","resourceVersion":"2","managedFields":[{}]'),
        _object('"labels":{"resourceVersion":"1"},"resourceVersion":"2","managedFields":[{}]'),
        _object('"resourceVersion":"1","managedFields":[{}]', ',"status":{},"metadata":{"uid":"v"},"status":{}'),
        # A status that is not the object's, entries that end elsewhere.
        _object('"resourceVersion":"1","managedFields":[{}]', "", '{"a":1,"status":{}}'),
        _object('"resourceVersion":"1","managedFields":[{"x":[{}]},"spec":{}]'),
        _object(""),
        b"",
    ],
)
def test_a_place_that_is_not_proven_gives_no_stencil(line):
    standing = Standing("u", "n", "", 0, 0, (1,), b"{", 1)

    assert not Stencils().cut(line, standing)
    assert Stencils().cut(_object('"resourceVersion":"1","managedFields":[{}]'), standing)


def test_the_memory_is_bounded_and_renewed_when_what_it_holds_is_not_asked_for():
    stencils = Stencils(room_bytes=20_000)
    one = taker(stencils=stencils)

    def pod(number):
        return [a_line(step, spec=SPEC, status={"step": step}, meta={"uid": f"u{number}"}) for step in (1, 2, 3)]

    for number in range(200):
        take(one, pod(number)[:2])
    held = len(stencils._stencils)
    assert 10 < held < 100
    assert fits(stencils, pod(0)[2])
    for number in range(200, 300 + held * REFUSALS):
        take(one, pod(number)[:2])

    assert not fits(stencils, pod(0)[2])
    assert sum(stencil.size for stencil in stencils._stencils.values()) <= 20_000


def test_an_entry_within_an_entry_is_not_the_last():
    _, stencils = primed(
        [a_line(at, fields=[entry("a", 1), entry("b", at)], spec=SPEC, status={"step": at}) for at in (1, 2)]
    )
    nested = a_line(3, fields=[{"x": [{}, {"manager": "a"}]}], spec=SPEC, status={"step": 3})
    malformed = nested.replace(b'{"manager":"a"}]}', b'{"manager":"a"}')

    for _ in range(2 * SETTLING):
        fits(stencils, nested)
        assert not fits(stencils, malformed)


def test_entries_that_moved_for_good_are_settled_anew():
    one, stencils = primed()
    lines = [
        a_line(at, fields=[entry("a", 9), entry("b", at)], spec=SPEC, status={"step": at})
        for at in range(3, 4 + SETTLING)
    ]

    take(one, lines)

    (stencil,) = stencils._stencils.values()
    assert b'"manager":"a"' in stencil.settled


@given(st.binary(max_size=200))
def test_arbitrary_bytes_do_not_fit(data):
    _, stencils = primed()

    for line in (data, statuses(3)[-1][:100] + data, statuses(3)[-1][:-30] + data):
        assert not fits(stencils, line)


TIMES = {
    "usual": lambda version: f"2026-01-01T00:00:{version:02d}Z",
    "finer": lambda version: f"2026-01-01T00:00:{version:02d}.{version}Z",
    "same digits": lambda version: f"0000000000000{version}--T::Z",
    "quoted": lambda version: f'2026-01-01T00:00:{version}"Z',
    "none": lambda _: None,
}


@pytest.mark.parametrize("time", TIMES)
@pytest.mark.parametrize("fields", [{"f:status": {}}, {"k": {"time": "2026-01-01T00:00:09Z"}}])
def test_a_last_entry_of_which_the_time_alone_moved_names_the_same_actor_as_when_it_is_decoded(time, fields):
    lines = []
    for version in range(1, 13):
        # Now and then another form comes, and stays for a while.
        owned = {**fields, "f:metadata": {}} if version in {6, 7, 8} else fields
        last = {"manager": "kubelet", "operation": "Update", "time": TIMES[time](version), "fieldsV1": owned}
        lines.append(a_line(version, spec=SPEC, status={"step": version}, fields=[entry("scheduler", 1), last]))

    assert records(taker(), lines) == records(taker(stencils=NEVER), lines)
