"""File, variables and options: which wins, what is ignored, and every way of being wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from kubescribe.runtime.errors import ConfigError
from kubescribe.runtime.settings import Check, group, setting
from kubescribe.runtime.sources import Loaded, is_injected, load
from kubescribe.runtime.values import DURATION, GVKS, HTTP_URL, TEXT, WHOLE, between


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """Watching."""

    kinds: tuple[str, ...] = setting((), GVKS, help="Kinds.", why="none")
    idle_seconds: float = setting(5.0, DURATION, help="Idle.", why="short")


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All."""

    nodes: int = setting(3, between(WHOLE, 1, 9), help="Nodes.", why="few")
    spare: int = setting(1, WHOLE, help="Spare.", why="few")
    token: str = setting("", TEXT, help="Token.", why="none", secret=True)
    aggregator: str = setting("http://h:1", HTTP_URL, help="URL.", why="here")
    watch: Watch = group(Watch)

    CHECKS: ClassVar[tuple[Check, ...]] = (
        Check(("nodes", "spare"), lambda it: "more spare than nodes" if it.spare > it.nodes else None),
    )


def loaded(
    tmp_path: Path,
    yaml: str | None = None,
    environ: Mapping[str, str] | None = None,
    options: Sequence[tuple[str, str]] = (),
) -> Loaded[Config]:
    file = None
    if yaml is not None:
        file = tmp_path / "c.yaml"
        file.write_text(yaml)
    return load(Config, file=file, environ=environ or {}, options=options)


def problems(
    tmp_path: Path,
    yaml: str | None = None,
    environ: Mapping[str, str] | None = None,
    options: Sequence[tuple[str, str]] = (),
) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, yaml, environ, options)
    return [problem.replace(f"{tmp_path}/", "") for problem in caught.value.problems]


def test_nothing_given_is_the_defaults(tmp_path: Path) -> None:
    assert loaded(tmp_path) == Loaded(Config(), {})


def test_the_later_source_wins_and_is_named(tmp_path: Path) -> None:
    made = loaded(
        tmp_path,
        "nodes: 4\nspare: 2\nwatch: {idle: 10s}\n",
        {"KUBESCRIBE_NODES": "5", "KUBESCRIBE_WATCH_IDLE": "20s"},
        [("--nodes", "6")],
    )

    assert (made.settings.nodes, made.settings.spare, made.settings.watch.idle_seconds) == (6, 2, 20.0)
    assert made.sources["nodes"] == "--nodes"
    assert made.sources["watch.idle"] == "KUBESCRIBE_WATCH_IDLE"
    assert made.sources["spare"].endswith("c.yaml: spare")


def test_a_list_is_a_yaml_list_commas_or_a_repeated_option(tmp_path: Path) -> None:
    kinds = ("v1/Pod", "apps/v1/Deployment")

    for made in (
        loaded(tmp_path, "watch:\n  kinds: [v1/Pod, apps/v1/Deployment]\n"),
        loaded(tmp_path, environ={"KUBESCRIBE_WATCH_KINDS": "v1/Pod,apps/v1/Deployment"}),
        loaded(tmp_path, options=[("--watch-kinds", "v1/Pod"), ("--watch-kinds", "apps/v1/Deployment")]),
    ):
        assert made.settings.watch.kinds == kinds


def test_all_problems_of_all_sources_are_told_at_once(tmp_path: Path) -> None:
    assert problems(
        tmp_path,
        "nodes: 12\nwatch: {idel: 5s, idle: 7}\nwach: {kinds: []}\n",
        {"KUBESCRIBE_SPARE": "many", "KUBESCRIBE_WATCH_IDEL": "1s"},
        [("--nodes", "zero"), ("--node", "3"), ("--spare", "")],
    ) == [
        "c.yaml: watch.idel: no such setting; did you mean watch.idle?",
        "c.yaml: wach.kinds: no such setting; did you mean watch.kinds?",
        "KUBESCRIBE_WATCH_IDEL: no such setting; did you mean KUBESCRIBE_WATCH_IDLE?",
        "--node: no such option; did you mean --nodes?",
        "--spare: a value is missing; expected a whole number",
        "c.yaml: nodes: '12' is not a whole number, from 1 to 9",
        "c.yaml: watch.idle: '7' is not a duration such as 500ms, 30s or 15m",
        "KUBESCRIBE_SPARE: 'many' is not a whole number",
        "--nodes: 'zero' is not a whole number, from 1 to 9",
    ]


def test_rules_over_several_settings_are_asked_only_of_valid_ones(tmp_path: Path) -> None:
    assert problems(tmp_path, "spare: 5\n") == ["more spare than nodes"]
    assert problems(tmp_path, "spare: 5\nnodes: no-number\n") == [
        "c.yaml: nodes: 'no-number' is not a whole number, from 1 to 9"
    ]


def test_a_secret_and_a_password_are_in_no_problem(tmp_path: Path) -> None:
    told = "\n".join(problems(tmp_path, options=[("--token", "hunter2\n"), ("--aggregator", "ftp://me:hunter3@host")]))

    assert "hunter" not in told
    assert "--token: (hidden) is not a text" in told
    assert "ftp://me:***@host" in told


@pytest.mark.parametrize(
    ("yaml", "problem"),
    [
        ("- a\n", "--config c.yaml: expected keys and values"),
        ("just text", "--config c.yaml: expected keys and values"),
        ("a: [", "--config c.yaml: not YAML (line 1, column 5)"),
        ("a: b: c", "--config c.yaml: not YAML (line 1"),
        ("nodes: !!python/object/apply:os.system [ls]", "--config c.yaml: not YAML"),
        ("nodes: [1]\n", "c.yaml: nodes: a list is not a whole number"),
        ("nodes: {a: 1}\n", "c.yaml: nodes: a mapping is not a whole number"),
        ("nodes: 2020-01-01\n", "c.yaml: nodes: a value of the form date is not a whole number"),
        ("watch: 5\n", "c.yaml: watch: a group of settings, not a value; it holds kinds, idle"),
        ("watch: {kinds: [{a: b}]}\n", "c.yaml: watch.kinds: a list is not group/version/Kind"),
        ("x: " + "[" * 5000, "--config c.yaml: not YAML"),
        ("x: " + "y" * 2**20, "--config c.yaml: over 1048576 bytes"),
    ],
)
def test_a_file_that_is_none_of_ours_is_one_line(tmp_path: Path, yaml: str, problem: str) -> None:
    (told,) = problems(tmp_path, yaml)

    assert told.startswith(problem)
    assert "\n" not in told


def test_a_file_that_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--config .*nowhere\.yaml: No such file"):
        load(Config, file=tmp_path / "nowhere.yaml", environ={}, options=[])


def test_null_and_an_empty_variable_are_as_if_not_given(tmp_path: Path) -> None:
    made = loaded(tmp_path, "nodes: null\nwatch:\n", {"KUBESCRIBE_SPARE": ""})

    assert made == Loaded(Config(), {})
    assert loaded(tmp_path, "") == Loaded(Config(), {})


INJECTED = [
    "KUBESCRIBE_SERVICE_HOST",
    "KUBESCRIBE_SERVICE_PORT",
    "KUBESCRIBE_SERVICE_PORT_HTTP",
    "KUBESCRIBE_PORT",
    "KUBESCRIBE_PORT_8080_TCP",
    "KUBESCRIBE_PORT_8080_TCP_PROTO",
    "KUBESCRIBE_PORT_8080_TCP_PORT",
    "KUBESCRIBE_PORT_8080_TCP_ADDR",
    "KUBESCRIBE_PORT_53_UDP",
    "KUBESCRIBE_AGGREGATOR_SERVICE_HOST",
    "KUBESCRIBE_AGGREGATOR_SERVICE_PORT_INGEST_GRPC",
    "KUBESCRIBE_AGGREGATOR_PORT",
    "KUBESCRIBE_AGGREGATOR_PORT_8081_TCP_ADDR",
]


@pytest.mark.parametrize("name", INJECTED)
def test_what_kubernetes_injects_for_services_is_ignored(tmp_path: Path, name: str) -> None:
    assert is_injected(name)
    assert loaded(tmp_path, environ={name: "tcp://10.0.0.1:8080"}).settings == Config()


def test_our_own_variable_beside_a_service_of_its_name_is_read(tmp_path: Path) -> None:
    made = loaded(
        tmp_path, environ={"KUBESCRIBE_AGGREGATOR": "http://x:1", "KUBESCRIBE_AGGREGATOR_PORT": "tcp://10.0.0.1:8080"}
    )

    assert made.settings.aggregator == "http://x:1"


def test_variables_of_others_and_of_the_file_itself_are_none_of_our_settings(tmp_path: Path) -> None:
    environ = {"KUBECONFIG": "x", "PATH": "y", "KUBESCRIBE_CONFIG": "z", "MY_KUBESCRIBE_X": "1"}

    assert loaded(tmp_path, environ=environ).settings == Config()
