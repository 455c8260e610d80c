"""An attach ends with its container, also where Docker would let it hang."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from reconciler.kubelet.streams import DockerStreams
from reconciler.model.pod import Pod
from reconciler.model.streaming import Command, StreamFailure, Terminal

FRAME = b"\x01\x00\x00\x00\x00\x00\x00\x02hi"
ATTACH = Command(argv=(), stdin=False, stdout=True, stderr=True, tty=False)


class Docker:
    """An engine with one container. It never ends an attach by itself."""

    def __init__(self, socket: Path) -> None:
        self.streams = DockerStreams(socket)
        self.running = True
        self.died = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split(b" ")[1].decode()
        if path.endswith("/wait"):
            writer.write(b"HTTP/1.0 200 OK\r\n\r\n")
            await self.died.wait()
        elif "/attach" in path:
            writer.write(b"HTTP/1.1 101 UPGRADED\r\n\r\n" + FRAME)
            await reader.read()
        else:
            state = {"Config": {"Tty": False}, "State": {"Running": self.running}}
            writer.write(b"HTTP/1.0 200 OK\r\n\r\n" + json.dumps(state).encode())
        writer.close()

    async def attach(self) -> Terminal:
        return await self.streams.run(Pod(), "docker://abc", ATTACH)


@pytest.fixture
async def docker(tmp_path: Path) -> AsyncIterator[Docker]:
    engine = Docker(tmp_path / "docker.sock")
    listening = await asyncio.start_unix_server(engine.serve, tmp_path / "docker.sock")
    yield engine
    engine.died.set()
    listening.close()
    await listening.wait_closed()


async def test_it_ends_with_its_container(docker: Docker) -> None:
    terminal = await docker.attach()
    assert await terminal.read() == ("stdout", b"hi")
    docker.died.set()
    async with asyncio.timeout(20):
        assert await terminal.read() is None
    assert await terminal.exit_code() == 0
    await terminal.close()


async def test_nobody_is_attached_to_what_has_ended(docker: Docker) -> None:
    docker.running = False
    with pytest.raises(StreamFailure, match=r"container not running \(abc\)"):
        await docker.attach()
