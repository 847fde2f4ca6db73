"""How a role ends: told in a line, or told in full."""

import asyncio
from typing import Any

import pytest

from kubescribe.cli.roles import Role
from kubescribe.cli.running import run_role
from kubescribe.cli.simulateconfig import SimulateConfig
from kubescribe.runtime.errors import PortInUse
from kubescribe.runtime.logsettings import LogConfig


class Told(Exception):
    """An error of a role that is told in a line."""


def ended(error: Exception | None, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    async def run(_settings: Any, _stop: asyncio.Event) -> None:
        if error is not None:
            raise error

    role = Role(name="test", summary="", settings=SimulateConfig, entry=lambda: (run, (Told,)))
    code = run_role(role, SimulateConfig(log=LogConfig(level="error", format="text")))
    return code, capsys.readouterr().err


def test_an_ordered_end_is_0(capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(None, capsys) == (0, "")


@pytest.mark.parametrize(
    "error", [Told("the file is not ours;\n  move it"), PortInUse("the file is not ours; move it")]
)
def test_what_the_operator_can_mend_is_one_line_and_2(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(error, capsys) == (2, "kubescribe test: the file is not ours; move it\n")


def test_a_group_of_such_errors_is_one_line_each_and_none_twice(capsys: pytest.CaptureFixture[str]) -> None:
    error = ExceptionGroup("g", [Told("a"), ExceptionGroup("h", [PortInUse("b"), Told("a")])])

    assert ended(error, capsys) == (2, "kubescribe test: a\nkubescribe test: b\n")


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("odd"), ExceptionGroup("g", [Told("a"), ZeroDivisionError("odd")])]
)
def test_what_nobody_expected_has_its_traceback_and_1(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = ended(error, capsys)

    assert code == 1
    assert "process.failed" in said
    assert "Traceback" in said
    assert "ZeroDivisionError: odd" in said
