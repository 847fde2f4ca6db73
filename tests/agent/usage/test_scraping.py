"""Rounds against the pretend cluster: what is asked of whom, and what a source that is not well costs."""

import asyncio
import ssl

import pytest
from structlog.testing import capture_logs

from agent.usage.scraping import Scraper
from agent.usage.sources import MetricsSource, kubelet_source
from kubescribe.kube.access import Access, NoCredentials


def scraper_of(source, told, **options):
    return Scraper(source, told.append, **{"interval_seconds": 5.0, "draw": lambda low, _: low, **options})


@pytest.fixture
async def kubelet(pretend):
    await pretend.control.node("n1")
    url = f"{pretend.access.base_url}/simulator/kubelets/n1"
    async with kubelet_source(pretend.access, "n1", url=url, verifies=True, version="test") as source:
        yield source


async def test_a_round_asks_the_kubelet_and_hands_on_what_it_says(kubelet):
    told = []

    await scraper_of(kubelet, told).look()

    ((message,),) = told
    assert (message.source, message.node, message.nodes[0].name) == ("kubelet", "n1", "n1")


@pytest.mark.parametrize(
    ("how", "outcome"),
    [
        *(("forbidden", "refused"), ("html", "undecodable"), ("truncated", "undecodable"), ("nan", "undecodable")),
        *(("endless", "failed"), ("hang", "failed"), ("negative", "ok"), ("missing", "ok")),
    ],
)
async def test_a_kubelet_that_is_not_well_costs_its_own_round_and_says_so_once(kubelet, pretend, how, outcome):
    await pretend.control.spoil_usage(how, "n1")
    scraper = scraper_of(kubelet, [], interval_seconds=0.2 if how == "hang" else 5.0)

    with capture_logs() as logs:
        await scraper.look()
        await scraper.look()

    assert scraper.outcomes[outcome] == 2
    assert len(logs) == (0 if outcome == "ok" else 1)


async def test_it_goes_on_by_itself_and_recovers(kubelet, pretend):
    told = []
    await pretend.control.spoil_usage("html", "n1")
    scraper = scraper_of(kubelet, told, interval_seconds=0.02)
    running = asyncio.create_task(scraper.run())

    try:
        async with asyncio.timeout(10):
            while not scraper.outcomes["undecodable"]:
                await asyncio.sleep(0.01)
            await pretend.control.mend()
            while len(told) < 2:
                await asyncio.sleep(0.01)
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_metrics_are_asked_for_while_they_are_needed_only(pretend):
    await pretend.control.node("n1")
    told, needed = [], []
    scraper = scraper_of(MetricsSource(await pretend.session(), lambda: bool(needed)), told)

    await scraper.look()
    needed.append(True)
    await scraper.look()

    ((message,),) = told
    assert (message.source, message.node, [node.name for node in message.nodes]) == ("metrics", "", ["n1"])


async def test_a_cluster_without_a_metrics_server_is_asked_less_often(pretend):
    await pretend.control.verb("metrics-server", on=False)
    scraper = scraper_of(MetricsSource(await pretend.session(), lambda: True), [], interval_seconds=15.0)

    pauses = []
    for _ in range(5):
        await scraper.look()
        pauses.append(scraper._pause())

    assert scraper.outcomes["refused"] == 5
    assert pauses == [15.0, 60.0, 120.0, 120.0, 120.0]


@pytest.mark.parametrize(
    ("url", "verifies", "mode"),
    [
        ("https://10.0.1.2:10250", True, ssl.CERT_REQUIRED),
        ("https://10.0.1.2:10250", False, ssl.CERT_NONE),
        ("http://127.0.0.1:10255", True, None),
    ],
)
async def test_a_kubelets_certificate_must_be_of_the_clusters_authority_unless_it_is_said_otherwise(
    url, verifies, mode
):
    own = ssl.create_default_context()
    access = Access(base_url="https://10.0.0.1:443", credentials=NoCredentials(), tls=own, server_name="kubernetes")

    async with kubelet_source(access, "n1", url=url, verifies=verifies, version="test") as source:
        used = source._session.access

    assert (used.base_url, used.server_name) == (url, "")
    assert (used.tls.verify_mode if used.tls else None) == mode
    assert (used.tls is own) == (mode is ssl.CERT_REQUIRED)
