"""Single calls of the engine over its socket, without a thread and without the SDK.

Called by `docker.py` for the calls that every start, stop and look at a pod is made of, and by
`dockerexec.py`: the SDK and a thread cost a call ten times the processor time, which Docker itself
could use meanwhile. HTTP/1.0, so that the engine ends each answer by closing the connection.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from reconciler.kubelet.dockerversion import ApiVersion
from reconciler.kubelet.runtime import (
    NoSuchContainer,
    NoSuchImage,
    RuntimeConflict,
    RuntimeFailure,
    RuntimeUnavailable,
)

_HEAD_END = b"\r\n\r\n"
_NOT_FOUND, _CONFLICT, _NOT_MODIFIED = 404, 409, 304
_OK = range(200, 300)


class EngineHttp:
    """Calls of the engine at a Unix socket, at most `parallel` at a time; None: any number.

    `timeout` bounds each of them, in seconds, from when its turn has come.
    """

    def __init__(
        self, socket: Path, version: ApiVersion, timeout: float, parallel: int | None = None
    ) -> None:
        self._socket, self._version, self._timeout = str(socket), version, timeout
        self._turns: AbstractAsyncContextManager[Any] = (
            nullcontext() if parallel is None else asyncio.Semaphore(parallel)
        )

    async def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, **query: str
    ) -> Any:
        """Make one call; return its JSON, None when there is none or nothing had to be done.

        Raises a `RuntimeFailure`: of its own kind for what is not there, is in the way, or when
        the engine does not answer at all.
        """
        where = f"{path}?{urlencode(query)}" if query else path
        try:
            return await self._ask_once(method, where, body)
        except RuntimeFailure as error:
            if not self._version.learn(str(error)):
                raise
        return await self._ask_once(method, where, body)

    async def _ask_once(self, method: str, where: str, body: dict[str, Any] | None) -> Any:
        request = encode(method, f"/v{self._version.text}{where}", body)
        async with self._turns:
            try:
                async with asyncio.timeout(self._timeout):
                    answer = await self._exchange(request)
            except TimeoutError as error:
                raise RuntimeUnavailable("Docker does not answer in time") from error
            except OSError as error:
                raise RuntimeUnavailable(f"Docker does not answer: {error}") from error
        return _decode(answer)

    async def _exchange(self, request: bytes) -> bytes:
        loop = asyncio.get_running_loop()
        transport, answer = await loop.create_unix_connection(_Answer, self._socket)
        try:
            transport.write(request)
            return await answer.whole
        finally:
            transport.abort()


class _Answer(asyncio.Protocol):
    """Gathers what comes until the other end closes."""

    def __init__(self) -> None:
        self.whole: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._pieces: list[bytes] = []

    def data_received(self, data: bytes) -> None:
        self._pieces.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self.whole.done():
            return
        if exc is not None:
            self.whole.set_exception(exc)
        else:
            self.whole.set_result(b"".join(self._pieces))


def encode(method: str, path: str, body: dict[str, Any] | None) -> bytes:
    """Return a request, its body as JSON."""
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def status_of(head: bytes) -> int:
    """Return the status of an answer, whose line and headers are given."""
    try:
        return int(head.split(None, 2)[1])
    except (IndexError, ValueError) as error:
        raise RuntimeFailure(f"Docker does not answer in HTTP: {head[:80]!r}") from error


def failure(status: int, body: bytes) -> RuntimeFailure:
    """Return what an answer that is no success means, in the engine's words."""
    try:
        words = str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        words = body.decode(errors="replace").strip()
    if status == _NOT_FOUND:
        return NoSuchImage(words) if "No such image" in words else NoSuchContainer(words)
    return RuntimeConflict(words) if status == _CONFLICT else RuntimeFailure(words)


def _decode(answer: bytes) -> Any:
    head, end, body = answer.partition(_HEAD_END)
    if not end:
        raise RuntimeUnavailable("Docker does not answer: the connection was closed")
    status = status_of(head)
    if status == _NOT_MODIFIED:
        return None
    if status not in _OK:
        raise failure(status, body)
    try:
        return json.loads(body) if body.strip() else None
    except (ValueError, RecursionError) as error:
        raise RuntimeUnavailable(f"Docker's answer is no JSON: {error}") from error
