"""What makes an aggregator ready."""


async def test_probes_answer_and_trouble_is_told_but_does_not_take_us_out(observed, session):
    url, recorder = await observed()
    for path in ("/livez", "/readyz"):
        async with session.get(url + path) as response:
            assert (response.status, await response.json()) == (200, {"status": "ok"})

    recorder.reason = "the disk is full"
    async with session.get(url + "/readyz") as response:
        assert response.status == 200
        assert await response.json() == {"status": "degraded", "reason": "the disk is full"}
