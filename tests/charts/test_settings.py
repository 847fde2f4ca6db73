"""The settings that the chart writes: its own, with the operator's over them."""

from tests.charts.conftest import render, values_at


def test_any_setting_can_be_given_and_stands_over_the_charts_own() -> None:
    given = {"watch": {"startJitter": "2m"}, "log": {"level": "debug"}, "aggregator": "https://elsewhere.example"}
    made = render({"nodeAgent": {"settings": given}, "clusterAgent": {"settings": {"spool": {"maxBytes": "1GiB"}}}})

    assert made.settings("node-agent") == given
    assert made.settings("cluster-agent")["spool"] == {"maxBytes": "1GiB"}
    assert made.settings("cluster-agent")["election"] == {"leaseName": "kubescribe-cluster-agent"}


def test_large_numbers_stay_whole() -> None:
    made = render(values_at("aggregator.settings.ingest.waitingRecords", 10_000_000))

    assert "waitingRecords: 10000000\n" in made.one("ConfigMap", "aggregator")["data"]["config.yaml"]


def test_the_name_of_the_cluster_reaches_both_agents() -> None:
    made = render({"clusterName": "shop-production"})

    assert {made.settings(agent)["cluster"] for agent in ("cluster-agent", "node-agent")} == {"shop-production"}
    assert "cluster" not in render().settings("node-agent")
