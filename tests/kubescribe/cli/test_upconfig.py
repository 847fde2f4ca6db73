"""`up` has every setting of both daemons that means something in one process."""

from pathlib import Path

import pytest

from agent.config import AgentConfig
from aggregator.config import AggregatorConfig
from kubescribe.cli.upconfig import UpConfig, data_home
from kubescribe.runtime.settings import build, table, value_of

ALONE = {
    *("aggregator", "scope", "node", "gateway.listen", "gateway.tokenFile"),
    *(row.key for row in table(AgentConfig) if row.key.startswith("election.")),
}
"""What only an agent of its own can be told: in `up` the aggregator is the same process, and the agent sees all."""


def test_no_setting_of_a_daemon_is_missing() -> None:
    mine = {row.key for row in table(UpConfig)}

    for settings in (AgentConfig, AggregatorConfig):
        assert {row.key for row in table(settings)} - mine <= ALONE


def test_each_setting_reaches_its_daemon(tmp_path: Path) -> None:
    given = {"watch.inactivity": 9.0, "spool.maxBytes": 7, "feed.batch": 0.5, "http.basePath": "/x", "cluster": "c"}
    config = build(UpConfig, given)

    agent = config.agent(tmp_path, aggregator="http://h:1", kubeconfig=tmp_path / "k")
    aggregator = config.aggregator(tmp_path)

    for key, value in given.items():
        assert value in [
            value_of(settings, key)
            for settings in (agent, aggregator)
            if key in {row.key for row in table(type(settings))}
        ]
    assert (agent.aggregator, agent.kubeconfig, agent.data) == ("http://h:1", tmp_path / "k", tmp_path)


@pytest.mark.parametrize(
    ("home", "folder"),
    [("/data", "/data/kubescribe"), ("", "/me/.local/share/kubescribe"), ("x", "/me/.local/share/kubescribe")],
)
def test_data_is_where_a_users_data_belongs(monkeypatch: pytest.MonkeyPatch, home: str, folder: str) -> None:
    monkeypatch.setenv("HOME", "/me")
    monkeypatch.setenv("XDG_DATA_HOME", home)

    assert data_home() == Path(folder)
