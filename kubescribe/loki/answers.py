"""
What an answer of Loki to a push means. Pure.

The texts are Loki's own (pkg/validation/validate.go, pkg/ingester/stream.go, pkg/distributor/distributor.go, as of
3.x; older versions begin some of them with a capital). What has to be known to read them:

- A 400 of the distributor or an ingester drops the bad entries and **stores the rest**, so it is never sent again; a
  400 of the parser (labels that do not parse, a body that is none) stores nothing.
- The distributor groups equal texts as `N errors like: …; M errors like: …`; an error about a stream counts once and
  drops all of its entries. An ingester names up to ten entries and the total: `total ignored: N out of M`.
- An ingester's error is that of the last stream of the request alone (pkg/ingester/instance.go), so of a request with
  several streams nobody knows which of the others were refused too.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum, auto


class Verdict(Enum):
    """What to do next."""

    STORED = auto()
    """Done; `rejected` entries were dropped for good, the rest is in Loki."""
    REFUSED = auto()
    """Nothing was stored, and nothing of it ever will be as it is: look for the bad part, drop it alone."""
    TOO_LARGE = auto()
    """Nothing was stored: send smaller parts."""
    RATE_LIMITED = auto()
    """Nothing was stored: the tenant sends too much; `limit_bytes` a second are allowed where it is told."""
    STREAM_RATE_LIMITED = auto()
    """One stream was refused, others of the request may be stored or refused."""
    STREAM_LIMITED = auto()
    """A new stream was refused, streams that exist were stored."""
    MISCONFIGURED = auto()
    """Nothing was stored, and somebody has to change a setting."""
    FAILED = auto()
    """Loki could not; the same again later."""


TOO_FAR_BEHIND = "too_far_behind"
UNKNOWN = "other"
"""The reason of a refusal in words that are none of Loki's, as far as we know them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """
    What an answer means.

    `rejected` are entries by reason, `whole_streams` reasons that dropped every entry of the streams that they name,
    by the stream's text. `limit_bytes` is a limit a second, 0 where none is told. `stream` is the one that an
    ingester's error is about, `reason` why a request was refused.
    """

    verdict: Verdict
    rejected: Mapping[str, int] = field(default_factory=dict)
    whole_streams: Mapping[str, str] = field(default_factory=dict)
    limit_bytes: int = 0
    stream: str = ""
    reason: str = ""


_OF_ENTRIES = (
    (TOO_FAR_BEHIND, re.compile(r"entry too far behind")),
    ("out_of_order", re.compile(r"entry out of order")),
    ("greater_than_max_sample_age", re.compile(r"has timestamp too old")),
    ("too_far_in_future", re.compile(r"has timestamp too new")),
    ("line_too_long", re.compile(r"max entry size '\d+' bytes exceeded", re.IGNORECASE)),
    ("disallowed_structured_metadata", re.compile(r"includes structured metadata, but")),
    ("structured_metadata_too_large", re.compile(r"has structured metadata too large")),
    ("structured_metadata_too_many", re.compile(r"has too many structured metadata labels")),
)
"""Reasons that drop single entries."""

_OF_STREAMS = (
    ("max_label_names_per_series", re.compile(r"has \d+ label names; limit \d+")),
    ("label_name_too_long", re.compile(r"has label name too long")),
    ("label_value_too_long", re.compile(r"has label value too long")),
    ("duplicate_label_names", re.compile(r"has duplicate label name")),
    ("missing_enforced_labels", re.compile(r"missing required labels")),
    ("invalid_labels", re.compile(r"error parsing labels '", re.IGNORECASE)),
    ("missing_labels", re.compile(r"at least one label pair is required per stream")),
)
"""Reasons that drop a stream with all of its entries, and leave the other streams alone."""

_OF_REQUESTS = (
    ("invalid_labels", re.compile(r"couldn't parse labels")),
    ("blocked_ingestion", re.compile(r"ingestion blocked for user", re.IGNORECASE)),
    ("missing_streams", re.compile(r"at least one valid stream is required")),
)
"""Reasons that drop a whole request."""

REQUEST_TOO_LARGE = "request_body_too_large"

_KNOWN = dict.fromkeys(reason for table in (_OF_ENTRIES, _OF_STREAMS, _OF_REQUESTS) for reason, _ in table)

REASONS = (*_KNOWN, REQUEST_TOO_LARGE, UNKNOWN)
"""The closed set of reasons for which something is refused for good."""

_OF_TENANTS = re.compile(r"^(?:multiple org IDs present|tenant ID (?:is|'))")
"""What dskit says of a tenant that is none (tenant/tenant.go), with 400."""

_GROUP = re.compile(r"(?:^|; )(\d{1,9}) errors like: ")
_IGNORED = re.compile(r"total ignored: (\d{1,9}) out of (\d{1,9}) for stream: (\{.*\})", re.DOTALL)
_NAMED_STREAM = re.compile(r"(?:for stream|stream|parsing labels) '(\{.*?\})'(?: |,|$)", re.DOTALL)
_LIMIT = re.compile(r"\(limit: (\d{1,18})(?:\.\d+)? ?([KMGTPE]?)B?(?: ?bytes)?/sec\)")
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40, "P": 2**50, "E": 2**60}

_CONFIGURATION = frozenset({301, 302, 303, 307, 308, 401, 402, 403, 404, 405, 406, 407, 410, 415, 501})
"""Statuses that no second try heals: a wrong address, method, tenant or credential."""


def read_answer(status: int, text: str) -> Meaning:
    """Return what an answer with *status* and *text* means."""
    if _reason(_OF_REQUESTS[1:2], text):
        # Its status is whatever the operator of Loki wrote down, 260 by default: never a reason to try again.
        return Meaning(verdict=Verdict.REFUSED, reason="blocked_ingestion")
    if status == 400 and _OF_TENANTS.search(text):
        return Meaning(verdict=Verdict.MISCONFIGURED)
    if status in _BY_TEXT:
        return _BY_TEXT[status](text)
    if status in _CONFIGURATION:
        return Meaning(verdict=Verdict.MISCONFIGURED)
    if status >= 500 or status in {408, 425}:
        return Meaning(verdict=Verdict.FAILED)
    return Meaning(verdict=Verdict.REFUSED, reason=_reason(_OF_REQUESTS, text) or UNKNOWN)


def _throttled(text: str) -> Meaning:
    limit = _limit(text)
    lowered = text.lower()
    if "per stream rate limit exceeded" in lowered:
        found = _IGNORED.search(text) or _NAMED_STREAM.search(text)
        stream = found.group(found.lastindex or 0) if found else ""
        return Meaning(verdict=Verdict.STREAM_RATE_LIMITED, limit_bytes=limit, stream=stream)
    if "maximum active stream limit exceeded" in lowered:
        return Meaning(verdict=Verdict.STREAM_LIMITED)
    # Also what a proxy in front of Loki says: less, and later.
    return Meaning(verdict=Verdict.RATE_LIMITED, limit_bytes=limit)


def _rejected(text: str) -> Meaning:
    if (ignored := _IGNORED.search(text)) is not None:
        return _ignored(text, ignored)
    rejected: Counter[str] = Counter()
    whole: dict[str, str] = {}
    for count, said in _groups(text):
        if reason := _reason(_OF_ENTRIES, said):
            rejected[reason] += count
        elif reason := _reason(_OF_STREAMS, said):
            named = _NAMED_STREAM.search(said)
            whole[named.group(1) if named else ""] = reason
        else:
            return Meaning(verdict=Verdict.REFUSED, reason=_reason(_OF_REQUESTS, said) or UNKNOWN)
    return Meaning(verdict=Verdict.STORED, rejected=rejected, whole_streams=whole)


def _ignored(text: str, found: "re.Match[str]") -> Meaning:
    """Return what an ingester says: the entries of one stream that it did not take."""
    count, stream = int(found.group(1)), found.group(3)
    if "per stream rate limit exceeded" in text.lower():
        # Some were too much and some too old: the former are sent again, and the latter are refused again then.
        return Meaning(verdict=Verdict.STREAM_RATE_LIMITED, limit_bytes=_limit(text), stream=stream)
    reason = _reason(_OF_ENTRIES, text) or TOO_FAR_BEHIND
    return Meaning(verdict=Verdict.STORED, rejected={reason: count}, stream=stream)


def _groups(text: str) -> list[tuple[int, str]]:
    marks = list(_GROUP.finditer(text))
    if not marks:
        return [(1, text)]
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    return [(int(mark.group(1)), text[mark.end() : end]) for mark, end in zip(marks, ends, strict=True)]


def _reason(table: "tuple[tuple[str, re.Pattern[str]], ...]", text: str) -> str:
    return next((reason for reason, pattern in table if pattern.search(text)), "")


def _limit(text: str) -> int:
    found = [int(number) * _UNITS[unit] for number, unit in _LIMIT.findall(text)]
    return min(found, default=0)


_BY_TEXT: Mapping[int, Callable[[str], Meaning]] = {
    200: lambda _: Meaning(verdict=Verdict.STORED),
    204: lambda _: Meaning(verdict=Verdict.STORED),
    400: _rejected,
    413: lambda _: Meaning(verdict=Verdict.TOO_LARGE, reason=REQUEST_TOO_LARGE),
    429: _throttled,
}
