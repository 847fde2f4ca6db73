"""Programs word the same thing in their own ways, one line a line."""

import json
import random
from datetime import UTC, datetime

import pytest

from simulator.logs import formats, sayings

AT = datetime(2026, 11, 25, 12, 0, 1, 250_000, tzinfo=UTC)
ALL = [getattr(formats, name) for name in dir(formats) if name.startswith("as_")]


@pytest.mark.parametrize("wording", ALL)
def test_no_line_holds_a_line_feed_and_each_saying_shows_its_level_and_error(wording):
    said = [sayings.ordinary(random.Random(seed)) for seed in range(50)]
    said += [*sayings.starting("web", "1.0", restart=0), *sayings.out_of_memory("256Mi", random.Random(1))]

    for saying in said:
        stream, lines = wording("web", AT, saying)
        assert stream in {"stdout", "stderr"}
        assert lines
        assert not any("\n" in line for line in lines)
    for cause, (message, error) in sayings.CAUSES.items():
        text = "\n".join("\n".join(wording("web", AT, saying).lines) for saying in sayings.crashing(cause))
        assert message in text
        assert error.partition(": ")[2].replace('"', "") in text.replace('\\"', "").replace('"', "")


def test_a_program_keeps_its_format():
    assert formats.wording_of("rates-api") is formats.wording_of("rates-api")
    assert len({formats.wording_of(f"app-{number}") for number in range(50)}) == 5


def test_the_known_shapes():
    crash = sayings.crashing("defect")[0]

    assert json.loads(formats.as_json("web", AT, crash).lines[0])["level"] == "error"
    assert (
        formats.as_logfmt("web", AT, crash).lines[0].startswith("ts=2026-11-25T12:00:01.250+00:00 level=error app=web")
    )
    assert (
        "Caused by: java.lang.IllegalStateException: state is inconsistent" in formats.as_java("web", AT, crash).lines
    )
    assert "Traceback (most recent call last):" in formats.as_python("web", AT, crash).lines
    assert formats.as_klog("web", AT, crash).lines[0].startswith("E1125 12:00:01.250000       1 web.go:214]")
    assert formats.as_postgres("web", AT, crash).lines[0].startswith("2026-11-25 12:00:01.250 UTC [42] ERROR:  ")
