"""
Parameters of requests: declared once, used to read a query string, to read a feed's filter and to write the OpenAPI.

Whatever is unknown, given twice or not what it should be is refused with its name, its value and what was expected.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from aggregator.errors import BadQuery
from aggregator.outlets.filters import TOPICS
from kubescribe.lines.levels import LEVELS
from kubescribe.lines.patterns import MAX_CHARACTERS, Pattern
from kubescribe.runtime.values import parse_duration
from kubescribe.wire.times import from_rfc3339

MAX_TEXT = 256
"""Characters of one value: a Kubernetes name has at most 253."""

MAX_NAMES = 100
"""Of one value: each record is held against all of them."""

MAX_KEY = 1024
"""Characters of a key of several names."""

MAX_SEQ = 2**53 - 1
"""What a JSON reader can hold exactly."""


class BadParameter(BadQuery):
    """A parameter that cannot be: `value` is what came (cut), `expected` what should have."""

    def __init__(self, parameter: str, value: str, expected: str) -> None:
        cut = value if len(value) <= 64 else value[:64] + "…"
        super().__init__(parameter, f"{parameter}={cut!r}: expected {expected}")
        self.value = cut
        self.expected = expected


class _Unfit(ValueError):
    """Raised by a reader: the value is not what it reads."""


@dataclass(slots=True, frozen=True)
class Parameter:
    """
    One parameter: its name in the API, how it is read, what is expected in words, its JSON schema.

    `into` is the field of the query that it fills.
    """

    name: str
    description: str
    expected: str
    schema: Mapping[str, Any]
    read: Callable[[str], Any]
    into: str
    default: Any = None

    def parse(self, text: str) -> Any:
        """Return the value that *text* says. Raises BadParameter."""
        try:
            return self.read(text)
        except ValueError as error:
            raise BadParameter(self.name, text, self.expected) from error


def read_parameters(pairs: Iterable[tuple[str, str]], parameters: Mapping[str, Parameter]) -> dict[str, Any]:
    """Return {into: value} of what was given. Raises BadParameter for anything unknown, repeated or unfit."""
    values: dict[str, Any] = {}
    for name, text in pairs:
        parameter = parameters.get(name)
        if parameter is None:
            raise BadParameter(name[:64], text, "one of: " + (", ".join(parameters) or "no parameter"))
        if parameter.into in values:
            raise BadParameter(name, text, "to be given once")
        values[parameter.into] = parameter.parse(text)
    return values


def _text(value: str) -> str:
    if not value or len(value) > MAX_TEXT or "\x00" in value:
        raise _Unfit
    return value


def text(name: str, description: str, into: str = "") -> Parameter:
    """Return a parameter of free text."""
    schema = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
    return Parameter(name, description, f"1 to {MAX_TEXT} characters", schema, _text, into or name)


def _names(value: str) -> str:
    told = value.split(",")
    if len(told) > MAX_NAMES:
        raise _Unfit
    # In one order: who asks the same is the same, and is answered by the same work.
    return ",".join(sorted({_text(name.strip()) for name in told}))


def names(name: str, description: str) -> Parameter:
    """Return a parameter that is a name, or several separated by commas."""
    schema = {"type": "string", "minLength": 1, "examples": ["shop", "shop,payments"]}
    expected = f"1 to {MAX_TEXT} characters, or up to {MAX_NAMES} such separated by commas"
    return Parameter(name, description, expected, schema, _names, name)


def time(name: str, description: str, into: str = "") -> Parameter:
    """Return a parameter that is an RFC 3339 time, read as nanoseconds."""
    schema = {"type": "string", "format": "date-time"}
    expected = "an RFC 3339 time such as 2026-01-02T03:04:05Z, from 1823 to 2116 (+ as %2B)"
    return Parameter(name, description, expected, schema, from_rfc3339, into or name)


def number(
    name: str, description: str, *, low: int, high: int, into: str = "", default: int | None = None
) -> Parameter:
    """Return a parameter that is a whole number from *low* to *high*."""

    def read(value: str) -> int:
        if not value.isascii() or not value.isdigit() or len(value) > 19 or not low <= int(value) <= high:
            raise _Unfit
        return int(value)

    schema: dict[str, Any] = {"type": "integer", "minimum": low, "maximum": high}
    if default is not None:
        schema["default"] = default
    return Parameter(name, description, f"a whole number from {low} to {high}", schema, read, into or name, default)


def since(name: str, description: str, into: str = "") -> Parameter:
    """Return a parameter that is a time, or how long ago: `15m`. Read as nanoseconds, negative for a duration."""

    def read(value: str) -> int:
        try:
            return -int(parse_duration(value) * 1e9)
        except ValueError:
            return from_rfc3339(value)

    schema = {"type": "string", "examples": ["15m", "2026-01-02T03:04:05Z"]}
    expected = "a duration such as 15m, or an RFC 3339 time (+ as %2B)"
    return Parameter(name, description, expected, schema, read, into or name)


def flag(name: str, description: str, into: str) -> Parameter:
    """Return a parameter that is true or false."""

    def read(value: str) -> bool:
        if value not in {"true", "false"}:
            raise _Unfit
        return value == "true"

    return Parameter(
        name, description, "true or false", {"type": "boolean", "default": False}, read, into, default=False
    )


def pattern(name: str, description: str) -> Parameter:
    """Return a parameter that is a regular expression; its text is what is read."""

    def read(value: str) -> str:
        if not value:
            raise _Unfit
        return Pattern(value).text

    schema = {"type": "string", "minLength": 1, "maxLength": MAX_CHARACTERS}
    expected = f"a regular expression in RE2's syntax of at most {MAX_CHARACTERS} characters"
    return Parameter(name, description, expected, schema, read, name)


def choice(name: str, description: str, values: Mapping[str, Any], *, into: str, default: str = "") -> Parameter:
    """Return a parameter that is one of the words in *values*, read as what they map to."""

    def read(value: str) -> Any:
        if value not in values:
            raise _Unfit
        return values[value]

    schema: dict[str, Any] = {"type": "string", "enum": list(values)}
    if default:
        schema["default"] = default
    return Parameter(name, description, "one of: " + ", ".join(values), schema, read, into, default)


def _key(value: str) -> str:
    if not value or len(value) > MAX_KEY or "\x00" in value:
        raise _Unfit
    return value


@dataclass(slots=True, frozen=True)
class ParameterSet:
    """The parameters of one question, in the order in which they are documented."""

    parameters: tuple[Parameter, ...]
    by_name: dict[str, Parameter] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {parameter.name: parameter for parameter in self.parameters})

    def read(self, pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
        """As `read_parameters`."""
        return read_parameters(pairs, self.by_name)


FROM = time("from", "Only what was observed after this time.", "start")
TO = time("to", "Only what was observed up to this time.")
NAMESPACE = text("namespace", "Only objects of this namespace.")
NAMESPACES = names("namespace", "Only objects of this namespace, or of these: `shop,payments`.")
KIND = text("kind", "Only objects of this kind; `Kind.group` outside the built-in groups.")
NAME = text("name", "Only objects of this name.")
UID = text("uid", "Only the object of this uid.")
MANAGER = text("manager", "Only changes by this field manager.")
REASON = text("reason", "Only Events with this reason.")
TEXT = text("q", "Only what contains this text, whatever its case.")
AFTER = number("after", "Go on from this seq, exclusive: above it ascending, below it descending.", low=0, high=MAX_SEQ)
LIMIT = number("limit", "Most items in the answer.", low=1, high=1000, default=100)
ORDER = choice("order", "By seq.", {"asc": True, "desc": False}, into="ascending", default="desc")

PAGING = (AFTER, LIMIT, ORDER)
CHANGES = ParameterSet((FROM, TO, NAMESPACES, KIND, NAME, UID, MANAGER, TEXT, *PAGING))
OCCURRENCES = ParameterSet((FROM, TO, NAMESPACES, KIND, NAME, UID, REASON, TEXT, *PAGING))
GAPS = ParameterSet((FROM, TO, *PAGING))
OBJECTS = ParameterSet(
    (
        time("at", "The cluster as it was at this moment; now when not given."),
        NAMESPACES,
        KIND,
        NAME,
        TEXT,
        flag("includeDeleted", "Objects that were gone by then, too.", "include_deleted"),
        flag("includeBody", "Each object whole.", "include_body"),
        number("after", "Go on from here: the `after` of `next`.", low=0, high=MAX_SEQ),
        LIMIT,
    )
)
OBJECT = ParameterSet((time("at", "The object as it was at this moment; now when not given."),))
HISTORY = ParameterSet((number("after", "Versions already seen.", low=0, high=MAX_SEQ), LIMIT, ORDER))
STATUS = ParameterSet((FROM, TO))
USAGE = ParameterSet(
    (
        text("namespace", "Only pods of this namespace."),
        text("node", "Only this node, and the pods on it."),
        text("workload", "Only pods of the workload of this name."),
        text("name", "Only the pod, or node, of this name."),
        choice(
            "kind", "Only pods, or only nodes.", {"Pod": "Pod", "Node": "Node", "any": ""}, into="kind", default="any"
        ),
        flag("history", "The last minutes of each, too.", "history"),
        Parameter(
            "after",
            "Go on from here: the `after` of `next`.",
            "the `after` of a `next`",
            {"type": "string", "minLength": 1, "maxLength": MAX_KEY},
            _key,
            "after",
        ),
        LIMIT,
    )
)
NONE = ParameterSet(())
FILTER = ParameterSet((FROM, TO, NAMESPACES, KIND, NAME, UID, MANAGER, REASON, TEXT))
"""What a feed's filter may say: the parameters of `GET changes` that are no paging, and an Event's reason."""

_LINES = (
    NAMESPACE,
    text("pod", "Lines of the pod of this name."),
    text("workload", "Lines of all pods of this workload, merged in the order of time."),
    text("workloadKind", "The kind of the workload, where two share a name.", "workload_kind"),
    text("uid", "Lines of the pod of this uid, alive or dead."),
    text("container", "Only lines of this container."),
    pattern("grep", "Only lines that match this regular expression (RE2), as they are shown: scrubbed."),
    choice(
        "level", "Only lines of this level and the graver ones.", {it: it for it in LEVELS}, into="level", default=""
    ),
    since("since", "Only lines from this time on, or of so long."),
    number("limit", "Most lines: the newest that match.", low=1, high=1000, default=100),
)
LOGS = ParameterSet(
    (
        *_LINES,
        since("until", "Only lines before this time, or older than that."),
        flag("previous", "Only lines of instances of the containers before the current ones.", "previous"),
        flag(
            "follow",
            "Go on with what comes: one JSON object a line (NDJSON), until the connection is closed.",
            "follow",
        ),
    )
)
TAIL = ParameterSet(_LINES)
"""What a filter of the feed's topic `logs` may say."""

TOPIC = choice(
    "topic",
    "What to hear; `logs`, which is not among these, takes the parameters of `GET logs`.",
    {topic: topic for topic in TOPICS},
    into="topic",
    default="changes",
)
EVENT_STREAM = ParameterSet(
    (
        TOPIC,
        text("from", "Where to begin: a seq, an RFC 3339 time, or now. Last-Event-ID goes before it.", "origin"),
        flag("snapshot", "The state, or the newest records, first.", "snapshot"),
        *(parameter for parameter in FILTER.parameters if parameter.name != "from"),
    )
)
"""What `GET feed/sse` takes. `from` is where the feed begins, so it cannot be the filter's."""
