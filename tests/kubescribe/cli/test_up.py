"""`up` puts the daemons together as a laptop wants them."""

from pathlib import Path

from kubescribe.cli.up import reading_pretend_logs
from kubescribe.cli.upconfig import UpConfig
from kubescribe.runtime.settings import build


def test_the_agent_reads_the_pretend_clusters_logs_unless_it_was_told_which(tmp_path: Path) -> None:
    by_default = build(UpConfig, {"simulate": True, "data": tmp_path})
    told = build(UpConfig, {"simulate": True, "data": tmp_path, "logs.folder": tmp_path / "mine"})

    assert reading_pretend_logs(by_default).logs.folder == tmp_path / "simulator" / "logs"
    assert reading_pretend_logs(told).logs.folder == tmp_path / "mine"
