"""What is counted is answered as Loki counts, in Loki's shape, and refused in its words."""

import pytest

SECOND = 1_000_000_000


@pytest.fixture
async def counted(client, now):
    """Ten lines of shop a second apart, one of pay; the first at `client.begin`."""
    client.begin = now - now % SECOND - 60 * SECOND
    web = [(client.begin + it * SECOND, f"level={'error' if it == 4 else 'info'} n={it}") for it in range(10)]
    pay = [(client.begin, "ERROR broken", {"zone": "a"})]
    await client.push(('{namespace="shop", stream="stdout"}', web), ('{namespace="pay", stream="stdout"}', pay))
    return client


async def measure(counted, query, *, start=0, end=10, step="5"):
    return await counted.get(
        "/loki/api/v1/query_range",
        query=query,
        start=str(counted.begin + start * SECOND),
        end=str(counted.begin + end * SECOND),
        step=step,
    )


def values(answer):
    return {
        ",".join(series["metric"].values()): [value for _, value in series["values"]]
        for series in answer["data"]["result"]
    }


EVERY = '{stream="stdout"}'


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"sum(count_over_time({EVERY} [5s]))", {"": ["2", "5", "4"]}),
        (f"sum by (namespace) (count_over_time({EVERY}[5s]))", {"pay": ["1"], "shop": ["1", "5", "4"]}),
        (f"sum(count_over_time({EVERY}[5s])) by (namespace)", {"pay": ["1"], "shop": ["1", "5", "4"]}),
        ('sum by (detected_level) (rate({namespace="shop"} | detected_level="error" [5s]))', {"error": ["0.2"]}),
        (f"sum by (zone) (count_over_time({EVERY} [1m]))", {"": ["1", "6", "10"], "a": ["1", "1", "1"]}),
        (f"topk(1, sum by (namespace) (count_over_time({EVERY} [5s])))", {"pay": ["1"], "shop": ["5", "4"]}),
        (f"max(sum by (namespace) (count_over_time({EVERY} |~ `n=[78]` [5s])))", {"": ["2"]}),
        ('sum by (n) (count_over_time({namespace="shop"} | logfmt | n=~"2|3" [5s]))', {"2": ["1"], "3": ["1"]}),
        ('sum without (namespace, service_name, stream) (bytes_over_time({namespace="pay"}[5s]))', {"error,a": ["12"]}),
    ],
)
async def test_it_counts_what_lies_after_the_beginning_of_a_range_and_up_to_its_end(counted, query, expected):
    answer = await measure(counted, query)

    assert answer["data"]["resultType"] == "matrix"
    assert values(answer) == expected


async def test_the_shapes_are_those_of_loki(counted):
    query, begin = 'sum by (namespace) (count_over_time({namespace="pay"} [5s]))', counted.begin // SECOND

    over_time = await measure(counted, query, end=0)
    instant = await counted.get("/loki/api/v1/query", query=query, time=str(counted.begin + SECOND // 2))

    assert over_time == {
        "status": "success",
        "data": {
            "resultType": "matrix",
            "result": [{"metric": {"namespace": "pay"}, "values": [[begin, "1"]]}],
            "stats": {},
        },
    }
    assert instant["data"]["resultType"] == "vector"
    assert instant["data"]["result"] == [{"metric": {"namespace": "pay"}, "value": [begin + 0.5, "1"]}]


async def test_an_instant_topk_is_sorted_by_value(counted):
    query = f"topk(5, sum by (namespace) (count_over_time({EVERY} [1m])))"

    answer = await counted.get("/loki/api/v1/query", query=query, time=str(counted.begin + 20 * SECOND))

    assert [(it["metric"]["namespace"], it["value"][1]) for it in answer["data"]["result"]] == [
        ("shop", "10"),
        ("pay", "1"),
    ]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        (f"sum(count_over_time({EVERY}))", "parse error at line 1, col 38: syntax error: unexpected )"),
        (f"sum(rate({EVERY} [x]))", 'parse error at line 1, col 27: not a valid duration string: "x"'),
        (f"sum(rate({EVERY} [1m])", "parse error at line 1, col 33: syntax error: unexpected $end"),
        (f"median(rate({EVERY} [1m]))", "parse error at line 1, col 1: syntax error: unexpected IDENTIFIER"),
        (f"sum(rate({EVERY} [1m])) / 2", "parse error at line 1, col 35: syntax error: unexpected /"),
        (f"sum(rate({EVERY} | unwrap x [1m]))", "parse error at line 1, col 28: syntax error: unexpected |"),
        (f"topk(x, rate({EVERY} [1m]))", "parse error at line 1, col 6: syntax error: unexpected IDENTIFIER"),
        ("sum(rate({} [1m]))", "parse error : queries require at least one regexp or equality matcher"),
    ],
)
async def test_what_it_does_not_know_is_refused(counted, query, said):
    status, text = await measure(counted, query)

    assert status == 400
    assert text.startswith(said)


async def test_what_cannot_be_answered_is_refused_in_loki_s_words(counted):
    query = f"sum(count_over_time({EVERY} [5s]))"

    assert await measure(counted, query, step="0") == (
        400,
        "zero or negative query resolution step widths are not accepted. Try a positive integer\n",
    )
    assert (await measure(counted, query, end=12000, step="1s"))[1].startswith("exceeded maximum resolution of 11,000")
    assert await counted.get("/loki/api/v1/query", query=EVERY) == (
        400,
        "log queries are not supported as an instant query type, please change your query to a range query type\n",
    )
    counted.loki.loki.limits = type(counted.loki.loki.limits)(max_query_series=1)
    status, text = await measure(counted, f"count_over_time({EVERY}[1m])")
    assert (status, text[:44]) == (400, "maximum number of series (1) reached for a s")
