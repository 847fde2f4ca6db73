"""The settings of scrubbing, the same for whoever shows lines to people."""

from dataclasses import dataclass

from kubescribe.lines.patterns import BadPattern, Pattern
from kubescribe.runtime.settings import setting
from kubescribe.runtime.values import Kind


def _parse(text: str) -> tuple[str, ...]:
    patterns = tuple(text.split())
    for pattern in patterns:
        try:
            Pattern(pattern)
        except BadPattern as error:
            raise ValueError(f"{pattern[:64]!r}: {error}") from error
    return patterns


PATTERNS: Kind[tuple[str, ...]] = Kind(
    expects="regular expressions in RE2's syntax, several separated by blanks; a blank in one is \\s",
    shape="REGEX …",
    parse=_parse,
    show=" ".join,
)

SCRUB_HELP = (
    "What people may not read in lines, besides credentials, e-mail addresses and card numbers: regular expressions"
    " (RE2), separated by blanks; whatever matches is shown as [scrubbed]."
)
SCRUB_WHY = "what is confidential in a company's own lines is known only there"


@dataclass(frozen=True, slots=True, kw_only=True)
class LinesConfig:
    """Lines of containers, for people."""

    scrub: tuple[str, ...] = setting((), PATTERNS, help=SCRUB_HELP, why=SCRUB_WHY)
