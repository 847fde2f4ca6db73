"""What `kubescribe simulate` is told reaches the simulator."""

from pathlib import Path

from kubescribe.cli.simulateconfig import SimulateConfig
from kubescribe.runtime.settings import build, table

GIVEN = {
    "port": 5,
    "nodes": 6,
    "pods": 7,
    "rate": 8.0,
    "seed": 9,
    "data": Path("/d"),
    "writeKubeconfig": Path("/k"),
    "replay": Path("/r"),
    "fargate": 10,
    "lokiPort": 11,
    "logs": Path("/l"),
    "logsByNode": True,
    "customGroups": ("argoproj.io",),
}


def test_every_option_reaches_the_simulator() -> None:
    assert {row.key for row in table(SimulateConfig)} == {*GIVEN, "log.level", "log.format"}

    values = build(SimulateConfig, GIVEN).values()

    assert (values.port, values.nodes, values.pods, values.rate, values.seed) == (5, 6, 7, 8.0, 9)
    assert (values.data, values.write_kubeconfig, values.replay) == (Path("/d"), Path("/k"), Path("/r"))
    assert (values.fargate, values.loki_port) == (10, 11)
    assert (values.logs, values.logs_by_node) == (Path("/l"), True)
    assert values.custom_groups == ("argoproj.io",)
