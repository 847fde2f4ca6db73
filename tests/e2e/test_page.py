"""The page in a browser: it lives, and tells which nodes are not reported and who covers them."""

import os
from pathlib import Path

import pytest

from tests.e2e.browser import opened_page
from tests.e2e.processes import ANYWHERE, pretend_cluster, running

pytestmark = pytest.mark.timeout(120)


async def test_the_page_shows_what_happens_and_who_does_not_report(tmp_path: Path) -> None:
    with (
        pretend_cluster(tmp_path / "cluster", "--quiet") as cluster,
        running(
            "aggregator", tmp_path, "--data", str(tmp_path / "journal"), "--adoption-after", "1s", *ANYWHERE
        ) as serving,
        running(
            "agent",
            tmp_path,
            *("--data", str(tmp_path / "agent"), "--kubeconfig", str(cluster.kubeconfig), "--metrics", "127.0.0.1:0"),
            *("--aggregator", serving.said["ingest"], "--scope", "cluster", "--election-identity", "pod-1"),
        ),
    ):
        async with cluster.control() as control, opened_page(tmp_path / "chromium", serving.said["http"]) as page:
            await page.until("#state-text", "Live")
            await control.node("node-without")
            shown = await page.until("#nodes-away", "node-without")
            await page.until("#nodes-away", "watched by cluster/pod-1")
            await page.until("#nodes", "0 + 1 of 1")
            pod = f"pod-{os.urandom(4).hex()}"
            spec = {"nodeName": "node-without", "containers": [{"name": "app", "image": "app:1"}]}
            await control.create("pods", {"metadata": {"name": pod, "namespace": "default"}, "spec": spec})
            await page.until("#rows", pod)
            await page.until("#agents", "cluster/pod-1")

            assert "no agent since" in shown
            assert page.errors == []
