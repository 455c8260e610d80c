"""Commands inside containers, over the engine's socket without a thread. Called by `docker.py`.

A probe or a hook may take as long as it likes: a connection costs nothing while it waits, a
thread of a bounded pool would keep others from theirs. HTTP/1.0, so that the engine ends each
answer by closing the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

from reconciler.kubelet.dockerversion import ApiVersion
from reconciler.kubelet.runtime import (
    ExecResult,
    NoSuchContainer,
    RuntimeConflict,
    RuntimeFailure,
    RuntimeUnavailable,
)

_OUTPUT = 10 * 1024
_HEADER = 8
_OK = range(200, 300)
_FAILURES: dict[int, type[RuntimeFailure]] = {404: NoSuchContainer, 409: RuntimeConflict}


class DockerExec:
    """Runs commands in containers of the engine at a Unix socket.

    `timeout` bounds, in seconds, each answer that the engine owes at once.
    """

    def __init__(self, socket: Path, version: ApiVersion, timeout: float) -> None:
        self._socket, self._version, self._timeout = socket, version, timeout

    async def run(self, container: str, argv: tuple[str, ...], seconds: float) -> ExecResult:
        """Run a command and return its end; raises `TimeoutError`, after which it is killed."""
        body = {"Cmd": list(argv), "AttachStdout": True, "AttachStderr": True}
        made = await self._ask("POST", f"/containers/{container}/exec", body)
        try:
            output = await asyncio.wait_for(self._output(made["Id"]), seconds)
        except (TimeoutError, asyncio.CancelledError):
            await self._kill(made["Id"])
            raise
        end = await self._ask("GET", f"/exec/{made['Id']}/json")
        code = end["ExitCode"]
        return ExecResult(-1 if code is None else code, output)

    async def _output(self, exec_id: str) -> bytes:
        """Start the command; return what it says until both its outputs are closed."""
        request = _request(
            "POST", f"/v{self._version.text}/exec/{exec_id}/start", {"Detach": False}
        )
        output = b""
        async with self._answer(request) as reader:
            with contextlib.suppress(asyncio.IncompleteReadError):
                while True:
                    header = await reader.readexactly(_HEADER)
                    chunk = await reader.readexactly(int.from_bytes(header[4:], "big"))
                    output = (output + chunk)[:_OUTPUT]
        return output

    async def _kill(self, exec_id: str) -> None:
        # The engine has no call for it; the process is on this host.
        with contextlib.suppress(RuntimeFailure, ProcessLookupError, PermissionError):
            found = await self._ask("GET", f"/exec/{exec_id}/json")
            if found["Running"] and found["Pid"] > 1:
                os.kill(found["Pid"], signal.SIGKILL)

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        call = partial(self._ask_once, method, path, body)
        return await self._version.spoken(call, RuntimeFailure)

    async def _ask_once(self, method: str, path: str, body: dict[str, Any] | None) -> Any:
        request = _request(method, f"/v{self._version.text}{path}", body)
        try:
            async with asyncio.timeout(self._timeout), self._answer(request) as reader:
                return json.loads(await reader.read())
        except TimeoutError as error:
            raise RuntimeUnavailable("Docker does not answer in time") from error

    @contextlib.asynccontextmanager
    async def _answer(self, request: bytes) -> AsyncIterator[asyncio.StreamReader]:
        """Send a request; yield the body of a good answer, raise a `RuntimeFailure` for another."""
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._socket))
        except OSError as error:
            raise RuntimeUnavailable(f"Docker does not answer: {error}") from error
        try:
            writer.write(request)
            status = _status(await reader.readuntil(b"\r\n\r\n"))
            if status not in _OK:
                raise _FAILURES.get(status, RuntimeFailure)(_words(await reader.read()))
            yield reader
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise RuntimeUnavailable(f"Docker does not answer: {error}") from error
        finally:
            writer.transport.abort()


def _request(method: str, path: str, body: dict[str, Any] | None) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    head = (
        f"{method} {path} HTTP/1.0\r\nHost: docker\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(content)}\r\n\r\n"
    )
    return head.encode() + content


def _status(head: bytes) -> int:
    """Return the status of an answer, whose line and headers are given."""
    try:
        return int(head.split(None, 2)[1])
    except (IndexError, ValueError) as error:
        raise RuntimeFailure(f"Docker does not answer in HTTP: {head[:80]!r}") from error


def _words(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return body.decode(errors="replace").strip()
