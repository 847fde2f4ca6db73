"""
What leaves the node of env, ConfigMap and annotation values: harmless ones as they are, others as a keyed hash.

A redacted value stays a string, `kubescribe:redacted:HASH:LENGTH`, so that manifests stay well-typed and a change of
the value shows while the value does not. The hash is keyed with the journal's secret: without it a short value could be
guessed by trying. Strings that have the form of a known credential are replaced wherever they stand in a spec,
arguments of a command too. `valueFrom` names a place, not a value, and is kept.

Not for log text: its scrubbers stand elsewhere.
"""

import hashlib
import re
from collections.abc import Callable
from operator import is_not
from typing import Any, Literal

import msgspec

from agent.watch.credentials import has_credential, is_credential_name, is_random
from agent.watch.kinds import Redaction
from kubescribe.labels.pods import KEPT_ANNOTATIONS

Mode = Literal["balanced", "strict"]

SHORT_CHARACTERS = 256
"""A harmless value is short: what is longer is a file, and nobody can tell what is in a file."""

SHORT_SECRET = 11
"""No known kind of credential is as short."""

MAX_KEPT_CHARACTERS = 1024
"""Of an annotation that names a pod's application or service: Argo CD's tracking id holds five names."""

LARGE_CONFIG_MAP_BYTES = 64 * 1024

CACHE_BYTES = 16 * 2**20
"""A node has ~110 pods of ~3 KB; of a larger cluster, those in use fit."""

_PLAIN = re.compile(r"(?:true|false|yes|no|on|off|[-+]?\d[\d.,:]{0,18}(?:[a-zA-Z%]{0,3}))?", re.IGNORECASE)
_PAIR_LISTS = frozenset({"env", "httpHeaders", "parameters", "params", "fileParameters"})
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_LEADERS = frozenset({"control-plane.alpha.kubernetes.io/leader"})
_EMPTY = b"{}"
_BAD = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


class RedactedAnnotations:
    """The annotations of one object: what is sent, and a hash of them without what is churn."""

    __slots__ = ("body", "digest")

    def __init__(self, body: bytes, digest: int) -> None:
        self.body = body
        self.digest = digest


class Redactor:
    """
    Redacts sections and annotations, with one key and one mode.

    The result for the same bytes is remembered, within *cache_bytes*: a status update costs one look-up.
    """

    def __init__(self, key: bytes, mode: Mode = "balanced", *, cache_bytes: int = CACHE_BYTES) -> None:
        if not key:
            raise ValueError("redaction needs a key")
        # BLAKE2 takes keys up to 64 bytes; a longer one is hashed to fit, as HMAC does.
        self._key = key if len(key) <= 64 else hashlib.blake2b(key).digest()
        self._is_strict = mode == "strict"
        # One memory for each rule: the same bytes may be harmless as a spec and not as data.
        self._specs: dict[bytes, bytes | None] = {}
        self._data: dict[bytes, bytes | None] = {}
        self._binary: dict[bytes, bytes | None] = {}
        self._annotations: dict[bytes, RedactedAnnotations] = {}
        self._room = cache_bytes
        self._cache_bytes = cache_bytes

    def annotations(self, raw: bytes) -> RedactedAnnotations:
        """Return the redacted form of a metadata.annotations object; bytes that are none come back as empty."""
        known = self._annotations.get(raw)
        if known is None:
            known = self._redacted_annotations(raw)
            self._take_room(len(raw) + len(known.body))
            self._annotations[raw] = known
        return known

    def sections(self, rule: Redaction, sections: dict[str, bytes]) -> dict[str, bytes]:
        """Return *sections* with what the kind's rule redacts redacted; unchanged ones are the same bytes."""
        if rule == "none":
            return sections
        if rule == "template":
            spec = sections.get("spec")
            redacted = None if spec is None else self._remembered(self._specs, spec, self._redacted_section)
            return sections if redacted is None else {**sections, "spec": redacted}
        if rule == "configmap":
            return self._config_map(sections)
        result = sections
        for name, section in sections.items():
            redacted = self._remembered(self._specs, section, self._redacted_section)
            if redacted is not None:
                result = {**result, name: redacted}
        return result

    def token(self, value: str | bytes) -> str:
        """Return what stands for *value*: its keyed hash and its length in bytes."""
        data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogatepass")
        digest = hashlib.blake2b(data, key=self._key, digest_size=8).hexdigest()
        return f"kubescribe:redacted:{digest}:{len(data)}"

    def value(self, name: str, value: str) -> str:
        """Return *value* of the key *name*, or its token."""
        return value if self._is_harmless(name, value) else self.token(value)

    def _is_harmless(self, name: str, value: str) -> bool:
        if not value:
            return True
        if len(value) > SHORT_CHARACTERS or is_credential_name(name):
            return False
        if _PLAIN.fullmatch(value):
            return True
        return not (self._is_strict or has_credential(value) or is_random(name, value))

    def _remembered(
        self, memory: dict[bytes, bytes | None], section: bytes, redact: Callable[[bytes], bytes]
    ) -> bytes | None:
        """Return the redacted *section*, None when nothing in it had to be redacted."""
        try:
            return memory[section]
        except KeyError:
            redacted = redact(section)
        answer = None if redacted == section else redacted
        self._take_room(len(section) + len(answer or b""))
        memory[section] = answer
        return answer

    def _take_room(self, size: int) -> None:
        """Make room for *size* bytes; what is full is emptied, since the next lists fill it with what is in use."""
        self._room -= size
        if self._room < 0:
            for memory in (self._specs, self._data, self._binary, self._annotations):
                memory.clear()
            self._room = self._cache_bytes - size

    def _redacted_section(self, section: bytes) -> bytes:
        try:
            tree = msgspec.json.decode(section)
            redacted = self._walk(tree)
            return section if redacted is tree else msgspec.json.encode(redacted)
        except _BAD:
            return msgspec.json.encode(self.token(section))

    def _walk(self, node: Any) -> Any:
        """Return *node* redacted; the same object when nothing changed, so that its bytes stay the server's."""
        # Decoded JSON has no subclasses: comparing types costs half of what isinstance does, at each node of a spec.
        kind = type(node)
        if kind is str:
            return self.token(node) if len(node) > SHORT_SECRET and has_credential(node) else node
        if kind is list:
            items = [self._walk(item) for item in node]
            return items if any(map(is_not, items, node)) else node
        if kind is not dict:
            return node
        result = node
        for name, value in node.items():
            kind = type(value)
            if kind is str:
                # Most of a spec is strings: they are looked at here, not a call deeper.
                if len(value) <= SHORT_SECRET or not has_credential(value):
                    continue
                redacted: Any = self.token(value)
            elif kind is dict or kind is list:
                redacted = self._field(name, value)
            else:
                continue
            if redacted is not value:
                # Copied at the first difference only: most objects have none.
                result = dict(node) if result is node else result
                result[name] = redacted
        return result

    def _field(self, name: str, value: Any) -> Any:
        if name in _PAIR_LISTS and isinstance(value, list):
            return self._pairs(value)
        if name == "annotations" and isinstance(value, dict):
            return self._strings(value)
        if name == "valuesObject" and isinstance(value, dict | list):
            return self._named_strings(name, value)
        return self._walk(value)

    def _pairs(self, items: list[Any]) -> list[Any]:
        result = []
        for item in items:
            if isinstance(item, dict) and isinstance(item.get("name"), str) and isinstance(item.get("value"), str):
                value = self.value(item["name"], item["value"])
                result.append(item if value == item["value"] else {**item, "value": value})
            else:
                result.append(self._walk(item))
        return result if any(map(is_not, result, items)) else items

    def _strings(self, values: dict[str, Any]) -> dict[str, Any]:
        result = {name: self.value(name, text) if isinstance(text, str) else text for name, text in values.items()}
        result.pop(_LAST_APPLIED, None)
        return values if result == values else result

    def _named_strings(self, name: str, node: Any) -> Any:
        """Redact the strings of Helm values given as an object: there any key may hold a credential."""
        if isinstance(node, str):
            return self.value(name, node)
        if isinstance(node, list):
            return [self._named_strings(name, item) for item in node]
        if isinstance(node, dict):
            return {key: self._named_strings(key, value) for key, value in node.items()}
        return node

    def _config_map(self, sections: dict[str, bytes]) -> dict[str, bytes]:
        is_large = sum(map(len, sections.values())) > LARGE_CONFIG_MAP_BYTES
        result = dict(sections)
        for name, memory, redact in (
            ("data", self._data, self._hashed_keys if is_large else self._redacted_data),
            ("binaryData", self._binary, self._hashed_keys),
        ):
            if (section := sections.get(name)) is not None:
                redacted = redact(section) if is_large else self._remembered(memory, section, redact)
                result[name] = section if redacted is None else redacted
        return result

    def _redacted_data(self, section: bytes) -> bytes:
        return self._each_value(section, self.value)

    def _hashed_keys(self, section: bytes) -> bytes:
        return self._each_value(section, lambda _, value: self.token(value))

    def _each_value(self, section: bytes, redact: Callable[[str, str], str]) -> bytes:
        try:
            values = msgspec.json.decode(section, type=dict[str, str] | None) or {}
        except _BAD:
            return msgspec.json.encode(self.token(section))
        redacted = {name: redact(name, value) for name, value in values.items()}
        return section if redacted == values else msgspec.json.encode(redacted)

    def _annotation(self, name: str, text: str) -> str:
        # Under these names lines are sent: they are names themselves, unless somebody put a credential there.
        if name in KEPT_ANNOTATIONS and len(text) <= MAX_KEPT_CHARACTERS and not has_credential(text):
            return text
        return self.value(name, text)

    def _redacted_annotations(self, raw: bytes) -> RedactedAnnotations:
        try:
            values = msgspec.json.decode(raw, type=dict[str, str] | None) or {}
        except _BAD:
            return RedactedAnnotations(_EMPTY, hash(raw))
        kept = {name: self._annotation(name, text) for name, text in values.items() if name != _LAST_APPLIED}
        body = raw if kept == values else msgspec.json.encode(kept)
        # Of the raw values: a change of a value that is only sent as a hash is a change all the same.
        steady = tuple((name, text) for name, text in values.items() if name not in _LEADERS)
        return RedactedAnnotations(body, hash(steady))
