"""Commands inside containers, over the engine's socket without a thread. Called by `docker.py`.

A probe or a hook may take as long as it likes: a connection costs nothing while it waits, a
thread of a bounded pool would keep others from theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

from reconciler.kubelet.dockerhttp import EngineHttp, encode, failure, status_of
from reconciler.kubelet.dockerversion import ApiVersion
from reconciler.kubelet.runtime import ExecResult, RuntimeFailure, RuntimeUnavailable

_OUTPUT = 10 * 1024
_HEADER = 8
_OK = range(200, 300)


class DockerExec:
    """Runs commands in containers of the engine at a Unix socket.

    `timeout` bounds, in seconds, each answer that the engine owes at once.
    """

    def __init__(self, socket: Path, version: ApiVersion, timeout: float) -> None:
        self._socket, self._version = socket, version
        self._http = EngineHttp(socket, version, timeout)

    async def run(self, container: str, argv: tuple[str, ...], seconds: float) -> ExecResult:
        """Run a command and return its end; raises `TimeoutError`, after which it is killed."""
        body = {"Cmd": list(argv), "AttachStdout": True, "AttachStderr": True}
        made = await self._http.ask("POST", f"/containers/{container}/exec", body)
        try:
            output = await asyncio.wait_for(self._output(made["Id"]), seconds)
        except (TimeoutError, asyncio.CancelledError):
            await self._kill(made["Id"])
            raise
        end = await self._http.ask("GET", f"/exec/{made['Id']}/json")
        code = end["ExitCode"]
        return ExecResult(-1 if code is None else code, output)

    async def _output(self, exec_id: str) -> bytes:
        """Start the command; return what it says until both its outputs are closed."""
        request = encode("POST", f"/v{self._version.text}/exec/{exec_id}/start", {"Detach": False})
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
            found = await self._http.ask("GET", f"/exec/{exec_id}/json")
            if found["Running"] and found["Pid"] > 1:
                os.kill(found["Pid"], signal.SIGKILL)

    @contextlib.asynccontextmanager
    async def _answer(self, request: bytes) -> AsyncIterator[asyncio.StreamReader]:
        """Send a request; yield the body of a good answer, raise a `RuntimeFailure` for another."""
        try:
            reader, writer = await asyncio.open_unix_connection(str(self._socket))
        except OSError as error:
            raise RuntimeUnavailable(f"Docker does not answer: {error}") from error
        try:
            writer.write(request)
            status = status_of(await reader.readuntil(b"\r\n\r\n"))
            if status not in _OK:
                raise failure(status, await reader.read())
            yield reader
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            raise RuntimeUnavailable(f"Docker does not answer: {error}") from error
        finally:
            writer.transport.abort()
