"""Every fault, over a real socket."""

import asyncio
import json
import time

import aiohttp
import pytest

from simulator.control import VerbRefused

WATCHLIST = "watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"


@pytest.fixture
def edit(cluster, pod):
    """Write a pod, again and again."""
    cluster.etcd.create("pods", pod("a"), manager="m")

    def write(text):
        obj = cluster.etcd.get("pods", "shop", "a")
        obj["metadata"]["labels"]["n"] = text
        return cluster.etcd.update("pods", obj, manager="m")

    return write


def from_now(cluster, resource="pods"):
    return f"/api/v1/{resource}?watch=1&resourceVersion={cluster.etcd.revision}"


async def streams(cluster, count):
    """Wait until so many watches are open."""
    await cluster.control.until(lambda state: len(state["watches"]) == count)


async def test_a_dropped_watch_ends_without_ending_its_body(cluster, edit):
    async with cluster.watch(from_now(cluster)) as watch:
        await streams(cluster, 1)
        assert await cluster.control.drop("pods") == 1

        with pytest.raises(aiohttp.ClientError):
            await watch.rest()


async def test_a_watch_is_cut_in_the_middle_of_its_next_line(cluster, edit):
    async with cluster.watch(from_now(cluster)) as watch:
        await streams(cluster, 1)
        await cluster.control.drop("pods", where="line")
        edit("1")

        with pytest.raises(aiohttp.ClientError):
            await watch.rest()
        half = watch.response.content.read_nowait() if not watch.response.content.exception() else b""
    assert b"\n" not in half


async def test_the_half_line_arrives_before_the_cut(cluster, edit):
    host, port = cluster.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {from_now(cluster)} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer t0ken\r\n\r\n".encode())
    await streams(cluster, 1)
    await cluster.control.drop("pods", where="line")
    edit("1")

    async with asyncio.timeout(20):
        received = await reader.read()

    writer.close()
    assert b'{"type":"MODIFIED","object":{"kind":"Pod"' in received
    assert not received.endswith(b"0\r\n\r\n")
    assert b'"status"' not in received


async def test_a_frozen_watch_keeps_its_connection_and_says_nothing_more(cluster, edit):
    async with cluster.watch(from_now(cluster) + "&allowWatchBookmarks=true") as watch:
        await watch.until("BOOKMARK")
        assert await cluster.control.freeze("pods") == 1
        edit("1")

        async def rest():
            while await watch.response.content.readline():
                pass

        with pytest.raises(TimeoutError):
            await asyncio.wait_for(rest(), 0.3)
        await streams(cluster, 1)


async def test_an_ended_watch_ends_cleanly(cluster, edit):
    async with cluster.watch(from_now(cluster)) as watch:
        await streams(cluster, 1)
        await cluster.control.end("pods")

        assert await watch.rest() == b""


async def test_rubbish_is_sent_as_it_is_and_the_watch_goes_on(cluster, edit):
    async with cluster.watch(from_now(cluster)) as watch:
        await streams(cluster, 1)
        await cluster.control.send("pods", "<html>no JSON</html>\n")
        assert await watch.line() == b"<html>no JSON</html>\n"
        edit("1")

        assert (await watch.event())["type"] == "MODIFIED"


async def test_an_error_500_comes_in_the_stream_and_ends_it(cluster, edit):
    async with cluster.watch(from_now(cluster)) as watch:
        await streams(cluster, 1)
        await cluster.control.error("pods")
        event = json.loads(await watch.rest())

    assert (event["type"], event["object"]["code"], event["object"]["reason"]) == ("ERROR", 500, "InternalError")


async def test_versions_expire_in_the_stream(cluster, edit):
    path = from_now(cluster)
    async with cluster.watch(path) as watch:
        await streams(cluster, 1)
        floor = await cluster.control.expire("pods")
        with pytest.raises(aiohttp.ClientError):
            await watch.rest()

    status, body = await cluster.get(path)

    assert (status, json.loads(body)["object"]["code"]) == (200, 410)
    listed = await cluster.json("/api/v1/pods")
    assert int(listed["metadata"]["resourceVersion"]) >= floor
    async with cluster.watch(from_now(cluster)) as watch:
        edit("1")
        assert (await watch.event())["type"] == "MODIFIED"


async def test_versions_expire_as_an_http_status(cluster, edit):
    path = from_now(cluster)
    await cluster.control.expire("pods", shape="http")

    status, body = await cluster.get(path)

    assert (status, json.loads(body)["reason"]) == (410, "Expired")


async def test_versions_of_events_expire_as_an_immediate_empty_end(cluster):
    path = from_now(cluster, "events")
    await cluster.control.expire("events", shape="empty")

    async with asyncio.timeout(20):
        assert await cluster.get(path) == (200, b"")


async def test_a_compacted_event_watch_is_told_so(cluster):
    path = from_now(cluster, "events")
    cluster.etcd.create("events", {"metadata": {"name": "e", "namespace": "shop"}}, manager="kubelet")
    await cluster.control.compact()

    status, body = await cluster.get(path)

    assert (status, json.loads(body)["object"]["code"]) == (200, 410)
    assert json.loads(body)["object"]["message"] == "The resourceVersion for the provided watch is too old."


@pytest.mark.parametrize("code", [429, 500, 502, 503])
async def test_the_next_requests_fail_and_then_no_more(cluster, code):
    await cluster.control.fail("pods", verb="list", code=code, count=2, retry_after=7)

    async with cluster.session.get(f"{cluster.url}/api/v1/pods") as response:
        body = await response.read()
        assert response.status == code
        assert response.headers.get("Retry-After") == ("7" if code == 429 else None)
        assert response.content_type == ("text/html" if code in {502, 503} else "application/json")
        assert (b"<html>" in body) is (code in {502, 503})
    assert (await cluster.get("/api/v1/nodes"))[0] == 200
    assert (await cluster.get("/api/v1/pods"))[0] == code
    assert (await cluster.get("/api/v1/pods"))[0] == 200


async def test_a_request_can_hang(cluster):
    await cluster.control.hang("pods", verb="list")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(cluster.get("/api/v1/pods"), 0.1)
    assert (await cluster.get("/api/v1/pods"))[0] == 200


async def test_watch_list_is_refused_as_on_eks_1_33(cluster):
    await cluster.control.watchlist("gate-off")

    status, body = await cluster.get(f"/api/v1/pods?{WATCHLIST}")

    message = "sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled"
    assert (422, json.loads(body)) == (
        status,
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": f'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: {message}',
            "reason": "Invalid",
            "details": {
                "group": "meta.k8s.io",
                "kind": "ListOptions",
                "causes": [
                    {
                        "reason": "FieldValueForbidden",
                        "message": f"Forbidden: {message}",
                        "field": "sendInitialEvents",
                    },
                ],
            },
            "code": 422,
        },
    )


async def test_watch_list_is_refused_as_over_an_old_etcd(cluster):
    await cluster.control.watchlist("no-progress", "pods")

    status, body = await cluster.get(f"/api/v1/pods?{WATCHLIST}")

    assert status == 200
    assert json.loads(body) == {
        "type": "ERROR",
        "object": {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "a watch stream was requested by the client but the required storage feature "
            "RequestWatchProgress is disabled",
            "reason": "InternalError",
            "code": 500,
        },
    }


async def test_a_restored_store_kills_connections_and_goes_back(cluster, edit):
    then = cluster.etcd.revision
    edit("1")
    edit("2")
    async with cluster.watch(from_now(cluster)) as watch:
        await streams(cluster, 1)
        assert await cluster.control.restore(then) == 1
        with pytest.raises(aiohttp.ClientError):
            await watch.rest()

    listed = await cluster.json("/api/v1/pods")

    assert listed["metadata"]["resourceVersion"] == str(then)
    assert "n" not in listed["items"][0]["metadata"]["labels"]
    edit("3")
    history = [(record.era, record.revision, record.type) for record in await cluster.control.history()]
    assert history[-3:] == [(0, then + 2, "MODIFIED"), (1, then, "RESTORED"), (1, then + 1, "MODIFIED")]


async def test_a_delay_holds_back_a_watch(cluster, edit):
    async with cluster.watch(from_now(cluster)) as watch:
        await streams(cluster, 1)
        await cluster.control.delay(0.2, "pods")
        began = time.monotonic()
        edit("1")
        await watch.event()

    assert time.monotonic() - began > 0.15


async def test_an_oversized_object_is_served_like_any_other(cluster):
    async with cluster.watch(from_now(cluster, "configmaps")) as watch:
        created = await cluster.control.oversized()
        line = await watch.line()

    assert len(line) > 6 * 2**20
    assert json.loads(line)["object"]["metadata"]["uid"] == created["uid"]


async def test_mending_ends_every_fault(cluster):
    await cluster.control.forbid()
    await cluster.control.fail(count=100)
    await cluster.control.watchlist("gate-off")

    await cluster.control.mend()

    assert (await cluster.get("/api/v1/pods"))[0] == 200
    assert (await cluster.get(f"/api/v1/pods?{WATCHLIST}&timeoutSeconds=1"))[0] == 200


async def test_objects_are_written_from_a_test_and_the_history_tells_it(cluster, pod):
    created = await cluster.control.create("pods", pod("a"), manager="kubectl-create")
    created["status"] = {"phase": "Running"}
    await cluster.control.update("pods", created, manager="kubelet", subresource="status")
    await cluster.control.delete("pods", "shop", "a")

    history = await cluster.control.history("pods")

    uid = created["metadata"]["uid"]
    assert [("ADDED", uid), ("MODIFIED", uid), ("DELETED", uid)] == [(record.type, record.uid) for record in history]
    assert history[1].body()["status"] == {"phase": "Running"}


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [("nonsense", {}), ("drop", {"resource": "nope"}), ("expire", {"shape": "x"}), ("delete", {"resource": "pods"})],
)
async def test_a_verb_that_makes_no_sense_is_refused(cluster, verb, arguments):
    with pytest.raises(VerbRefused):
        await cluster.control.verb(verb, **arguments)
