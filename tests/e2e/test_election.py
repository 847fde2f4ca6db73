"""Two agents of scope cluster as processes: one works, and when it dies, hangs or ends, the other goes on."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import ANYWHERE, Cluster, Process, ask, eventually, pretend_cluster, running

pytestmark = pytest.mark.timeout(120)

TAKEOVER_SECONDS = 15.0
"""With the times of the product: with shorter ones a busy machine takes the Lease from who leads rightly."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with pretend_cluster(tmp_path_factory.mktemp("cluster"), "--quiet") as it:
        yield it


@pytest.fixture(scope="module")
def aggregator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    folder = tmp_path_factory.mktemp("aggregator")
    with running("aggregator", folder, "--data", str(folder / "journal"), *ANYWHERE) as it:
        yield it


@contextmanager
def agents(folder: Path, cluster: Cluster, aggregator: Process, *options: str) -> Iterator[tuple[Process, Process]]:
    """Run two; yield the one that leads and the other."""

    def one(name: str) -> Any:
        return running(
            "agent",
            folder / name,
            *(
                "--scope",
                "cluster",
                "--election-identity",
                name,
                "--election-lease-name",
                folder.name.replace("_", "-"),
            ),
            *("--data", str(folder / name), "--kubeconfig", str(cluster.kubeconfig), "--metrics", "127.0.0.1:0"),
            *("--aggregator", aggregator.said["ingest"], "--spool-free-floor", "0%", *options),
        )

    with one("pod-a") as first, one("pod-b") as second:
        pair = (first, second)
        leader = eventually(lambda: next((it for it in pair if works(it)), None), lambda: first.log[-800:])
        other = next(it for it in pair if it is not leader)
        eventually(lambda: other.ready()["status"] == "ok", other.ready)
        yield leader, other


def leads(agent: Process) -> bool:
    return agent.metric("kubescribe_agent_leader") == 1


def works(agent: Process) -> bool:
    return leads(agent) and agent.metric('kubescribe_watch_streams{state="live"}') >= 30


def told(aggregator: Process) -> dict[str, Any]:
    answer = ask(aggregator.said["http"].rstrip("/") + "/api/v1/agents").json()
    return {item["agent"]: item for item in answer["items"]}


def test_one_works_and_the_other_waits_and_is_ready(tmp_path: Path, cluster: Cluster, aggregator: Process) -> None:
    with agents(tmp_path, cluster, aggregator) as (leader, other):
        assert not leads(other)
        assert other.metric("kubescribe_watch_streams") == 0
        assert other.metric("kubescribe_link_connected") == 1
        assert ask(other.said["metrics"] + "/readyz").status == 200
        assert other.metric('kubescribe_api_requests_total{resource="leases",verb="get"}') > 0
        renewals = 'kubescribe_api_requests_total{resource="leases",verb="update"}'
        eventually(lambda: leader.metric(renewals) > 0, lambda: leader.log[-800:])
        identity = leader.events("election.won")[0]["identity"]
        assert told(aggregator)[f"cluster/{identity}"]["scope"] == "cluster"


def test_when_the_one_is_killed_the_other_works_within_15_seconds(
    tmp_path: Path, cluster: Cluster, aggregator: Process
) -> None:
    with agents(tmp_path, cluster, aggregator) as (leader, other):
        leader.end(signal.SIGKILL)
        killed_at = time.monotonic()

        eventually(lambda: leads(other), lambda: other.log[-800:], TAKEOVER_SECONDS)

        assert time.monotonic() - killed_at < TAKEOVER_SECONDS
        eventually(lambda: works(other), lambda: other.log[-800:])


def test_one_that_was_stopped_for_longer_than_the_lease_works_no_longer_when_it_goes_on(
    tmp_path: Path, cluster: Cluster, aggregator: Process
) -> None:
    with agents(tmp_path, cluster, aggregator) as (leader, other):
        leader.send(signal.SIGSTOP)
        eventually(lambda: works(other), lambda: other.log[-800:], 60.0)

        leader.send(signal.SIGCONT)

        eventually(lambda: leader.events("election.lost"), lambda: leader.log[-800:])
        eventually(lambda: leader.metric("kubescribe_watch_streams") == 0, lambda: leader.log[-800:])
        assert not leads(leader)
        assert works(other)
        assert leader.metric("kubescribe_agent_leader_transitions_total") == 2
        eventually(lambda: leader.ready()["status"] == "ok", leader.ready)


def test_after_an_orderly_stop_the_other_works_at_once(tmp_path: Path, cluster: Cluster, aggregator: Process) -> None:
    with agents(tmp_path, cluster, aggregator) as (leader, other):
        stopped_at = time.monotonic()
        assert leader.end(signal.SIGTERM) == 0

        eventually(lambda: leads(other), lambda: other.log[-800:])

        assert time.monotonic() - stopped_at < 7.0
        assert leader.events("election.released")
