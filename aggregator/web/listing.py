"""
The lists of the API: a page of the journal, the path to the next one, and whether gaps touch what was asked for.

The range of a list is that of its question, not of the page. Without `from` it is all that was ever recorded: whole in
a journal that never forgot, and not whole once retention has deleted something, unless the question goes upward from a
seq above the horizon. What was recorded before an answer's range says nothing about it.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from aggregator.records import Horizon, ObjectQuery, Page, RecordQuery
from aggregator.rendering import render_unrecorded
from aggregator.web.answers import answer_json, render_list, with_completeness
from aggregator.web.parameters import CHANGES, GAPS, HISTORY, OBJECT, OBJECTS, OCCURRENCES
from aggregator.web.parts import WebParts
from aggregator.web.problems import Problem
from kubescribe.wire.times import to_rfc3339

MAX_GAPS = 100
"""Gaps told beside a list, the newest; `GET gaps` has them all."""


class Listings:
    """Handlers of the routes that answer with records or objects."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._journal = parts.journal

    async def changes(self, request: web.Request) -> web.Response:
        """GET changes."""
        query = RecordQuery(**CHANGES.read(request.query.items()))
        return await self._records(request, self._journal.changes, query)

    async def occurrences(self, request: web.Request) -> web.Response:
        """GET occurrences."""
        query = RecordQuery(**OCCURRENCES.read(request.query.items()))
        return await self._records(request, self._journal.occurrences, query)

    async def gaps(self, request: web.Request) -> web.Response:
        """GET gaps."""
        query = RecordQuery(**GAPS.read(request.query.items()))
        return await self._records(request, self._journal.gaps, query)

    async def objects(self, request: web.Request) -> web.Response:
        """GET objects."""
        query = ObjectQuery(**OBJECTS.read(request.query.items()))
        page = await self._journal.objects(query)
        at = self._parts.now_ns() if query.at is None else query.at
        return await self._answer(request, page, RecordQuery(start=at - 1, to=at))

    async def object(self, request: web.Request) -> web.Response:
        """GET objects/{uid}."""
        values = OBJECT.read(request.query.items())
        uid = _uid(request)
        body = await self._journal.object(uid, **values)
        if body is None:
            raise self._unknown(uid)
        at = values.get("at", self._parts.now_ns())
        gaps = await self.gaps_in(RecordQuery(start=at - 1, to=at))
        return await answer_json(request, with_completeness(body, gaps))

    async def history(self, request: web.Request) -> web.Response:
        """GET objects/{uid}/history."""
        query = RecordQuery(**HISTORY.read(request.query.items()))
        uid = _uid(request)
        page = await self._journal.history(uid, query)
        if page is None:
            raise self._unknown(uid)
        return await self._answer(request, page, query, since=page.since)

    async def _records(
        self, request: web.Request, read: Callable[[RecordQuery], Awaitable[Page]], query: RecordQuery
    ) -> web.Response:
        return await self._answer(request, await read(query), query)

    async def _answer(
        self, request: web.Request, page: Page, asked: RecordQuery, *, since: int | None = None
    ) -> web.Response:
        gaps = await self.gaps_in(asked, since=since)
        next_path = None if page.last is None else self._next(request.path, request.query, page.last)
        body = render_list(page.items, next_path=next_path, complete=not gaps, gaps=gaps)
        return await answer_json(request, body)

    async def gaps_in(self, asked: RecordQuery, *, since: int | None = None) -> list[bytes]:
        """
        Return the open and lost gaps that touch the range of *asked*, the newest MAX_GAPS of them.

        The time before the journal's horizon is one more of them when the range reaches into it: nothing is known to be
        lost there, but nothing is known to be whole either. *since* is when the only object that is meant was first
        seen, ns. Call it after what it is about was read: the horizon only rises.
        """
        # Lines of a container that were lost leave no list of objects or changes incomplete.
        query = RecordQuery(start=asked.start, to=asked.to, limit=MAX_GAPS, without_lines=True)
        page = await self._journal.gaps(query, open_or_lost_only=True)
        first = max(self._parts.horizon(), page.horizon.at)
        if not first or _reaches_below(asked, page.horizon, first, since):
            return [*page.items, render_unrecorded(first, self._parts.recorder.identity().cluster)]
        return page.items

    def _unknown(self, uid: str) -> Problem:
        first = self._parts.horizon()
        forgotten = f"; it does not reach back before {to_rfc3339(first)}" if first else ""
        return Problem(404, f"the journal knows no object with the uid {uid[:64]!r} at that time{forgotten}")

    def _next(self, path: str, query: Mapping[str, Any], last: int) -> str:
        # request.path holds the base path, so the link works behind any ingress.
        return f"{path}?{urlencode({**query, 'after': last})}"


def _uid(request: web.Request) -> str:
    return request.match_info["uid"][:256]


def _reaches_below(asked: RecordQuery, horizon: Horizon, first: int, since: int | None) -> bool:
    """Tell whether *asked* is also about what was before the horizon, or before the *first* record (ns)."""
    if asked.start is not None:
        return asked.start < first
    if since is not None:
        return bool(horizon.seq) and since <= horizon.at
    is_above = asked.ascending and asked.after is not None and asked.after >= horizon.seq
    return bool(horizon.seq) and not is_above
