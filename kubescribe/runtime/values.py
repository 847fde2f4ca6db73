"""
The kinds of values that settings take: text to value and back, with what was expected in words.

Pure; a parser raises ValueError, whose text (if any) says more than the expectation does.
"""

import dataclasses
import re
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Generic, TypeVar
from urllib.parse import urlsplit

T = TypeVar("T")
C = TypeVar("C", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind(Generic[T]):
    """
    One kind of value.

    `expects` completes "expected …"; `shape` stands for a value in `--help`; `unit` is that of the parsed value. A
    `many` kind takes several, separated by commas, and an option with it may be repeated.
    """

    expects: str
    shape: str
    parse: Callable[[str], T]
    show: Callable[[T], str] = str
    unit: str = ""
    many: bool = False
    is_flag: bool = False

    def checked(self, holds: Callable[[T], bool], expects: str) -> "Kind[T]":
        """Return this kind, limited to values for which *holds*; *expects* replaces the expectation."""

        def parse(text: str) -> T:
            value = self.parse(text)
            if not holds(value):
                raise ValueError
            return value

        return dataclasses.replace(self, parse=parse, expects=expects)


def between(kind: Kind[C], low: C, high: C) -> Kind[C]:
    """Return *kind* limited to *low* … *high*, both included."""
    expects = f"{kind.expects}, from {kind.show(low)} to {kind.show(high)}"
    return kind.checked(lambda value: low <= value <= high, expects)


def listed(kind: Kind[T], expects: str) -> Kind[tuple[T, ...]]:
    """Return the kind of a list of *kind*, in the order given, empty for an empty text."""
    return Kind(
        expects=expects,
        shape=f"{kind.shape},…",
        parse=lambda text: tuple(kind.parse(item.strip()) for item in text.split(",") if item.strip()),
        show=lambda values: ",".join(kind.show(value) for value in values),
        unit=kind.unit,
        many=True,
    )


def one_of(*words: str) -> Kind[str]:
    """Return the kind of one of *words*."""
    return Kind(expects=f"one of {', '.join(words)}", shape="|".join(words), parse=str).checked(
        lambda value: value in words, f"one of {', '.join(words)}"
    )


_DURATION_PART = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?)(ms|s|m|h|d)")
_SECONDS = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def parse_duration(text: str) -> float:
    """Return the seconds of `15m`, `500ms`, `1h30m`, `14d`; a bare 0 is allowed, other bare numbers have no unit."""
    if text == "0":
        return 0.0
    parts = _DURATION_PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError
    return float(sum(float(number) * _SECONDS[unit] for number, unit in parts))


def show_duration(seconds: float) -> str:
    """Return *seconds* in the largest unit that is exact to a millisecond: `15m`, `90s`, `14d`."""
    milliseconds = round(seconds * 1000)
    for unit, length in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds and milliseconds % length == 0:
            return f"{milliseconds // length}{unit}"
    return f"{milliseconds}ms" if milliseconds else "0s"


_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,9})?) ?(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB|Ki|Mi|Gi|Ti)?")
_BYTES = {
    unit: base ** (power + 1)
    for base, units in ((1024, ("KiB", "MiB", "GiB", "TiB")), (1000, ("kB", "MB", "GB", "TB")))
    for power, unit in enumerate(units)
}


def parse_size(text: str) -> int:
    """Return the bytes of `512MiB`, `1.5GiB`, `10GB`, `4096`; Kubernetes' `Ki`, `Mi`, `Gi`, `Ti` too."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError
    number, unit = match.groups()
    factor = 1 if unit in (None, "B") else _BYTES[unit if unit.endswith("B") else f"{unit}B"]
    # A float holds whole numbers up to 2^53 only.
    return int(number) * factor if number.isdigit() else round(float(number) * factor)


def show_size(size: int) -> str:
    """Return *size* in the largest binary unit that is exact: `512MiB`, `1000B`."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        if size and size % _BYTES[unit] == 0:
            return f"{size // _BYTES[unit]}{unit}"
    return f"{size}B"


@dataclass(frozen=True, slots=True)
class HostPort:
    """An address to listen on; an empty host is every interface, port 0 any free port."""

    host: str
    port: int

    @property
    def shown_host(self) -> str:
        """Return the host as it stands in a URL: IPv6 in brackets."""
        return f"[{self.host}]" if ":" in self.host else self.host

    @property
    def is_loopback(self) -> bool:
        """Tell whether only this machine reaches it. Any other name than localhost counts as reachable."""
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    def __str__(self) -> str:
        return f"{self.shown_host}:{self.port}"


_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?|")


def parse_host_port(text: str) -> HostPort:
    """Return the parts of `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, `:8080`."""
    host, colon, digits = text.rpartition(":")
    if not colon or not digits.isascii() or not digits.isdigit() or int(digits) > 65_535:
        raise ValueError
    if host.startswith("[") and host.endswith("]"):
        host = str(ip_address(host[1:-1]))
    elif _HOST.fullmatch(host) is None:
        raise ValueError
    return HostPort(host, int(digits))


def parse_base_path(text: str) -> str:
    """Return *text* as `/cluster-info`: no slash at the end, and nothing at all for the root."""
    path = text.rstrip("/")
    if path and re.fullmatch(r"(/[A-Za-z0-9._~-]+)+", path) is None:
        raise ValueError
    if any(part in (".", "..") for part in path.split("/")):
        raise ValueError
    return path


def url_of(*schemes: str) -> Kind[str]:
    """Return the kind of an absolute URL with one of *schemes*; what is kept has no slash at the end."""

    def parse(text: str) -> str:
        parts = urlsplit(text)
        if parts.scheme not in schemes or not parts.hostname or parts.query or parts.fragment:
            raise ValueError
        parts.port  # noqa: B018 - reading it raises ValueError for a port that is none
        return text.rstrip("/")

    example = f"{schemes[0]}://host:port"
    return Kind(expects=f"a URL such as {example} ({', '.join(schemes)})", shape="URL", parse=parse, show=hide_password)


_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):[^/@\s]*@")


def hide_password(text: str) -> str:
    """Return *text* with the password of each URL in it replaced by `***`."""
    return _PASSWORD.sub(r"\1:***@", text)


def _parse_flag(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError
    return text.lower() == "true"


def _parse_text(text: str) -> str:
    if not text or any(ord(character) < 32 for character in text):
        raise ValueError
    return text


def _parse_file(text: str) -> Path:
    path = Path(_parse_text(text)).expanduser()
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise ValueError(error.strerror or "it cannot be opened") from error


def _parse_gvk(text: str) -> str:
    if re.fullmatch(r"([a-z0-9.-]+/)?v[0-9][a-z0-9]*/[A-Z][A-Za-z0-9]*", text) is None:
        raise ValueError
    if text.endswith("/Secret") and text.count("/") == 1:
        raise ValueError("Secrets are never watched")
    return text


def _parse_account(text: str) -> str:
    if re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?/[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", text) is None:
        raise ValueError
    return text


def _parse_whole(text: str) -> int:
    # int() alone would take "1_000", " 5 " and digits of other scripts.
    if re.fullmatch(r"-?[0-9]{1,18}", text) is None:
        raise ValueError
    return int(text)


def _parse_number(text: str) -> float:
    if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,15})?%?", text) is None:
        raise ValueError
    return float(text[:-1]) / 100 if text.endswith("%") else float(text)


DURATION: Kind[float] = Kind(
    expects="a duration such as 500ms, 30s or 15m",
    shape="DURATION",
    parse=parse_duration,
    show=show_duration,
    unit="seconds",
)
SIZE: Kind[int] = Kind(
    expects="a size such as 64KiB or 512MiB", shape="SIZE", parse=parse_size, show=show_size, unit="bytes"
)
SHARE: Kind[float] = Kind(
    expects="a share such as 15% or 0.15",
    shape="SHARE",
    parse=_parse_number,
    show=lambda value: f"{value * 100:g}%",
    unit="share, 0 to 1",
)
WHOLE: Kind[int] = Kind(expects="a whole number", shape="N", parse=_parse_whole)
NUMBER: Kind[float] = Kind(expects="a number", shape="N", parse=_parse_number, show=lambda value: f"{value:g}")
TEXT: Kind[str] = Kind(expects="a text without control characters", shape="TEXT", parse=_parse_text)
FLAG: Kind[bool] = Kind(
    expects="true or false",
    shape="true|false",
    parse=_parse_flag,
    show=lambda value: "true" if value else "false",
    is_flag=True,
)
DNS_NAME: Kind[str] = TEXT.checked(
    lambda text: len(text) <= 253 and re.fullmatch(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?", text) is not None,
    "a name of Kubernetes such as ip-10-0-1-7.ec2.internal: lower case, digits, - and .",
)
PATH: Kind[Path] = Kind(expects="a path", shape="PATH", parse=lambda text: Path(_parse_text(text)).expanduser())
FILE: Kind[Path] = Kind(expects="a file that can be read", shape="FILE", parse=_parse_file)
ADDRESS: Kind[HostPort] = Kind(
    expects="HOST:PORT such as 127.0.0.1:8080, or :8080 for every interface", shape="HOST:PORT", parse=parse_host_port
)
BASE_PATH: Kind[str] = Kind(
    expects="a path such as /cluster-info, or / for the root",
    shape="PATH",
    parse=parse_base_path,
    show=lambda value: value or "/",
)
HTTP_URL: Kind[str] = url_of("http", "https")
ACCOUNTS: Kind[tuple[str, ...]] = listed(
    Kind(expects="", shape="NAMESPACE/NAME", parse=_parse_account),
    "service accounts as namespace/name, several separated by commas",
)
GVKS: Kind[tuple[str, ...]] = listed(
    Kind(expects="", shape="GROUP/VERSION/KIND", parse=_parse_gvk),
    "group/version/Kind such as argoproj.io/v1alpha1/Workflow, several separated by commas; never Secrets",
)
