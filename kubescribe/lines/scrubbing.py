"""
What people may not read in a line, replaced by a short visible mark: credentials, e-mail addresses, card numbers.

On the safe side: what follows `password=` goes whatever it is. Addresses, uuids, times and digests stay. A line is
first asked, in one pass of RE2, whether it may hold anything at all, and nine of ten do not; so scrubbing costs a few
microseconds, and never more than a line's length allows. Who filters lines does so on what is left, or a filter could
ask for the secret letter by letter.
"""

from collections.abc import Callable, Sequence
from typing import Any

from kubescribe.lines.cards import CANDIDATE, hide_cards
from kubescribe.lines.credentials import NAMES, PRIVATE_KEY, SCHEMED, TOKENS, URL_PASSWORD
from kubescribe.lines.patterns import Pattern, compiled

SECRET = b"[scrubbed secret]"
EMAIL = b"[scrubbed email]"
OWN = b"[scrubbed]"

_MORE_NAMES = (
    r"credentials?|(proxy-)?authorization|x-amz-security-token|(set-)?cookie|session[-_]?(id|key|token)|"
    r"private[-_]?key|client[-_]?key|signing[-_]?key|encryption[-_]?key|signature|sig|passcode|otp"
)
_NAME = rf"(?i:({NAMES}|{_MORE_NAMES})([-_]?(key|value|string|data|text|hash|\d+))?)"
# A name may be quoted, with escapes too: JSON lies in strings of JSON.
_NAMED = rf"{_NAME}\\*[\"'`]?\s*(=>|:=|[=:])\s*"
_QUOTED = r"\\*\"([^\"\\]|\\.)*\\*\"?|\\*'([^'\\]|\\.)*\\*'?"
_SCHEME = r"(?i:(bearer|basic|digest|token)\s+)"
_PAIR = rf"{_NAMED}{_SCHEME}?({_QUOTED}|\S+)"
_URL_PASSWORD = rf"{URL_PASSWORD}|[a-zA-Z][a-zA-Z0-9+.-]*://[^/\s:@]*:[^\s\"'<>]+@"
_COOKIES = r"(?i:(set-)?cookie\\*[\"']?\s*[=:]\s*\\*[\"']?)[^\"'\r\n]+"
_EMAIL = r"[A-Za-z0-9._%+\x80-\xff-]+(@|%40)[A-Za-z0-9\x80-\xff-]+(\.[A-Za-z0-9\x80-\xff-]+)*\.[A-Za-z\x80-\xff]{2,24}"
_ARMOUR = rf"{PRIVATE_KEY}(?s:.*?-----END [A-Z0-9 ]*PRIVATE KEY(-----)?|(?s:.*))"
_BASE64_BODY = r"^\s*[A-Za-z0-9+/]{40,}={0,2}\s*$|^\s*[A-Za-z0-9+/]{14,}={1,2}\s*$"
"""A line of a key's armour, which comes alone: `[A-F0-9]` and words of one case are no such thing."""

_INTERNAL = frozenset(
    (b"local", b"internal", b"svc", b"localdomain", b"cluster", b"service", b"socket", b"slice", b"lan")
)
"""What ends the names of machines: rabbit@rabbitmq-0.shop.svc.cluster.local is nobody's mailbox."""

_HARMLESS = frozenset(
    (b"", b"null", b"nil", b"none", b"true", b"false", b"undefined", b"redacted", b"<redacted>", b"[redacted]")
)

_Replace = Callable[[bytes], bytes]


class Scrubber:
    """Scrubs lines, with *own* patterns (RE2) besides the built-in ones. Raises BadPattern for one that is none."""

    def __init__(self, own: Sequence[str] = ()) -> None:
        self._own = [Pattern(text) for text in own]
        forms = (*TOKENS, PRIVATE_KEY, _URL_PASSWORD, SCHEMED, _NAMED, _EMAIL, CANDIDATE, _BASE64_BODY)
        self._suspect = compiled("|".join(f"({form})" for form in forms).encode("latin-1"), is_text=False)
        self._armour = compiled(_ARMOUR.encode("latin-1"), is_text=False)
        self._body = compiled(_BASE64_BODY.encode("latin-1"), is_text=False)
        self._rules: tuple[tuple[Any, _Replace], ...] = tuple(
            (compiled(pattern.encode("latin-1"), is_text=False), replace)
            for pattern, replace in (
                (_URL_PASSWORD, _without_password),
                ("|".join(f"({token})" for token in TOKENS), lambda _: SECRET),
                (SCHEMED, _without_credential),
                (_COOKIES, _without_cookies),
                (_PAIR, self._without_value),
                (_EMAIL, _without_mailbox),
            )
        )
        self._pair_head = compiled(_NAMED.encode("latin-1"), is_text=False)

    def scrub(self, line: bytes) -> bytes:
        """Return *line*, UTF-8, as people may read it; the same object when there is nothing to hide."""
        for pattern in self._own:
            if pattern.is_in(line):
                line = pattern.replaced(line, OWN)
        if self._suspect.search(line) is None:
            return line
        if self._body.search(line) is not None and _is_mixed(line):
            return SECRET
        line = self._armour.sub(lambda _: SECRET, line)
        for rule, replace in self._rules:
            line = rule.sub(lambda match, replace=replace: replace(match.group()), line)
        return hide_cards(line)

    def _without_value(self, pair: bytes) -> bytes:
        """Return a name and its value with the value replaced, and with the next pair of a query or a list kept."""
        found = self._pair_head.match(pair)
        if found is None:
            return SECRET
        scheme = _IS_SCHEME.match(pair, found.end())
        end = scheme.end() if scheme is not None else found.end()
        head, value = pair[:end], pair[end:]
        bare = value.lstrip(b"\\\"'").rstrip(b"\\\"'}]),;")
        if bare.lower() in _HARMLESS or not bare.strip(b"*") or value.lstrip(b"\\\"'").startswith(b"[scrubbed"):
            return pair
        quote = value[: len(value) - len(value.lstrip(b"\\\"'"))]
        if quote:
            closing = quote if value.endswith(quote) and len(value) > len(quote) else b""
            return head + quote + SECRET + closing
        cut = _NEXT_PAIR.search(value)
        return head + SECRET + (value[cut.start() :] if cut is not None else b"")


_IS_SCHEME = compiled(_SCHEME.encode(), is_text=False)
_PORT = compiled(rb"[0-9]{1,5}[/?]", is_text=False)
_NEXT_PAIR = compiled(rb"[,;&][A-Za-z_][A-Za-z0-9_.-]*[=:]", is_text=False)


def _without_password(url: bytes) -> bytes:
    scheme, _, rest = url.partition(b"://")
    user, _, password = rest.partition(b":")
    if _PORT.match(password) is not None:
        return url  # https://host:8080/?mail=a@b
    return scheme + b"://" + user + b":" + SECRET + b"@"


def _without_credential(text: bytes) -> bytes:
    scheme, _, credential = text.partition(text[5:6] if text[:5].lower() == b"basic" else text[6:7])
    if scheme.lower() == b"basic" and credential.isalpha() and credential.islower():
        return text  # "basic authentication"
    return text[: len(text) - len(credential.lstrip())] + SECRET


def _without_cookies(text: bytes) -> bytes:
    at = min(i for i in (text.find(b"=", 6), text.find(b":", 6)) if i >= 0)
    return text[: at + 1] + b" " + SECRET


def _without_mailbox(address: bytes) -> bytes:
    return address if address.rpartition(b".")[2].lower() in _INTERNAL else EMAIL


def _is_mixed(line: bytes) -> bool:
    text = line.strip().rstrip(b"=")
    return text != text.lower() and text != text.upper() and not text.isalpha()
