"""What the peers of a pod hear when it dies without a word: nobody is left hanging."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.conftest import Launch
from tests.integration.harness import (
    Container,
    Engine,
    Manifests,
    namespace_manifest,
    sleepers,
    wait_for,
)
from tests.integration.images import ensure_busybox

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ADDRESS, PORT, NODE_PORT = "10.96.77.8", 80, 30078
SERVICE = f"""apiVersion: v1
kind: Service
metadata: {{name: echo, namespace: test}}
spec:
  type: NodePort
  clusterIP: {ADDRESS}
  selector: {{app: echo}}
  ports: [{{port: {PORT}, targetPort: 8080, nodePort: {NODE_PORT}}}]
"""


def talking(address: str, port: int, stack: ExitStack) -> socket.socket:
    """Return a connection on which the echo was heard."""
    client = stack.enter_context(socket.create_connection((address, port), timeout=5))
    client.sendall(b"hello")
    assert client.recv(100) == b"hello"
    return client


def hears_the_end(client: socket.socket) -> bool:
    try:
        return client.recv(100) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def is_reset_when_it_speaks(client: socket.socket) -> bool:
    try:
        client.send(b"still there?")
    except (BrokenPipeError, ConnectionResetError):
        return True
    return False


@pytest.mark.parametrize("way", ["sandbox", "both", "removed"])
def test_peers_of_a_pod_that_dies_hear_of_it(
    tmp_path: Path, launch: Launch, engine: Engine, way: str
) -> None:
    manifests = Manifests(tmp_path / "source", git=False)
    echo = sleepers("echo", 1, ensure_busybox())
    serve = "nc -ll -p 8080 -e cat & wait"
    for name, text in (("test", namespace_manifest("test")), ("service", SERVICE)):
        manifests.write(f"{name}.yaml", text)
    manifests.write("echo.yaml", echo.replace("while :; do sleep 1 & wait $!; done", serve))
    launch(manifests.folder)
    with ExitStack() as stack:
        ways = ((ADDRESS, PORT), ("127.0.0.1", NODE_PORT))
        clients = [wait_for(lambda a=a, p=p: talking(a, p, stack), f"{a}:{p}") for a, p in ways]
        kill(engine, way)
        for client in clients:
            assert hears_the_end(client), "hung for 5 s"
            wait_for(lambda c=client: is_reset_when_it_speaks(c), "a reset", deadline=10)
        wait_for(lambda: talking(ADDRESS, PORT, stack), "the pod that takes its place")


def kill(engine: Engine, way: str) -> None:
    pod: list[Container] = [each for each in engine.containers("test") if each.running]
    for each in sorted(pod, key=lambda each: not each.sandbox):
        if way == "removed":
            engine.remove(each)
        elif each.sandbox or way == "both":
            engine.kill(each)
