"""
How versions are shown: in full, as metadata only, or an Event as events.k8s.io/v1.

A view renders lists' items, single objects, watch lines and bookmarks. What it renders of a version is kept on
that version, so that any number of watchers share the same bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from simulator.kinds import EVENT_V1_BOOKMARK, EVENT_V1_FIELDS
from simulator.resource import Resource
from simulator.versions import DELETED, Event, Object, Version

METADATA_KIND = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1",'


class _MetadataOnly(msgspec.Struct):
    metadata: msgspec.Raw


_metadata_of = msgspec.json.Decoder(_MetadataOnly).decode


@dataclass(frozen=True, slots=True)
class View:
    """A resource as one endpoint and one Accept header show it."""

    resource: Resource
    api_version: str
    fields: Mapping[str, str]
    """The field labels that this endpoint offers."""
    metadata_only: bool = False

    @property
    def list_head(self) -> bytes:
        """The opening of a list, up to its metadata."""
        if self.metadata_only:
            return b'{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/v1","metadata":'
        return f'{{"kind":"{self.resource.kind}List","apiVersion":"{self.api_version}","metadata":'.encode()

    def item(self, version: Version) -> bytes:
        """Return the object as it stands in a list: without kind and apiVersion, unless it is metadata only."""
        if self.metadata_only:
            return self.object(version)
        if self.api_version == self.resource.api_version:
            return version.body
        item = version.shapes.get(self.api_version)
        if item is None:
            item = version.shapes[self.api_version] = msgspec.json.encode(events_v1(version.object()))
        return item

    def object(self, version: Version) -> bytes:
        """Return the object as it stands alone."""
        if self.metadata_only:
            shown = version.shapes.get("metadata")
            if shown is None:
                metadata = bytes(_metadata_of(version.body).metadata)
                shown = version.shapes["metadata"] = METADATA_KIND + b'"metadata":' + metadata + b"}"
            return shown
        return self._head + self.item(version)[1:]

    def line(self, kind: str, version: Version) -> bytes:
        """Return a watch line of *kind* about a version; put together each time, or a window would hold all twice."""
        if self.metadata_only or self.api_version != self.resource.api_version:
            return b'{"type":"%b","object":%b}\n' % (kind.encode(), self.object(version))
        return b"".join((b'{"type":"', kind.encode(), b'","object":', self._head, memoryview(version.body)[1:], b"}\n"))

    def departure(self, event: Event) -> bytes:
        """
        Return the DELETED line of an object that no longer matches: the old object with the new resourceVersion.

        This is `convertToWatchEvent` of the API server's cacher.
        """
        if event.previous is None:
            raise ValueError("nothing stood there before")
        return self.line(DELETED, event.previous.at(event.revision))

    def bookmark(self, revision: int, *, ends_initial_events: bool = False) -> bytes:
        """Return the line of a bookmark: a zero object that carries a resourceVersion."""
        annotations = [self.resource.bookmark_annotations] if self.resource.bookmark_annotations else []
        if ends_initial_events:
            annotations.append('"k8s.io/initial-events-end":"true"')
        metadata = f'"metadata":{{"resourceVersion":"{revision}"'
        if annotations:
            metadata += f',"annotations":{{{",".join(annotations)}}}'
        metadata += "}"
        if self.metadata_only:
            return b'{"type":"BOOKMARK","object":' + METADATA_KIND + metadata.encode() + b"}}\n"
        zero = self.resource.bookmark if self.api_version == self.resource.api_version else EVENT_V1_BOOKMARK
        rest = zero[1:]
        comma = "," if len(rest) > 1 else ""
        return b'{"type":"BOOKMARK","object":' + self._head + f"{metadata}{comma}{rest}}}\n".encode()

    @property
    def _head(self) -> bytes:
        return f'{{"kind":"{self.resource.kind}","apiVersion":"{self.api_version}",'.encode()


def view_of(resource: Resource, api_version: str, *, metadata_only: bool) -> View:
    """Return the view for a request path and its Accept header."""
    fields = EVENT_V1_FIELDS if api_version == "events.k8s.io/v1" else resource.fields
    return View(resource, api_version, fields, metadata_only)


def events_v1(core: Object) -> Object:
    """Return a core/v1 Event as events.k8s.io/v1 shows it (pkg/apis/events/v1/zz_generated.conversion.go)."""
    new: Object = {"metadata": core["metadata"], "eventTime": core.get("eventTime")}
    renamed: tuple[tuple[str, str], ...] = (
        ("series", "series"),
        ("reportingComponent", "reportingController"),
        ("reportingInstance", "reportingInstance"),
        ("action", "action"),
        ("reason", "reason"),
        ("involvedObject", "regarding"),
        ("related", "related"),
        ("message", "note"),
        ("type", "type"),
    )
    for old_name, new_name in renamed:
        value: Any = core.get(old_name)
        if value:
            new[new_name] = value
    new["deprecatedSource"] = core.get("source", {})
    new["deprecatedFirstTimestamp"] = core.get("firstTimestamp")
    new["deprecatedLastTimestamp"] = core.get("lastTimestamp")
    if core.get("count"):
        new["deprecatedCount"] = core["count"]
    return new
