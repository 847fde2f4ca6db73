"""
HTTP to the API server: one session for every stream of a process, its connections kept honest, its requests counted.

Not for retries: what to do after a failure depends on what was asked, and is the asker's to decide.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import aiohttp
import msgspec

from agent.errors import NoAnswer, RequestFailed, ServerSaid
from agent.kube.statuses import decode_refusal
from kubescribe.kube.access import Access
from kubescribe.kube.errors import AccessError, AccessForbidden, ApiUnreachable, CredentialsRejected

ANSWER_SECONDS = 60.0
"""What a list may take between two reads: a busy API server queues requests, it does not hold them longer than this."""

CONNECT_SECONDS = 10.0

SLACK_SECONDS = 1.0
"""By which our own limit for silence is longer than the session's; it is for when that one is gone."""

CHECK_SECONDS = 10.0
"""What the first question may take as a whole: somebody waits for the command, and a pod is started again anyway. Also
a peer that accepts connections and says nothing, or a byte now and then, is told as one that does not answer."""

READ_BUFFER_BYTES = 128 * 1024
"""aiohttp pauses the socket at twice this, so that a slow consumer cannot fill the memory; the kernel holds the rest.

Not more: what waits here must fit into the processor's own cache beside what is made of it, and be small enough for
malloc to keep. With four times as much an event of a busy watch costs up to a fifth more."""

MAX_BODY_BYTES = 1024 * 2**20
"""A whole list of 150,000 pods is 0.9 GB; what is larger is no list."""

_ERROR_BYTES = 64 * 1024

_FIRST_QUESTION = "`get` on the namespace kube-system"


_T = TypeVar("_T")


class _Version(msgspec.Struct, gc=False):
    major: str = ""
    minor: str = ""


class _Meta(msgspec.Struct, gc=False):
    uid: str = ""


class _Object(msgspec.Struct, gc=False):
    metadata: _Meta


@dataclass(frozen=True, slots=True)
class _Question:
    """One request as it is sent, and as it is counted (`verb` and `resource`)."""

    method: str
    path: str
    verb: str = field(kw_only=True)
    resource: str = field(kw_only=True)
    accept: str = field(default="application/json", kw_only=True)
    params: Mapping[str, str] | None = field(default=None, kw_only=True)
    body: bytes | None = field(default=None, kw_only=True)

    @property
    def good(self) -> frozenset[int]:
        """The statuses that are an answer: of what is created, 201."""
        return frozenset({200}) if self.body is None else frozenset({200, 201})


@dataclass(slots=True)
class ApiSession:
    """
    Requests to one API server. Made by `open_session`.

    `requests` counts by `VERB RESOURCE`, for our own load on the API server; `failures` by HTTP status, 0 for none.
    """

    access: Access
    client: aiohttp.ClientSession
    requests: Counter[str] = field(default_factory=Counter)
    failures: Counter[int] = field(default_factory=Counter)

    @asynccontextmanager
    async def open(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        verb: str,
        resource: str,
        accept: str = "application/json",
        silence_seconds: float = ANSWER_SECONDS,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """
        GET *path* and yield the answer, its body unread.

        Raises ServerSaid for every status but 200, NoAnswer when the connection fails or nothing comes for
        *silence_seconds*, also from within the block. There is no limit to the whole: a watch lasts.
        """
        question = _Question("GET", path, verb=verb, resource=resource, accept=accept, params=params)
        async with self._asked(question, silence_seconds) as response:
            yield response

    @asynccontextmanager
    async def _asked(self, question: _Question, silence_seconds: float) -> AsyncIterator[aiohttp.ClientResponse]:
        verb, resource = question.verb, question.resource
        self.requests[f"{verb} {resource}"] += 1
        try:
            headers = {**await self.access.credentials.headers(), "Accept": question.accept}
        except AccessError as error:
            raise NoAnswer(str(error)) from error
        if question.body is not None:
            headers["Content-Type"] = "application/json"
        try:
            async with self.client.request(
                question.method,
                self.access.base_url + question.path,
                params=question.params,
                data=question.body,
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=silence_seconds),
                server_hostname=self.access.server_name or None,
                proxy=self.access.proxy or None,
            ) as response:
                if response.status not in question.good:
                    raise await self._refusal(response)
                yield response
        except TimeoutError as error:
            self.failures[0] += 1
            silent = f"silent for {silence_seconds:.0f} s"
            raise NoAnswer(f"{verb} {resource}: {silent}", is_silence=True) from error
        except (aiohttp.ClientError, OSError) as error:
            self.failures[0] += 1
            raise NoAnswer(f"{verb} {resource}: {_line(error)}") from error

    async def get(
        self,
        path: str,
        params: Mapping[str, str] | None = None,
        *,
        verb: str,
        resource: str,
        accept: str = "application/json",
        deadline_seconds: float | None = None,
    ) -> bytes:
        """Return the whole answer to a GET of *path*, within *deadline_seconds* if given. Raises RequestFailed."""
        question = _Question("GET", path, verb=verb, resource=resource, accept=accept, params=params)
        return await self._whole(question, deadline_seconds)

    async def write(
        self,
        method: Literal["POST", "PUT"],
        path: str,
        body: bytes,
        *,
        verb: str,
        resource: str,
        deadline_seconds: float,
    ) -> bytes:
        """
        Send the JSON *body* to *path* and return the whole answer. Raises RequestFailed.

        One that got no answer within *deadline_seconds* may have been carried out all the same, now or later.
        """
        question = _Question(method, path, verb=verb, resource=resource, body=body)
        return await self._whole(question, deadline_seconds)

    async def _whole(self, question: _Question, deadline_seconds: float | None) -> bytes:
        verb, resource = question.verb, question.resource
        try:
            async with asyncio.timeout(deadline_seconds), self._asked(question, ANSWER_SECONDS) as response:
                parts, size = [], 0
                while part := await read_some(response.content, ANSWER_SECONDS):
                    size += len(part)
                    if size > MAX_BODY_BYTES:
                        raise NoAnswer(f"{verb} {resource}: the answer is over {MAX_BODY_BYTES} bytes")
                    parts.append(part)
                return b"".join(parts)
        except TimeoutError as error:
            self.failures[0] += 1
            raise NoAnswer(
                f"{verb} {resource}: no answer within {deadline_seconds or 0:.1f} s", is_silence=True
            ) from error

    async def cluster_uid(self) -> str:
        """Return the uid of the kube-system namespace, which is the cluster's. Raises RequestFailed."""
        body = await self.get(
            "/api/v1/namespaces/kube-system", verb="get", resource="namespaces", deadline_seconds=CHECK_SECONDS
        )
        uid = _decoded(body, _Object, "namespace kube-system").metadata.uid
        if not uid:
            raise ServerSaid(200, message="namespace kube-system has no uid")
        return uid

    async def server_minor(self) -> int:
        """Return the minor version of the server, 0 when it does not tell (EKS writes `31+`). Raises RequestFailed."""
        body = await self.get("/version", verb="get", resource="version")
        digits = "".join(char for char in _decoded(body, _Version, "version").minor if char.isdigit())
        return int(digits or 0)

    async def check(self) -> str:
        """
        Return the cluster's uid, or say in one line why the API server cannot be used, as start-up needs it.

        Raises ApiUnreachable, CredentialsRejected, AccessForbidden or AccessError. A 401 is tried again once, with
        renewed credentials.
        """
        for is_last in (False, True):
            try:
                return await self.cluster_uid()
            except ServerSaid as error:
                if error.code == 401 and not is_last:
                    await self.access.credentials.renew()
                    continue
                raise self.told(error, _FIRST_QUESTION) from error
            except NoAnswer as error:
                raise self.told(error, _FIRST_QUESTION) from error
        raise AssertionError("unreachable")

    def told(self, error: RequestFailed, grant: str) -> AccessError:
        """Return what is told of *error* in one line; *grant* is the permission to give when it is missing."""
        where = self.access.base_url
        if isinstance(error.__cause__, AccessError):
            return error.__cause__
        if isinstance(error, ServerSaid):
            if error.code == 401:
                return CredentialsRejected(
                    f"the API server {where} answered 401 Unauthorized: the credentials are expired or unknown; "
                    "log in again (`aws eks update-kubeconfig`), or renew the token"
                )
            if error.code == 403:
                return AccessForbidden(
                    f"the API server {where} answered 403 Forbidden: grant {grant} ({error.message[:160]})"
                )
            return AccessError(f"the API server {where} answered {error}")
        silence = isinstance(error, NoAnswer) and error.is_silence
        return ApiUnreachable(
            f"the API server {where} does not answer: {_line(error if silence else error.__cause__ or error)}; "
            "is the cluster up, the network (VPN) on, and the context the right one?"
        )

    async def _refusal(self, response: aiohttp.ClientResponse) -> ServerSaid:
        self.failures[response.status] += 1
        return decode_refusal(
            response.status, await response.content.read(_ERROR_BYTES), response.headers.get("Retry-After")
        )


@asynccontextmanager
async def open_session(access: Access, *, version: str, streams: int = 64) -> AsyncIterator[ApiSession]:
    """
    Open the session of a process that watches at most *streams* streams; closed with the block.

    HTTP/1.1 gives each watch a connection of its own; lists and checks get a few more.
    """
    connector = aiohttp.TCPConnector(
        limit=streams + 8,
        # Without a context of its own aiohttp loads the machine's certificates, also for plain HTTP.
        ssl=access.tls if access.tls is not None else False,
        socket_factory=keepalive_socket,
        ttl_dns_cache=30,
    )
    async with aiohttp.ClientSession(
        connector=connector,
        headers={"User-Agent": f"kubescribe/{version}"},
        read_bufsize=READ_BUFFER_BYTES,
        # Watches are decoded as they come: compressed ones would be held back by the compressor's window.
        auto_decompress=True,
        skip_auto_headers=("Accept-Encoding",),
        cookie_jar=aiohttp.DummyCookieJar(),
    ) as client:
        yield ApiSession(access, client)


async def read_some(content: aiohttp.StreamReader, silence_seconds: float) -> bytes:
    """
    Return what has come of a body, b"" at its end. Raises TimeoutError, later than the session's own limit would.

    A body that is no HTTP any more (a proxy that breaks off inside a chunk) makes aiohttp 3.14 close the connection and
    its timer, and leaves who waits for the body waiting.
    """
    async with asyncio.timeout(silence_seconds + SLACK_SECONDS):
        return await content.readany()


def keepalive_socket(address: tuple[Any, ...]) -> socket.socket:
    """
    Make a socket that notices a peer that went away without a word: after 30 s idle, three questions 10 s apart.

    HTTP/1.1 has no ping (client-go is saved by HTTP/2's); behind EKS's load balancers connections do fail silently
    (kopf#1267).
    """
    family, kind, protocol = address[0], address[1], address[2]
    connection = socket.socket(family, kind, protocol)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return connection


def _decoded(body: bytes, kind: type[_T], what: str) -> _T:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise ServerSaid(200, message=f"{what}: the answer is not the API's: {_line(error)}") from error


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
