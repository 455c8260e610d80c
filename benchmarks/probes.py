"""What probes cost the daemon: 200 containers asked every second, and 1,000 every ten.

No Docker: the prober alone against servers in a process of their own, for grpc one of grpcio. Its
aim is 5 % of a core.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import sys
import time
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import grpc
import uvloop
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from reconciler.core.clock import SystemClock
from reconciler.kubelet.fake import FakeRuntime
from reconciler.kubelet.labels import CONTAINER_NAME, PodContainer, PodKey
from reconciler.kubelet.prober import Prober
from reconciler.kubelet.runtime import Container
from reconciler.kubelet.wire import Wire
from reconciler.model.pod import Pod

HERE, SECONDS = "127.0.0.1", 15.0
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


class Answering(asyncio.Protocol):
    """Answers whatever it is asked, and closes."""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        del data
        self._transport.write(ANSWER)
        self._transport.close()


def healthy() -> grpc.Server:
    states = health.HealthServicer()
    states.set("", health_pb2.HealthCheckResponse.SERVING)
    made = grpc.server(ThreadPoolExecutor(4))
    health_pb2_grpc.add_HealthServicer_to_server(states, made)
    return made


def serve(told: Any) -> None:
    spoken = healthy()
    told.send(spoken.add_insecure_port(f"{HERE}:0"))
    spoken.start()

    async def forever() -> None:
        server = await asyncio.get_running_loop().create_server(Answering, HERE, 0, backlog=2048)
        told.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(forever())


async def measure(probe: dict[str, Any], count: int) -> float:
    """Return the share of a core that `count` such probes cost in the long run."""
    tasks: set[asyncio.Task[None]] = set()

    def spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.ensure_future(work)
        tasks.add(task)
        return task

    def failed(_pod: Pod, _name: str, _kind: str, message: str) -> None:
        print(f"a probe failed, which makes the figure worthless: {message}")

    wire = Wire()
    prober = Prober(FakeRuntime(SystemClock()), SystemClock(), spawn, lambda _: None, failed, wire)
    container = {"name": "app", "image": "i", "livenessProbe": probe}
    pod = Pod.model_validate_json(
        json.dumps({"metadata": {"name": "p"}, "spec": {"containers": [container]}})
    )
    now = datetime.now(UTC)
    for number in range(count):
        state = Container(f"{number}", "n", "running", {CONTAINER_NAME: "app"}, "i", "", now, now)
        key = PodKey("default", f"p-{number}", f"{number}")
        prober.watch(key, pod, [PodContainer(state)], HERE)
        await asyncio.sleep(0.9 / count)  # pods do not all start at once
    await asyncio.sleep(2)
    cpu, began = time.process_time(), time.monotonic()
    await asyncio.sleep(SECONDS)
    share = (time.process_time() - cpu) / (time.monotonic() - began)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    wire.close()
    return share


async def main() -> None:
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,), daemon=True)
    server.start()
    grpc_port, port = ours.recv(), ours.recv()
    handlers: dict[str, Any] = {
        "httpGet": {"port": port, "path": "/"},
        "tcpSocket": {"port": port},
        "grpc": {"port": grpc_port},
    }
    for name, handler in handlers.items():
        for count, period in ((200, 1), (1000, 10)):
            probe = {name: handler, "periodSeconds": period, "timeoutSeconds": 1}
            share = await measure(probe, count)
            print(f"{count} {name} probes every {period} s: {100 * share:.1f} % of a core")
    server.terminate()


if __name__ == "__main__":
    uvloop.run(main())
