"""What operators write is read as they mean it, or refused."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubescribe.runtime import values
from kubescribe.runtime.values import HostPort


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("15m", 900), ("500ms", 0.5), ("1h30m", 5400), ("14d", 1_209_600), ("1.5s", 1.5), ("0", 0), ("0s", 0)],
)
def test_durations_have_a_unit(text: str, seconds: float) -> None:
    assert values.parse_duration(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "15", "m", "15 m", "15min", "-5s", "1m junk", "1h-30m", "1e3s", "\u0661m", "9" * 5000 + "d"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the caller knows which value it was
        values.parse_duration(text)


@given(st.integers(min_value=0, max_value=10**12))
def test_a_shown_duration_is_read_as_the_same(milliseconds: int) -> None:
    shown = values.show_duration(milliseconds / 1000)

    assert round(values.parse_duration(shown) * 1000) == milliseconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("512MiB", 512 * 2**20),
        ("64 KiB", 65_536),
        ("1.5GiB", 3 * 2**29),
        ("10GB", 10**10),
        ("4096", 4096),
        ("2Gi", 2**31),
    ],
)
def test_sizes_may_have_a_unit(text: str, size: int) -> None:
    assert values.parse_size(text) == size


@pytest.mark.parametrize("text", ["", "MiB", "-1", "12 apples", "1mib", "0x10", "1_000", "9" * 5000])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        values.parse_size(text)


@given(st.integers(min_value=0, max_value=10**18 - 1))
def test_a_shown_size_is_read_as_the_same(size: int) -> None:
    assert values.parse_size(values.show_size(size)) == size


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8080", HostPort("127.0.0.1", 8080)),
        (":9090", HostPort("", 9090)),
        ("[::1]:0", HostPort("::1", 0)),
        ("kubescribe.example:65535", HostPort("kubescribe.example", 65_535)),
    ],
)
def test_addresses_are_host_and_port(text: str, address: HostPort) -> None:
    parsed = values.parse_host_port(text)

    assert parsed == address
    assert str(parsed) == text


@pytest.mark.parametrize(
    "text", ["", "8080", "host", "host:", "host:http", "host:65536", "::1:80", "[x]:80", "a b:1", "h:\u0663"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        values.parse_host_port(text)


@pytest.mark.parametrize(
    ("host", "is_loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("localhost", True),
        ("", False),
        ("0.0.0.0", False),
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example", False),
    ],
)
def test_only_loopback_counts_as_loopback(host: str, is_loopback: bool) -> None:
    assert HostPort(host, 1).is_loopback is is_loopback


@pytest.mark.parametrize(("text", "path"), [("/", ""), ("/cluster-info", "/cluster-info"), ("/a/b/", "/a/b")])
def test_a_base_path_has_no_slash_at_its_end(text: str, path: str) -> None:
    assert values.parse_base_path(text) == path


@pytest.mark.parametrize("text", ["cluster-info", "/a//b", "/a b", "/a?b", "/../etc", "/%2e", "http://x/"])
def test_what_is_no_base_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        values.parse_base_path(text)


@pytest.mark.parametrize("text", ["ftp://h", "http://", "h:80", "http://h:notaport", "http://h?x=1", "http://h:99999"])
def test_what_is_no_http_url_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        values.HTTP_URL.parse(text)


def test_a_password_in_a_url_is_never_shown() -> None:
    shown = values.hide_password("at postgresql://scribe:hunter2@db/x and http://u:p@h")

    assert shown == "at postgresql://scribe:***@db/x and http://u:***@h"


@pytest.mark.parametrize("text", ["v1/Pod", "apps/v1/Deployment", "argoproj.io/v1alpha1/Workflow"])
def test_kinds_are_group_version_kind(text: str) -> None:
    assert values.GVKS.parse(f"{text}, {text}") == (text, text)


@pytest.mark.parametrize("text", ["Pod", "apps/Deployment", "a/b/c", "v1/Secret", "apps/v1/", "a/v1/K/x"])
def test_what_is_no_kind_and_every_secret_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        values.GVKS.parse(text)


@pytest.mark.parametrize(
    ("parse", "text"),
    [
        (values.WHOLE.parse, "1_000"),
        (values.WHOLE.parse, " 5"),
        (values.WHOLE.parse, "\u0663"),
        (values.NUMBER.parse, "nan"),
        (values.NUMBER.parse, "inf"),
        (values.FLAG.parse, "yes"),
        (values.TEXT.parse, "a\nb"),
        (values.one_of("a", "b").parse, "c"),
        (values.between(values.WHOLE, 1, 3).parse, "4"),
    ],
)
def test_python_leniency_does_not_reach_operators(parse: Callable[[str], Any], text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse(text)


def test_a_share_is_a_percentage_or_a_fraction() -> None:
    assert values.SHARE.parse("15%") == values.SHARE.parse("0.15") == 0.15
    assert values.SHARE.show(0.15) == "15%"


def test_a_file_must_be_readable(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("x")

    assert values.FILE.parse(str(tmp_path / "token")) == tmp_path / "token"
    with pytest.raises(ValueError, match="No such file"):
        values.FILE.parse(str(tmp_path / "missing"))
