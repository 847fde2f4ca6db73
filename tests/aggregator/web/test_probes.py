"""Probes and metrics."""

from prometheus_client import CollectorRegistry, Counter


async def test_probes_answer_and_trouble_is_told_but_does_not_take_us_out(observed, session):
    url, recorder = await observed()
    for path in ("/livez", "/readyz"):
        async with session.get(url + path) as response:
            assert (response.status, await response.json()) == (200, {"status": "ok"})

    recorder.reason = "the disk is full"
    async with session.get(url + "/readyz") as response:
        assert response.status == 200
        assert await response.json() == {"status": "degraded", "reason": "the disk is full"}


async def test_metrics_speak_both_formats_and_gzip(observed, session):
    registry = CollectorRegistry()
    counter = Counter("kubescribe_things", "Things.", ["name"], registry=registry)
    for number in range(100):
        counter.labels(f"n{number}").inc()
    url, _ = await observed(registry)

    async with session.get(url + "/metrics", headers={"Accept-Encoding": "gzip"}) as plain:
        text = await plain.text()
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    async with session.get(url + "/metrics", headers=accept) as openmetrics:
        open_text = await openmetrics.text()

    assert plain.headers["Content-Encoding"] == "gzip"
    assert plain.content_type == "text/plain"
    assert 'kubescribe_things_total{name="n7"} 1.0' in text
    assert openmetrics.content_type == "application/openmetrics-text"
    assert open_text.endswith("# EOF\n")
