"""
Recorded answers served again: `KIND.list.json`, then `KIND.watch.ndjson` byte for byte.

A resource without a recording is an empty list and a silent watch. Selectors and versions
of the request are not applied to what was recorded.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import msgspec
from aiohttp import web

from simulator.errors import BadSettings
from simulator.options import ListOptions
from simulator.requests import ApiPath
from simulator.resource import Resource
from simulator.statuses import not_found

FILE_NAMES: Mapping[str, str] = {"horizontalpodautoscalers": "hpas"}
"""Recordings that are not called by the plural."""

EMPTY_REVISION = 1


class Replay:
    """A folder of recordings."""

    def __init__(self, folder: Path) -> None:
        if not folder.is_dir():
            raise BadSettings(f"--replay {folder}: there is no such folder")
        self._folder = folder

    async def answer(
        self, request: web.Request, resource: Resource, api_version: str, options: ListOptions
    ) -> web.StreamResponse:
        """Answer a list or a watch with what was recorded; a watch then stays silent until its timeout."""
        name = _name(resource, api_version)
        if not options.watch:
            body = self._read(f"{name}.list.json")
            return web.Response(body=body or _empty_list(resource, api_version), content_type="application/json")
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        response.enable_chunked_encoding()
        await response.prepare(request)
        recorded = self._read(f"{name}.watchlist.ndjson" if options.initial_events else f"{name}.watch.ndjson")
        # Only a watch from the recorded list's version is what was recorded; a later one has seen it all.
        if recorded and (options.initial_events or options.version in {None, self._list_revision(name)}):
            await response.write(recorded)
        await asyncio.sleep(options.timeout_seconds or 3600)
        await response.write_eof()
        return response

    def object(self, resource: Resource, path: ApiPath) -> bytes | None:
        """Return one object out of its recorded list; ApiError 404 if it is not in it."""
        body = self._read(f"{_name(resource, resource.api_version)}.list.json")
        if body is None:
            return None
        for item in msgspec.json.decode(body)["items"]:
            metadata = item["metadata"]
            if (metadata.get("namespace", ""), metadata["name"]) == (path.namespace, path.name):
                return msgspec.json.encode({"kind": resource.kind, "apiVersion": resource.api_version, **item}) + b"\n"
        raise not_found(path.group, path.plural, path.name)

    def _list_revision(self, name: str) -> int | None:
        body = self._read(f"{name}.list.json")
        return None if body is None else int(msgspec.json.decode(body)["metadata"]["resourceVersion"])

    def _read(self, name: str) -> bytes | None:
        path = self._folder / name
        return path.read_bytes() if path.is_file() else None


def _name(resource: Resource, api_version: str) -> str:
    if api_version == "events.k8s.io/v1":
        return "events-v1"
    return FILE_NAMES.get(resource.plural, resource.plural)


def _empty_list(resource: Resource, api_version: str) -> bytes:
    return (
        f'{{"kind":"{resource.kind}List","apiVersion":"{api_version}",'
        f'"metadata":{{"resourceVersion":"{EMPTY_REVISION}"}},"items":[]}}\n'
    ).encode()
