"""The proxy subresource: one request passed on to a server in a pod, and its answer back.

Called by `service.py`. The only importer of h11, which is loaded with the first such request.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator, Sequence
from importlib import import_module
from typing import Any
from urllib.parse import quote, urlencode

from reconciler.apiserver.http.message import Answer, Duplex, Reply, Request, Sink, Stream, Upgrade
from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.streaming.backend import Backend
from reconciler.apiserver.streaming.tasks import first_of

_CONNECT_SECONDS = 10.0
_ANSWER_SECONDS = 60.0
_PIECE = 64 * 1024
# Of one connection, never of the message: RFC 9110, section 7.6.1. Credentials are ours alone.
_OWN = frozenset(
    {
        *("connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding"),
        *("upgrade", "authorization", "host", "content-length", "expect"),
    }
)
_HIDDEN = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length"})
_NO_BODY = (204, 304)


async def relay(request: Request, backend: Backend, path: str) -> Answer:
    """Return the answer of `backend` to a request for `path`. Raises `StatusError` 503."""
    exchange = await _Exchange.open(backend)
    try:
        return await exchange.ask(request, path)
    except BaseException:
        exchange.close()
        raise


class _Exchange:
    """One connection to a server, for one request."""

    def __init__(
        self, backend: Backend, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._h11 = import_module("h11")
        self._backend = backend
        self._reader, self._writer = reader, writer
        self._protocol = self._h11.Connection(self._h11.CLIENT)

    @classmethod
    async def open(cls, backend: Backend) -> _Exchange:
        """Connect. Raises `StatusError`."""
        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                streams = await asyncio.open_connection(
                    backend.address, backend.port, ssl=_tls() if backend.tls else None
                )
        except (OSError, TimeoutError) as error:
            raise _unreachable(backend, error) from error
        return cls(backend, *streams)

    def close(self) -> None:
        """Let go of the connection."""
        self._writer.close()

    async def ask(self, request: Request, path: str) -> Answer:
        """Send the request and return the answer, whose body comes later."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._send(request, path)
                response = await self._head()
        except (OSError, TimeoutError, self._h11.RemoteProtocolError) as error:
            raise _unreachable(self._backend, error) from error
        except self._h11.LocalProtocolError as error:
            raise StatusError(400, "BadRequest", f"the request cannot be passed on: {error}") from (
                error
            )
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in (
            response.headers.raw_items()
        )]  # fmt: skip
        if isinstance(response, self._h11.InformationalResponse):
            return self._upgraded(headers)
        return await self._answer(request, response.status_code, headers)

    async def _send(self, request: Request, path: str) -> None:
        target = quote(path, safe="/:@!$&'()*+,;=~-._%")
        if request.query:
            target += "?" + urlencode(request.query, doseq=True)
        events = [
            self._h11.Request(method=request.method, target=target, headers=self._headers(request)),
            self._h11.Data(data=request.body),
            self._h11.EndOfMessage(),
        ]
        for event in events:
            self._writer.write(self._protocol.send(event))
        await self._writer.drain()

    def _headers(self, request: Request) -> list[tuple[str, str]]:
        kept = [each for each in request.headers.items() if not _is_own(each[0])]
        kept.append(("Host", f"{self._backend.address}:{self._backend.port}"))
        if request.body or request.method in ("POST", "PUT", "PATCH"):
            kept.append(("Content-Length", str(len(request.body))))
        if wanted := request.headers.get("upgrade"):
            return [*kept, ("Connection", "Upgrade"), ("Upgrade", wanted)]
        return [*kept, ("Connection", "close")]

    async def _head(self) -> Any:
        while True:
            event = await self._next()
            if isinstance(event, self._h11.Response):
                return event
            if isinstance(event, self._h11.InformationalResponse):
                switching = 101
                if event.status_code == switching:
                    return event
            elif isinstance(event, self._h11.ConnectionClosed):
                raise ConnectionResetError("the server closed the connection")

    async def _next(self) -> Any:
        while True:
            event = self._protocol.next_event()
            if event is not self._h11.NEED_DATA:
                return event
            self._protocol.receive_data(await self._reader.read(_PIECE))

    async def _answer(
        self, request: Request, code: int, headers: Sequence[tuple[str, str]]
    ) -> Answer:
        passed = [(name, value) for name, value in headers if name.lower() not in _HIDDEN]
        kind = next((value for name, value in passed if name.lower() == "content-type"), "")
        passed = [(name, value) for name, value in passed if name.lower() != "content-type"]
        if request.method == "HEAD" or code in _NO_BODY:
            self.close()
            return Reply(code, b"", kind, passed)
        return Stream(self._pass_on, kind, code, passed)

    async def _pass_on(self, sink: Sink) -> None:
        try:
            async for data in self._body():
                await sink.write(data)
        except self._h11.RemoteProtocolError as error:
            raise ConnectionResetError(str(error)) from error
        finally:
            self.close()

    async def _body(self) -> AsyncIterator[bytes]:
        while True:
            event = await self._next()
            if isinstance(event, self._h11.Data):
                yield bytes(event.data)
            elif isinstance(event, self._h11.EndOfMessage | self._h11.ConnectionClosed):
                return

    def _upgraded(self, headers: Sequence[tuple[str, str]]) -> Upgrade:
        """Pass on a connection that the server upgraded, byte by byte."""
        early, _ended = self._protocol.trailing_data

        async def serve(client: Duplex) -> None:
            try:
                if early:
                    await client.write(early)
                await first_of(self._to_client(client), self._to_server(client))
            finally:
                self.close()

        return Upgrade(serve, headers)

    async def _to_client(self, client: Duplex) -> None:
        while data := await self._reader.read(_PIECE):
            await client.write(data)

    async def _to_server(self, client: Duplex) -> None:
        while data := await client.read():
            self._writer.write(data)
            with contextlib.suppress(ConnectionError):
                await self._writer.drain()


def _is_own(name: str) -> bool:
    """Say whether a header is for this server alone."""
    return name in _OWN or name.startswith("impersonate-")


def _unreachable(backend: Backend, error: BaseException) -> StatusError:
    where = f"{backend.address}:{backend.port}"
    why = _of_connect(error) or str(error) or type(error).__name__
    return StatusError(
        503, "ServiceUnavailable", f"error trying to reach service: dial tcp {where}: {why}"
    )


def _of_connect(error: BaseException) -> str:
    """Return what connect(2) said as Go tells it, nothing for another fault."""
    if isinstance(error, ssl.SSLError) or not isinstance(error, OSError) or not error.errno:
        return ""
    return f"connect: {os.strerror(error.errno).lower()}"


def _tls() -> ssl.SSLContext:
    """Pods' certificates are known to nobody: kube-apiserver does not check them either."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
