"""A node on real Docker and a real bridge, beside any daemon that may run on this host.

A bridge, an address range and a label value of the tests' own keep the two apart.
"""

from __future__ import annotations

import asyncio
import gc
import socket
import subprocess
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from reconciler.core.clock import SystemClock
from reconciler.kubelet.bridge import BridgeNetwork
from reconciler.kubelet.docker import DockerRuntime
from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.firewall import ForwardAccept
from reconciler.kubelet.labels import MANAGED
from reconciler.kubelet.options import KubeletOptions
from reconciler.kubelet.podnetwork import NetworkPlan
from reconciler.kubelet.podspec import HostLimits
from reconciler.kubelet.processes import PidFds
from reconciler.kubelet.resolver import ClusterDns
from tests.integration.images import ensure_busybox
from tests.unit.kubelet.node import Node

PLAN = NetworkPlan("10.245.0.0/24", "10.97.0.0/16", "10.97.0.10")
BRIDGE = "rectest0"
SERVER = ["sh", "-c", "trap 'exit 0' TERM; httpd -p 8080 -h /etc; while :; do sleep 0.1; done"]


class RealNode(Node):
    offload = staticmethod(asyncio.to_thread)

    def processes(self) -> PidFds:
        return PidFds()

    def until(self, condition: Any, name: str = "web", limit: float = 20) -> Any:
        return super().until(condition, name, limit)


class Line:
    """A socket between kubelet and Docker that the test can cut."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listening: socket.socket | None = None
        self._carried: dict[asyncio.Task[None], socket.socket] = {}

    async def join(self) -> None:
        self._listening = listening = socket.socket(socket.AF_UNIX)
        listening.setblocking(False)
        listening.bind(str(self.path))
        listening.listen(128)
        # A server of asyncio's own leaves what it accepts while it is being closed.
        asyncio.get_running_loop().add_reader(listening, self._accept, listening)

    async def cut(self) -> None:
        if self._listening is not None:
            self.path.unlink()
            asyncio.get_running_loop().remove_reader(self._listening)
            self._listening.close()
            self._listening = None
        for task in self._carried:
            task.cancel()
        await asyncio.gather(*self._carried, return_exceptions=True)
        for accepted in self._carried.values():  # of a task that was cancelled before it began
            accepted.close()
        self._carried.clear()

    def _accept(self, listening: socket.socket) -> None:
        accepted, _ = listening.accept()
        accepted.setblocking(False)
        self._carried[asyncio.create_task(self._carry(accepted))] = accepted

    async def _carry(self, accepted: socket.socket) -> None:
        reader, writer = await asyncio.open_unix_connection(sock=accepted)
        try:
            there, back = await asyncio.open_unix_connection("/var/run/docker.sock")
            try:
                await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
            finally:
                back.transport.abort()
        finally:
            writer.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while data := await source.read(1 << 16):
                target.write(data)
                await target.drain()
        except OSError:
            return
        target.write_eof()


@asynccontextmanager
async def joined_line(tmp_path: Path) -> AsyncIterator[Line]:
    """Yield a line to Docker, cut at the end."""
    line = Line(tmp_path / "docker.sock")
    await line.join()
    try:
        yield line
    finally:
        await line.cut()


@asynccontextmanager
async def real_node(tmp_path: Path, line: Line) -> AsyncIterator[RealNode]:
    """Yield a node on real Docker and a bridge of its own; nothing of it is left."""
    runtime, network = DockerRuntime(line.path), BridgeNetwork(PLAN, BRIDGE)
    options = KubeletOptions(
        "test-node",
        "127.0.0.1",
        pod_cidr=PLAN.pod_cidr,
        dns=ClusterDns(PLAN.dns),
        limits=HostLimits(negative_oom_scores=False),
        scope=f"test-{uuid.uuid4().hex[:8]}",
    )
    node = RealNode(SystemClock(), tmp_path, runtime, network, options)
    node.image = ensure_busybox()
    firewall = ForwardAccept(BRIDGE)
    await firewall.ensure()
    await node.registry.start()
    await node.start()
    yield node
    await node.stop()
    await runtime.close()
    direct = DockerRuntime()
    for container in await direct.list(f"{MANAGED}={options.scope}"):
        await direct.remove(container.id)
    await direct.close()
    await PodFiles(tmp_path / "state", tmp_path / "run").remove_all()
    await network.remove()
    await network.close()
    await firewall.remove()
    # The SDK leaves a socket that was cut to the collector; it must not be blamed on a later test.
    gc.collect()


def docker(*arguments: str, stdin: str = "") -> str:
    command = ["docker", *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True, input=stdin)
    return done.stdout


def of_process(pid: int, file: str) -> str:
    return Path(f"/proc/{pid}/{file}").read_text()


async def became(pid: int, command: str) -> None:
    """Wait until a process is the program whose command line begins so.

    The engine says that a container runs while its process is still runc's own, or our launcher.
    """
    async with asyncio.timeout(10):
        while not of_process(pid, "cmdline").startswith(command):  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


async def fetch(address: str, path: str = "/hostname") -> str:
    reader, writer = await asyncio.wait_for(asyncio.open_connection(address, 8080), 5)
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    return answer.partition("\r\n\r\n")[2]
