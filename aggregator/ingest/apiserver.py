"""The API server as the aggregator asks it: reviews, one POST each. Watching is the agents' work."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from aggregator.errors import PeersUnknown
from kubescribe.kube.access import Access
from kubescribe.kube.errors import AccessError

ANSWER_SECONDS = 10.0
MAX_ANSWER_BYTES = 2**20


class ApiServer:
    """Made by `open_api_server`."""

    def __init__(self, access: Access, session: aiohttp.ClientSession) -> None:
        self._access = access
        self._session = session

    async def post(self, path: str, body: bytes) -> bytes:
        """Return the answer to a POST that created something. Raises PeersUnknown."""
        for is_last in (False, True):
            try:
                status, answer = await self._post(path, body)
                if status == 201:
                    return answer
                if status == 401 and not is_last:
                    await self._access.credentials.renew()
                    continue
            except AccessError as error:
                raise PeersUnknown(str(error)) from error
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise PeersUnknown(
                    f"the API server does not answer: {str(error)[:128] or type(error).__name__}"
                ) from error
            hint = "; grant create on it to the aggregator's service account" if status == 403 else ""
            raise PeersUnknown(f"the API server answered {status} to POST {path}{hint}: {answer[:256]!r}")
        raise AssertionError("unreachable")

    async def _post(self, path: str, body: bytes) -> tuple[int, bytes]:
        access = self._access
        headers = {**await access.credentials.headers(), "Content-Type": "application/json"}
        async with self._session.post(
            access.base_url + path,
            data=body,
            headers=headers,
            server_hostname=access.server_name or None,
            proxy=access.proxy or None,
        ) as response:
            return response.status, await response.content.read(MAX_ANSWER_BYTES)


@asynccontextmanager
async def open_api_server(access: Access, *, version: str) -> AsyncIterator[ApiServer]:
    """Yield the API server at *access*; its connections are closed with the block."""
    connector = aiohttp.TCPConnector(limit=8, ssl=access.tls if access.tls is not None else False, ttl_dns_cache=30)
    async with aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": f"kubescribe-aggregator/{version}", "Accept": "application/json"},
        timeout=aiohttp.ClientTimeout(total=ANSWER_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as session:
        yield ApiServer(access, session)
