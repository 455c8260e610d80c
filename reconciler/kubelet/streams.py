"""Logs, exec, attach and port-forward of this host's pods: `NodeStreams` on Docker.

Built by the composition root for the API server. It changes nothing of a pod, and keeps nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from reconciler.kubelet import labels, launcher, network
from reconciler.kubelet.dockerstream import Engine, Raw
from reconciler.kubelet.logwindow import Window
from reconciler.kubelet.podnetwork import NetworkFailure
from reconciler.model.pod import Pod
from reconciler.model.streaming import Command, LogQuery, Output, Size, StreamFailure, Terminal

_DIAL_SECONDS = 10.0
_LAST_WORDS_SECONDS = 1.0  # for the output of a container that has just died
_PIECE = 64 * 1024


class DockerStreams:
    """See the module."""

    def __init__(self, socket: Path) -> None:
        self._engine = Engine(socket)

    async def logs(self, pod: Pod, container_id: str, query: LogQuery) -> AsyncIterator[bytes]:  # noqa: ARG002 - the protocol's
        """See `NodeStreams.logs`."""
        found = _bare(container_id)
        about = await self._engine.call("GET", f"/containers/{found}/json")
        options: dict[str, str | int] = {"stdout": 1, "stderr": 1, "follow": int(query.follow)}
        options["timestamps"] = int(query.timestamps)
        options["tail"] = "all" if query.tail is None else query.tail
        if query.since is not None:
            options["since"] = f"{query.since.timestamp():.9f}"
        raw = await self._engine.stream(f"/containers/{found}/logs?{urlencode(options)}")
        window = Window(query.limit)
        try:
            async for _, data in raw.pieces(tty=bool(about["Config"]["Tty"])):
                yield window.take(data)
                if window.full:
                    return
        finally:
            raw.close()

    async def run(self, pod: Pod, container_id: str, command: Command) -> Terminal:  # noqa: ARG002 - the protocol's
        """See `NodeStreams.run`."""
        found = _bare(container_id)
        about = await self._engine.call("GET", f"/containers/{found}/json")
        if not command.argv:
            return await self._attach(found, command, tty=bool(about["Config"]["Tty"]))
        body = {
            "Cmd": [*_launcher(about), *command.argv],
            "AttachStdin": command.stdin,
            "AttachStdout": command.stdout,
            "AttachStderr": command.stderr and not command.tty,
            "Tty": command.tty,
        }
        made = await self._engine.call("POST", f"/containers/{found}/exec", body)
        start = {"Detach": False, "Tty": command.tty}
        raw = await self._engine.hijack(f"/exec/{made['Id']}/start", start)
        return DockerTerminal(self._engine, raw, f"/exec/{made['Id']}", tty=command.tty)

    async def _attach(self, container: str, command: Command, *, tty: bool) -> Terminal:
        options = {
            "stream": 1,
            "stdin": int(command.stdin),
            "stdout": int(command.stdout),
            "stderr": int(command.stderr),
        }
        path = f"/containers/{container}"
        async with contextlib.AsyncExitStack() as opened:
            death = await self._engine.stream(f"{path}/wait", "POST")
            opened.callback(death.close)
            raw = await self._engine.hijack(f"{path}/attach?{urlencode(options)}")
            opened.callback(raw.close)
            await self._require_running(container)
            opened.pop_all()
            return AttachedTerminal(self._engine, raw, path, death, tty=tty)

    async def _require_running(self, container: str) -> None:
        """Refuse to attach to what has ended: Docker would never say so.

        Who is told so reads the logs instead, as kubectl does.
        """
        about = await self._engine.call("GET", f"/containers/{container}/json")
        if not about["State"]["Running"]:
            raise StreamFailure(f"container not running ({container})")

    async def dial(self, pod: Pod, port: int) -> SocketPipe:
        """See `NodeStreams.dial`: the socket is made in the pod's network namespace."""
        pid = await self._sandbox_pid(pod)
        try:
            # The namespace is the thread's, so this must not be the event loop's own.
            socket = await asyncio.to_thread(network.open_socket, pid)
        except (OSError, NetworkFailure) as error:
            raise StreamFailure(f"the pod's network cannot be reached: {error}") from error
        socket.setblocking(False)
        try:
            async with asyncio.timeout(_DIAL_SECONDS):
                await asyncio.get_running_loop().sock_connect(socket, ("127.0.0.1", port))
            return SocketPipe(*await asyncio.open_connection(sock=socket))
        except (OSError, TimeoutError) as error:
            socket.close()
            raise _refused(pod, port, error) from error

    async def _sandbox_pid(self, pod: Pod) -> int:
        wanted = [f"{labels.POD_UID}={pod.metadata.uid}", f"{labels.TYPE}=podsandbox"]
        filters = quote(json.dumps({"label": wanted, "status": ["running"]}))
        for row in await self._engine.call("GET", f"/containers/json?filters={filters}"):
            about = await self._engine.call("GET", f"/containers/{row['Id']}/json")
            if about["State"]["Pid"]:
                return int(about["State"]["Pid"])
        raise StreamFailure(f"unable to find the sandbox of pod {pod.metadata.name}: not running")


class DockerTerminal:
    """`Terminal` on a hijacked connection; `path` is the exec's own, or the container's."""

    def __init__(self, engine: Engine, raw: Raw, path: str, *, tty: bool) -> None:
        self._engine, self._raw, self._path = engine, raw, path
        self._output = raw.pieces(tty=tty)

    async def read(self) -> tuple[Output, bytes] | None:
        """See `Terminal.read`."""
        return await anext(self._output, None)

    async def write(self, data: bytes) -> None:
        """See `Terminal.write`."""
        await self._raw.write(data)

    async def end_input(self) -> None:
        """See `Terminal.end_input`."""
        self._raw.end_input()

    async def resize(self, size: Size) -> None:
        """See `Terminal.resize`."""
        options = urlencode({"h": size.height, "w": size.width})
        try:
            await self._engine.call("POST", f"{self._path}/resize?{options}")
        except StreamFailure:
            return  # it has ended, or has no terminal

    async def exit_code(self) -> int:
        """See `Terminal.exit_code`."""
        about = await self._engine.call("GET", f"{self._path}/json")
        return int(about["ExitCode"] or 0)

    async def close(self) -> None:
        """See `Terminal.close`."""
        self._raw.close()


class AttachedTerminal(DockerTerminal):
    """An attach: it ends with its container, which Docker forgets where that dies just then.

    `death` is an answer that ends when the container does.
    """

    def __init__(self, engine: Engine, raw: Raw, path: str, death: Raw, *, tty: bool) -> None:
        super().__init__(engine, raw, path, tty=tty)
        self._death = death
        self._watching = asyncio.create_task(self._end_with_container())

    async def _end_with_container(self) -> None:
        await self._death.ended()
        await asyncio.sleep(_LAST_WORDS_SECONDS)
        self._raw.close()

    async def exit_code(self) -> int:
        """Return 0: what became of the container is told by its status."""
        return 0

    async def close(self) -> None:
        """See `Terminal.close`."""
        self._watching.cancel()
        self._death.close()
        self._raw.close()


class SocketPipe:
    """`Pipe` on a TCP connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        """See `Pipe.read`; a connection that is reset has ended."""
        try:
            return await self._reader.read(_PIECE)
        except ConnectionError:
            return b""

    async def write(self, data: bytes) -> None:
        """See `Pipe.write`."""
        self._writer.write(data)
        await self._writer.drain()

    async def end(self) -> None:
        """See `Pipe.end`."""
        if not self._writer.is_closing():
            self._writer.write_eof()

    async def close(self) -> None:
        """See `Pipe.close`."""
        self._writer.close()


def _bare(container_id: str) -> str:
    return quote(container_id.removeprefix("docker://"), safe="")


def _launcher(about: dict[str, Any]) -> tuple[str, ...]:
    """Return what gives a command the container's secret variables, when it has some."""
    entrypoint: list[str] = about["Config"]["Entrypoint"] or []
    has_secrets = entrypoint[:1] == [launcher.PROGRAM]
    return launcher.ENTRYPOINT if has_secrets else ()


def _refused(pod: Pod, port: int, error: BaseException) -> StreamFailure:
    uid, why = pod.metadata.uid, str(error) or "timed out"
    return StreamFailure(f"failed to forward port {port} of pod {pod.metadata.name} ({uid}): {why}")
