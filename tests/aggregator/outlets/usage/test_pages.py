"""A page is told until something that it says is other, and no longer."""

import pytest

from aggregator.outlets.usage.pages import OF_CONTAINERS, OF_PODS, Pages
from kubescribe.runtime.packing import unpacked
from kubescribe.runtime.turns import SHORT_TURNS
from tests.aggregator.outlets.usage.conftest import SECOND, a_pod, a_state

CPU = "container_cpu_usage_seconds_total"


@pytest.fixture
def pages(desk):
    desk.live("u1")
    desk.live("u2", a_state("web-2", node="n2"))
    desk.tell(a_pod())
    desk.tell(a_pod(name="web-2", uid="u2"), node="n2")
    return Pages(desk.latest)


def by_node(pages, now):
    return {page.pods[0].block.split('"')[5] if page.pods else "": page for page in pages.look(now)}


def text_of(page, name=CPU):
    return unpacked(page.lines(name).fragment).decode()


def test_a_page_is_the_same_until_its_node_tells_anew_and_no_other_is_touched(desk, pages):
    before = by_node(pages, desk.now)
    desk.now += 15 * SECOND
    assert by_node(pages, desk.now) == before

    desk.tell(a_pod(6.0))
    after = by_node(pages, desk.now)

    assert after["n2"] is before["n2"]
    assert after["n1"] is not before["n1"]
    assert text_of(before["n1"]).endswith(" 5.0\n")
    assert text_of(after["n1"]).endswith(" 6.0\n")


def test_what_is_made_when_a_node_tells_is_what_the_next_look_finds(desk, pages):
    pages.write("n1", desk.now)
    made = by_node(pages, desk.now)["n1"]

    assert {name for name in (*OF_CONTAINERS, *OF_PODS) if made.lines(name).count == 0} == {
        "container_disk_usage_bytes",
        "pod_ephemeral_storage_usage_bytes",
    }, "what was not told of has no line"
    assert made is by_node(pages, desk.now)["n1"]


def test_a_pod_that_goes_between_telling_and_looking_is_not_told(desk, pages):
    pages.write("n1", desk.now)
    desk.live("u1", False)

    assert set(by_node(pages, desk.now)) == {"", "n2"}

    desk.live("u1")
    assert set(by_node(pages, desk.now)) == {"n1", "n2"}


def test_a_page_of_a_minute_ago_is_not_told(desk, pages):
    pages.write("n1", desk.now)
    desk.now += 60 * SECOND
    assert set(by_node(pages, desk.now)) == {"n1", "n2"}

    desk.now += SECOND
    assert set(by_node(pages, desk.now)) == {""}


def test_a_node_that_is_forgotten_has_no_page(desk, pages):
    assert len(pages.look(desk.now)) == 2
    desk.now += 901 * SECOND
    desk.latest.expire(desk.now)

    assert pages.look(desk.now) == []


def test_lines_are_made_when_a_node_tells_for_as_long_as_somebody_scrapes(desk):
    desk.tell(a_pod())
    assert not desk.collector.told("n1"), "nobody has scraped yet"

    list(desk.collector.collect())
    desk.now += 300 * SECOND
    assert desk.collector.told("n1")
    assert not desk.collector.told(""), "metrics.k8s.io is no node"
    desk.now += SECOND
    assert not desk.collector.told("n1")


def test_while_a_scrape_is_written_what_a_node_tells_waits_for_the_next_look(desk, pages):
    list(desk.collector.collect())
    with SHORT_TURNS:
        desk.tell(a_pod(6.0))
        assert desk.collector.told("n1")

    assert desk.cpu() == 6.0
