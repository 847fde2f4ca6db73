"""The lists of the API: a page of the journal, the path to the next one, and whether gaps touch what was asked for."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from aiohttp import web

from aggregator.records import ObjectQuery, Page, RecordQuery
from aggregator.rendering import render_unrecorded
from aggregator.web.answers import answer_json, render_list
from aggregator.web.parameters import CHANGES, GAPS, HISTORY, OBJECT, OBJECTS, OCCURRENCES
from aggregator.web.parts import WebParts
from aggregator.web.problems import Problem

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
            raise _unknown(uid)
        return await answer_json(request, body)

    async def history(self, request: web.Request) -> web.Response:
        """GET objects/{uid}/history."""
        query = RecordQuery(**HISTORY.read(request.query.items()))
        uid = _uid(request)
        page = await self._journal.history(uid, query)
        if page is None:
            raise _unknown(uid)
        return await self._answer(request, page, query)

    async def _records(
        self, request: web.Request, read: Callable[[RecordQuery], Awaitable[Page]], query: RecordQuery
    ) -> web.Response:
        return await self._answer(request, await read(query), query)

    async def _answer(self, request: web.Request, page: Page, asked: RecordQuery) -> web.Response:
        gaps = await self.gaps_in(asked.start, asked.to)
        next_path = None if page.last is None else self._next(request.path, request.query, page.last)
        body = render_list(page.items, next_path=next_path, complete=not gaps, gaps=gaps)
        return await answer_json(request, body)

    async def gaps_in(self, start: int | None, to: int | None) -> list[bytes]:
        """
        Return the open and lost gaps that touch the range, the newest MAX_GAPS of them.

        The time before the journal's first record is one more of them when *start* reaches into it: nothing was lost
        there, but nothing was seen either.
        """
        query = RecordQuery(start=start, to=to, limit=MAX_GAPS)
        gaps = (await self._journal.gaps(query, open_or_lost_only=True)).items
        horizon = self._parts.horizon()
        if not horizon or (start is not None and start < horizon):
            return [*gaps, render_unrecorded(horizon, self._parts.recorder.identity().cluster)]
        return gaps

    def _next(self, path: str, query: Mapping[str, Any], last: int) -> str:
        # request.path holds the base path, so the link works behind any ingress.
        return f"{path}?{urlencode({**query, 'after': last})}"


def _uid(request: web.Request) -> str:
    return request.match_info["uid"][:256]


def _unknown(uid: str) -> Problem:
    return Problem(404, f"the journal knows no object with the uid {uid[:64]!r}")
