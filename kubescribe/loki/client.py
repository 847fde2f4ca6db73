"""
HTTP to one Loki: a body goes out, an answer comes back. Not what an answer means, and no second try.

Bodies of answers are bounded: an error of Loki's names ten entries, a page of a proxy may be anything.
"""

import ssl
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import aiohttp

from kubescribe.loki.config import LokiConfig
from kubescribe.loki.credentials import Credentials
from kubescribe.loki.errors import LokiError, LokiUnreachable

PUSH_PATH = "/loki/api/v1/push"

PUSH_SECONDS = 30.0
"""Loki's own limit is 10 s to its ingesters (ingester_client.remote_timeout); a proxy may queue before that."""

CONNECT_SECONDS = 10.0

_MAX_RETRY_AFTER_SECONDS = 600.0
"""Nobody's mistake should keep lines back for longer."""

ERROR_BYTES = 64 * 1024
"""Of a refusal: Loki lists ten entries with their stream (max_returned_stream_errors), 3 KB each at most."""


class Answer(NamedTuple):
    """What came back; `text` is cut, `retry_after_seconds` 0 where nothing was said."""

    status: int
    text: str = ""
    retry_after_seconds: float = 0.0


class LokiClient:
    """Requests to one Loki. Made by `open_client`."""

    def __init__(self, config: LokiConfig, session: aiohttp.ClientSession, tls: ssl.SSLContext | bool) -> None:
        self._base = (config.url or "").rstrip("/")
        self._tenant = config.tenant
        self._credentials = Credentials(config)
        self._session = session
        self._tls = tls

    async def push(self, body: bytes, *, tenant: str = "") -> Answer:
        """
        POST *body* (snappy protobuf) and return the answer, whatever its status.

        Raises LokiUnreachable when there is none, CredentialsUnusable.
        """
        headers = {**self._headers(tenant), "Content-Type": "application/x-protobuf"}
        timeout = aiohttp.ClientTimeout(total=PUSH_SECONDS, connect=CONNECT_SECONDS)
        try:
            async with self._session.post(
                self._base + PUSH_PATH,
                data=body,
                headers=headers,
                timeout=timeout,
                ssl=self._tls,
                allow_redirects=False,
            ) as response:
                text = (await _bounded(response, ERROR_BYTES)).decode("utf-8", "replace")
                return Answer(response.status, text.strip(), _retry_after(response))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise LokiUnreachable(_told(error)) from error

    async def get(
        self, path: str, params: Mapping[str, str], *, tenant: str = "", max_bytes: int, seconds: float
    ) -> tuple[int, bytes]:
        """
        GET *path* and return status and body.

        Raises LokiUnreachable, also for a body of more than *max_bytes*, and CredentialsUnusable.
        """
        timeout = aiohttp.ClientTimeout(total=seconds, connect=CONNECT_SECONDS)
        try:
            async with self._session.get(
                self._base + path, params=params, headers=self._headers(tenant), timeout=timeout, ssl=self._tls
            ) as response:
                body = await _bounded(response, max_bytes + 1)
                if len(body) > max_bytes:
                    raise LokiUnreachable(f"an answer of more than {max_bytes} bytes to {path}")
                return response.status, body
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise LokiUnreachable(_told(error)) from error

    def _headers(self, tenant: str) -> dict[str, str]:
        headers = self._credentials.headers()
        if tenant or self._tenant:
            headers["X-Scope-OrgID"] = tenant or self._tenant
        return headers


@asynccontextmanager
async def open_client(config: LokiConfig, *, version: str) -> AsyncIterator[LokiClient]:
    """Yield a client of the Loki at `config.url`; the block owns its connections. Raises LokiError for a bad CA."""
    tls: ssl.SSLContext | bool = True
    if config.ca_file is not None:
        try:
            tls = ssl.create_default_context(cafile=str(config.ca_file))
        except OSError as error:
            raise LokiError(f"{config.ca_file}: not the certificates of an authority ({error})") from error
    connector = aiohttp.TCPConnector(limit=64, ttl_dns_cache=30)
    agent = {"User-Agent": f"kubescribe/{version}"}
    async with aiohttp.ClientSession(
        connector=connector, headers=agent, auto_decompress=True, cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        yield LokiClient(config, session, tls)


async def _bounded(response: aiohttp.ClientResponse, max_bytes: int) -> bytes:
    parts: list[bytes] = []
    left = max_bytes
    async for part in response.content.iter_chunked(64 * 1024):
        parts.append(part[:left])
        left -= len(part)
        if left <= 0:
            # The rest stays unread: the connection goes with it.
            response.close()
            break
    return b"".join(parts)


def _retry_after(response: aiohttp.ClientResponse) -> float:
    """Return the seconds that the header asks for, told as a number or as a date; 0 for neither."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), _MAX_RETRY_AFTER_SECONDS)
    try:
        due = parsedate_to_datetime(text)
    except ValueError:
        return 0.0
    seconds = (due if due.tzinfo is not None else due.replace(tzinfo=UTC)).timestamp() - time.time()
    return min(max(seconds, 0.0), _MAX_RETRY_AFTER_SECONDS)


def _told(error: BaseException) -> str:
    return f"no answer of Loki: {str(error)[:256] or type(error).__name__}"
