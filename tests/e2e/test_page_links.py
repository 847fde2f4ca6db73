"""Links to the page, as dashboards make them: all of what they ask for is shown, or it is said what is not."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.e2e.browser import opened_page
from tests.e2e.processes import ANYWHERE, Cluster, ask, eventually, pretend_cluster, running

pytestmark = pytest.mark.timeout(120)

MANY = 130
"""More than the feed begins with."""

NAMES = tuple(f"thing-{number}" for number in range(MANY))

EARLY = "2026-01-02T03:04:05.000Z"


@contextmanager
def seen(folder: Path, *names: str, tokens: Path | None = None) -> Iterator[str]:
    """Yield where the page is of an aggregator that has seen ConfigMaps of those *names* in the namespace shop."""
    guarded = ("--token-file", str(tokens)) if tokens else ()
    with (
        pretend_cluster(folder / "cluster", "--quiet") as cluster,
        running("aggregator", folder, "--data", str(folder / "journal"), *ANYWHERE, *guarded) as serving,
        running(
            "agent",
            folder,
            *("--data", str(folder / "agent"), "--kubeconfig", str(cluster.kubeconfig), "--metrics", "127.0.0.1:0"),
            *("--aggregator", serving.said["ingest"], "--scope", "cluster", "--election-identity", "pod-1"),
            *guarded,
        ),
    ):
        asyncio.run(_make(cluster, names))
        root = serving.said["http"].rstrip("/")
        token = f"Bearer {tokens.read_text().strip()}" if tokens else ""
        eventually(lambda: names[-1] in ask(f"{root}/api/v1/changes?namespace=shop", Authorization=token).body.decode())
        yield f"{root}/"


async def _make(cluster: Cluster, names: tuple[str, ...]) -> None:
    async with cluster.control() as control:
        for name, namespace in (("bill", "pay"), ("flour", "mill")):
            await control.create("configmaps", {"metadata": {"name": name, "namespace": namespace}, "data": {}})
        for name in names:
            await control.create("configmaps", {"metadata": {"name": name, "namespace": "shop"}, "data": {}})


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with seen(tmp_path_factory.mktemp("links"), "other", *NAMES) as root:
        yield root


def asking(**parameters: str) -> str:
    return "?" + urlencode(parameters)


async def test_a_link_sets_the_filters_the_range_and_whose_lines(root: str, tmp_path: Path) -> None:
    query = asking(**{"namespace": "shop", "kind": ".*", "q": "thing-7", "workload": "web", "from": EARLY})
    async with opened_page(tmp_path, root + query) as page:
        shown = await page.until("#rows", "thing-7")
        pinned = await page.until("#pinned", "from")

        assert "other" not in shown
        assert pinned.startswith("Only from")
        assert await page.value("#namespace") == "shop"
        assert await page.value("#kind") == "", "`.*` is how a dashboard says all"
        assert await page.value("#lines-form [name=name]") == "web"

        await page.click("#pinned")
        assert await page.text("#pinned") == ""
        assert await page.run("location.search") == asking(namespace="shop", q="thing-7", workload="web")
        assert page.errors == []


async def test_a_link_with_several_namespaces_shows_these_and_no_others(root: str, tmp_path: Path) -> None:
    query = asking(**{"namespace": "pay,shop", "kind": "ConfigMap", "from": EARLY})
    async with opened_page(tmp_path, root + query) as page:
        await page.until("#past", f"Found: {MANY + 2} changes")
        shown = await page.text("#rows")

        assert "bill" in shown
        assert "thing-7" in shown
        assert "flour" not in shown
        assert await page.value("#namespace") == "pay,shop"
        assert await page.run("location.search") == query
        assert page.errors == []


async def test_a_link_shows_all_of_its_time_and_says_how_much_that_is(root: str, tmp_path: Path) -> None:
    query = asking(**{"namespace": "shop", "kind": "ConfigMap", "q": "thing-", "from": EARLY})
    async with opened_page(tmp_path, root + query) as page:
        await page.until("#past", f"Found: {MANY} changes, 0 events.")

        assert await page.run("document.querySelectorAll('#rows .change').length") == MANY
        assert "thing-0" in await page.text("#rows .change:last-child")
        assert "Recorded only since" in await page.text("#past")

        await page.call("Page.navigate", url=root + asking(**{"from": EARLY, "to": "2026-01-02T04:00:00Z"}))
        await page.until("#past", "Found: 0 changes")
        assert await page.text("#rows .change") == ""
        await page.call("Page.navigate", url=root + asking(**{"show": "gaps", "from": EARLY}))
        await page.until("#past", "gaps")
        assert await page.run("document.querySelectorAll('#rows .change').length") == 0


async def test_what_a_link_says_wrong_is_told_and_nothing_of_it_is_carried_out(root: str, tmp_path: Path) -> None:
    script = "<img src=x onerror=window.broken=1><script>window.broken=1</script>"
    async with opened_page(tmp_path, root + asking(q=script)) as page:
        await page.until("#state-text", "Live")
        assert await page.value("#q") == script
        for wrong, told in (
            ({"from": "yesterday" + script}, "expected an RFC 3339 time"),
            ({"from": EARLY, "to": "2025-01-02T03:04:05Z"}, "ends before it begins"),
            ({"namespace": "a" * 300, "uid": "u"}, "1 to 256 characters"),
        ):
            await page.call("Page.navigate", url=root + asking(**wrong))
            await page.until("#past", told)
            assert await page.run("document.querySelectorAll('#rows .change').length") == 0
        await page.call("Page.navigate", url=root + asking(namespace="shop,pay", workload="web,api"))
        await page.until("#pinned", "several named (workload): all are shown; lines are of one namespace")

        assert await page.run("window.broken") is None
        assert await page.run("document.querySelectorAll('img[src=x]').length") == 0


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[str]:
    tokens = tmp_path / "tokens"
    tokens.write_text("secret\n")
    with seen(tmp_path, "one", tokens=tokens) as root:
        yield root


async def test_a_token_that_is_kept_opens_the_next_link_too(guarded: str, tmp_path: Path) -> None:
    query = asking(**{"namespace": "shop", "from": EARLY})
    async with opened_page(tmp_path / "chromium", guarded + query) as page:
        await page.until("#state-text", "Token needed")
        await page.run(
            "document.querySelector('#keep').checked = true; document.querySelector('#token').value = 'secret'"
        )
        await page.click("#login button")
        await page.until("#rows", "one")
        await page.run("sessionStorage.clear()")  # another tab has its own
        await page.call("Page.reload")
        await page.until("#rows", "one")

        assert await page.value("#namespace") == "shop"
        assert await page.run("document.querySelector('#login').hidden")
