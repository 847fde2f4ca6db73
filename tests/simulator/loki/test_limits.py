"""The limits answer with Loki's statuses and words (pkg/validation, pkg/distributor, pkg/ingester, loki@65e30f8)."""

from datetime import UTC, datetime

import pytest

from simulator.loki.limits import Bucket

SECOND = 1_000_000_000
STREAM = '{app="x"}'
NAMED = '{app="x", service_name="x"}'


def rfc3339(at):
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def test_the_rate_refuses_a_whole_request_and_stores_nothing(start, now):
    client = await start(ingestion_rate_bytes=10, ingestion_burst_bytes=20)

    assert (await client.push((STREAM, [(now, "x" * 12)])))[0] == 204
    assert await client.push((STREAM, [(now, "y" * 10), (now, "zz", {"pod": "p"})])) == (
        429,
        (
            "ingestion rate limit exceeded for user fake (limit: 10 bytes/sec) while attempting to ingest '2' lines"
            " totaling '16' bytes, reduce log volume or contact your Loki administrator to see if the limit can be"
            " increased\n"
        ),
    )
    assert len(client.loki.entries()) == 1


def test_a_bucket_fills_again_and_never_gives_more_than_its_burst():
    at = [0.0]
    bucket = Bucket(rate=10, burst=20, now=lambda: at[0])

    assert not bucket.take(21)
    assert bucket.take(20)
    assert not bucket.take(1)
    at[0] = 0.5
    assert bucket.take(5)
    assert not bucket.take(1)
    at[0] = 100.0
    assert not bucket.take(21)


async def test_a_stream_above_its_rate_is_refused_wholly_and_the_next_hides_it(start, now):
    client = await start(stream_rate_bytes=1024, stream_burst_bytes=8)
    hot = [(now, "0123456789")]

    status, text = await client.push((STREAM, hot))

    assert status == 429
    assert "reason: 'Per stream rate limit exceeded (limit: 1KB/sec) while attempting to ingest for stream" in text
    assert f"'{NAMED}' totaling 10B, consider splitting a stream via additional labels" in text
    assert text.endswith(f"user 'fake', total ignored: 1 out of 1 for stream: {NAMED}\n")
    assert (await client.push((STREAM, hot), ('{app="y"}', [(now, "ok")]))) == (204, "")
    assert [entry.line for entry in client.loki.entries()] == ["ok"]
    assert client.loki.loki.discards["per_stream_rate_limit", "fake"] == 2


async def test_new_streams_above_the_limit_are_refused_and_known_ones_go_on(start, now):
    client = await start(max_streams=1)
    await client.push((STREAM, [(now, "one")]))

    status, text = await client.push((STREAM, [(now + 1, "two")]), ('{app="y"}', [(now, "three")]))

    assert status == 429
    assert text == (
        'maximum active stream limit exceeded when trying to create stream {app="y", service_name="y"}, reduce the'
        " number of active streams (reduce labels or reduce label values), or contact your Loki administrator to see if"
        " the limit can be increased, user: 'fake'\n"
    )
    assert [entry.line for entry in client.loki.entries()] == ["one", "two"]


async def test_an_error_before_the_last_stream_is_hidden(start, now):
    client = await start(max_streams=1)
    await client.push((STREAM, [(now, "one")]))

    assert (await client.push(('{app="y"}', [(now, "lost")]), (STREAM, [(now + 1, "two")]))) == (204, "")
    assert [entry.line for entry in client.loki.entries()] == ["one", "two"]


async def test_labels_beyond_the_limits_drop_their_stream_alone(start, now):
    client = await start(max_label_names=2, max_label_name_bytes=20, max_label_value_bytes=5)
    good = ('{app="good"}', [(now, "one")])

    async def refused(labels):
        status, text = await client.push((labels, [(now, "bad")]), good)
        assert status == 400
        return text

    # service_name is not counted
    assert await refused('{a="1", b="2", c="3"}') == (
        'entry for stream \'{a="1", b="2", c="3", service_name="unknown_service"}\' has 3 label names; limit 2\n'
    )
    assert await refused('{a="123456", service_name="s"}') == (
        "stream '{a=\"123456\", service_name=\"s\"}' has label value too long: '123456'\n"
    )
    long = "n" * 21
    assert f"' has label name too long: '{long}'" in await refused(f'{{{long}="1", service_name="s"}}')
    assert "has duplicate label name: 'a'" in await refused('{a="1", a="2", service_name="s"}')
    assert [entry.line for entry in client.loki.entries()] == ["one"]


async def test_entries_beyond_the_limits_are_dropped_and_the_rest_is_stored(start, now):
    client = await start(max_line_bytes=10, max_metadata_bytes=8, max_metadata_entries=2)
    week = 7 * 24 * 3600 * SECOND

    async def refused(*entry):
        status, text = await client.push((STREAM, [entry, (now, "good")]))
        assert status == 400
        return text

    assert await refused(now, "0123456789a") == (
        f"max entry size '10' bytes exceeded for stream '{NAMED}' while adding an entry with length '11' bytes\n"
    )
    old = now - week - SECOND
    assert (await refused(old, "old")).startswith(
        f"entry for stream '{NAMED}' has timestamp too old: {rfc3339(old)}, oldest acceptable timestamp is: "
    )
    new = now + 700 * SECOND
    assert await refused(new, "new") == f"entry for stream '{NAMED}' has timestamp too new: {rfc3339(new)}\n"
    assert await refused(now, "sm", {"pod": "123456"}) == (
        f"stream '{NAMED}' has structured metadata too large: '9' bytes, limit: '8' bytes. Please see"
        " `limits_config.max_structured_metadata_size` or contact your Loki administrator to increase it\n"
    )
    assert await refused(now, "sm", {"a": "", "b": "", "c": ""}) == (
        f"stream '{NAMED}' has too many structured metadata labels: '3', limit: '2'. Please see"
        " `limits_config.max_structured_metadata_entries_count` or contact your Loki administrator to increase it\n"
    )
    assert [entry.line for entry in client.loki.entries()] == ["good"]


async def test_equal_errors_are_told_once_with_their_number(start, now):
    client = await start(max_line_bytes=3)

    _, text = await client.push((STREAM, [(now, "four"), (now, "five"), (now, "sixty")]))

    assert "2 errors like: max entry size '3' bytes exceeded" in text
    assert "; 1 errors like: max entry size" in text


async def test_metadata_may_be_disallowed(start, now):
    client = await start(allow_metadata=False)

    status, text = await client.push((STREAM, [(now, "one", {"pod": "p"})]))

    assert (status, "includes structured metadata, but this feature is disallowed" in text) == (400, True)


async def test_an_entry_too_far_behind_its_stream_is_refused_with_its_time(start, now):
    client = await start(out_of_order_seconds=60)
    at = now // SECOND * SECOND
    behind = at - 61 * SECOND + 5_000_000

    status, text = await client.push((STREAM, [(at, "new"), (behind, "late"), (at - 59 * SECOND, "in the window")]))

    assert status == 400
    told = datetime.fromtimestamp(behind // SECOND, UTC).strftime("%Y-%m-%d %H:%M:%S")
    assert text == (
        f"entry with timestamp {told}.005 +0000 UTC ignored, reason: 'entry too far behind, entry timestamp is:"
        f" {rfc3339(behind)}, oldest acceptable timestamp is: {rfc3339(at - 60 * SECOND)}',\n"
        f"user 'fake', total ignored: 1 out of 3 for stream: {NAMED}\n"
    )
    assert [entry.line for entry in client.loki.entries()] == ["new", "in the window"]
    assert (await client.push(('{app="x", late="1"}', [(behind, "late")])))[0] == 204


@pytest.mark.parametrize(("metadata", "expected"), [({"pod": "p-0"}, 1), ({"pod": "p-1"}, 2)])
async def test_a_repeat_is_one_only_if_its_metadata_is_equal(client, now, metadata, expected):
    await client.push((STREAM, [(now, "one", {"pod": "p-0"}), (now + 1, "two")]))
    await client.push((STREAM, [(now, "one", metadata)]))

    assert len(client.loki.arrived()) == 3
    assert [entry.line for entry in client.loki.entries()].count("one") == expected


async def test_names_of_metadata_become_names_of_labels(client, now):
    await client.push((STREAM, [(now, "one", {"app.kubernetes.io/name": "x", "7": "y"})]))

    (entry,) = client.loki.entries()
    assert dict(entry.metadata) == {"app_kubernetes_io_name": "x", "key_7": "y"}


async def test_memory_is_bounded_and_what_was_forgotten_is_counted(start, now):
    client = await start(kept_entries=10)

    for start_at in range(0, 30, 5):
        await client.push((STREAM, [(now + n, str(n)) for n in range(start_at, start_at + 5)]))

    assert [entry.line for entry in client.loki.arrived()] == [str(n) for n in range(20, 30)]
    assert client.loki.loki.forgotten == 20
