"""The REST lists: parameters, envelope, paging, errors."""

import json

import pytest

from aggregator.errors import StoreUnavailable


async def test_a_list_has_items_next_complete_and_gaps(site):
    site.bench.publish(3)

    answer = await site.json("/api/v1/changes")

    assert [item["seq"] for item in answer["items"]] == [3, 2, 1]
    assert answer | {"items": []} == {"items": [], "next": None, "complete": True, "gaps": []}


async def test_next_leads_through_every_page_and_includes_the_base_path(site_of):
    site = await site_of(base_path="/cluster-info")
    site.bench.publish(5)
    seen, path = [], "/cluster-info/api/v1/changes?limit=2&order=asc&namespace=default"
    while path:
        answer = await site.json(path.removeprefix("/cluster-info"))
        seen += [item["seq"] for item in answer["items"]]
        path = answer["next"]
        assert path is None or path.startswith("/cluster-info/api/v1/changes?")

    assert seen == [1, 2, 3, 4, 5]
    assert site.bench.journal.asked[-2].namespace == "default"


async def test_open_and_lost_gaps_make_a_list_incomplete(site):
    site.bench.journal.gap_items = [b'{"type":"gap","seq":9}']

    answer = await site.json("/api/v1/changes?from=2026-01-02T03:04:05Z&to=2026-01-02T04:04:05%2B01:00")

    assert answer["complete"] is False
    assert answer["gaps"] == [{"type": "gap", "seq": 9}]
    query, open_or_lost_only = site.bench.journal.asked[-1]
    assert open_or_lost_only
    assert query.without_lines
    assert (query.start, query.to) == (1767323045 * 10**9, 1767323045 * 10**9)


async def test_a_range_that_begins_before_the_first_record_is_incomplete_and_says_until_when(site_of):
    site = await site_of(horizon=1767323045 * 10**9)

    reaching = await site.json("/api/v1/changes?from=2026-01-02T03:04:04Z")
    within = await site.json("/api/v1/changes?from=2026-01-02T03:04:06Z")

    assert (reaching["complete"], within["complete"]) == (False, True)
    (gap,) = reaching["gaps"]
    assert (gap["cause"], gap["to"]) == ("unrecorded", "2026-01-02T03:04:05.000000000Z")


async def test_a_journal_without_records_is_not_complete(site_of):
    site = await site_of(horizon=0)

    answer = await site.json("/api/v1/objects")

    assert (answer["items"], answer["complete"], answer["gaps"][0]["outcome"]) == ([], False, "open")


async def test_every_parameter_reaches_the_query(site):
    await site.json("/api/v1/changes?namespace=n&kind=Pod&name=p&uid=u&manager=m&q=t&limit=7&after=9&order=asc")

    query = site.bench.journal.asked[0]
    assert (query.namespace, query.kind, query.name, query.uid) == ("n", "Pod", "p", "u")
    assert (query.manager, query.q, query.limit, query.after, query.ascending) == ("m", "t", 7, 9, True)


async def test_of_several_namespaces_each_is_asked_for_once_in_whatever_order_they_come(site):
    await site.json("/api/v1/changes?namespace=shop,%20payments,shop")
    names = [f"n{number}" for number in range(101)]
    await site.json(f"/api/v1/changes?namespace={','.join(names[:100])}")
    problem = await site.json(f"/api/v1/changes?namespace={','.join(names)}", status=400)

    assert site.bench.journal.asked[0].namespace == "payments,shop"
    assert (problem["parameter"], "up to 100" in problem["expected"]) == ("namespace", True)


@pytest.mark.parametrize(
    ("path", "parameter", "value"),
    [
        ("changes?colour=red", "colour", "red"),
        ("changes?limit=0", "limit", "0"),
        ("changes?limit=1001", "limit", "1001"),
        ("changes?limit=ten", "limit", "ten"),
        ("changes?limit=1&limit=2", "limit", "2"),
        ("changes?from=yesterday", "from", "yesterday"),
        ("changes?order=up", "order", "up"),
        ("changes?after=-1", "after", "-1"),
        ("changes?namespace=", "namespace", ""),
        ("changes?namespace=shop,", "namespace", "shop,"),
        ("changes?reason=x", "reason", "x"),
        ("objects?includeDeleted=yes", "includeDeleted", "yes"),
        ("occurrences?manager=x", "manager", "x"),
        ("agents?x=1", "x", "1"),
        ("status?kind=Pod", "kind", "Pod"),
        ("feed/sse?topic=secrets", "topic", "secrets"),
        ("feed/sse?from=x", "from", "x"),
    ],
)
async def test_a_bad_parameter_is_named_with_its_value_and_what_was_expected(site, path, parameter, value):
    response = await site.get(f"/api/v1/{path}")
    problem = json.loads(response.body)

    assert response.status == 400
    assert response.content_type == "application/problem+json"
    assert (problem["parameter"], problem["value"]) == (parameter, value)
    assert problem["expected"]
    assert problem["requestId"] == response.headers["X-Request-Id"]


async def test_an_object_is_found_alive_or_dead_or_404(site):
    site.bench.publish(1, uid="u1")

    found = await site.json("/api/v1/objects/u1?at=2026-01-02T03:04:05Z")
    history = await site.json("/api/v1/objects/u1/history")
    missing = await site.json("/api/v1/objects/u2", status=404)
    await site.json("/api/v1/objects/u2/history", status=404)

    assert found["uid"] == "u1"
    assert len(history["items"]) == 1
    assert missing["status"] == 404


async def test_objects_ask_for_gaps_at_their_moment_only(site):
    await site.json("/api/v1/objects?at=2026-01-02T03:04:05Z&includeDeleted=true")

    query, (gaps, _) = site.bench.journal.asked
    assert query.include_deleted
    assert (gaps.start, gaps.to) == (1767323045 * 10**9 - 1, 1767323045 * 10**9)


async def test_a_journal_that_does_not_answer_is_503_with_retry_after(site):
    site.bench.journal.failure = StoreUnavailable("disk I/O error")

    response = await site.get("/api/v1/changes")

    assert response.status == 503
    assert response.headers["Retry-After"]


async def test_a_fault_of_ours_says_nothing_of_its_inside(site):
    site.bench.journal.failure = RuntimeError("secret detail")

    response = await site.get("/api/v1/changes")

    assert response.status == 500
    assert b"secret" not in response.body


async def test_large_answers_are_compressed_for_those_who_take_it(site):
    site.bench.publish(100)

    packed = await site.get("/api/v1/changes", headers={"Accept-Encoding": "gzip"})
    plain = await site.get("/api/v1/changes", headers={"Accept-Encoding": "identity"})

    assert packed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert packed.body == plain.body


async def test_unknown_paths_and_methods_are_problems_too(site):
    missing = await site.get("/api/v1/nothing")
    async with site.session.post(site.url + "/api/v1/changes") as wrong:
        body = await wrong.json(content_type="application/problem+json")

    assert json.loads(missing.body)["status"] == 404
    assert (wrong.status, body["title"]) == (405, "Method not allowed")
    assert "GET" in wrong.headers["Allow"]
