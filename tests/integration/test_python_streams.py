"""Python's clients on pods that run: logs, exec, port-forward, proxy."""

from __future__ import annotations

import asyncio
import http.client
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import anyio._backends._asyncio  # noqa: F401 - pytest cannot rewrite it where kr8s would load it
import kr8s
import kubernetes
import lightkube
import pytest
from kubernetes.stream import portforward, stream

from tests.integration.streampods import streaming

pytestmark = [
    pytest.mark.integration,
    # The clients leave a stream's connection to the garbage collector.
    pytest.mark.filterwarnings("ignore:Exception ignored in. <ssl.SSLSocket"),
]

SPACE = "streams"


@pytest.fixture(scope="module")
def config(host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with streaming(tmp_path_factory.mktemp("streams")) as file:
        yield file


@pytest.fixture
def core(config: Path) -> Iterator[kubernetes.client.CoreV1Api]:
    with kubernetes.config.new_client_from_config(str(config)) as client:
        yield kubernetes.client.CoreV1Api(client)


def test_logs(core: kubernetes.client.CoreV1Api, config: Path) -> None:
    assert core.read_namespaced_pod_log("web", SPACE) == "one\ntwo\nthree\n"
    assert core.read_namespaced_pod_log("web", SPACE, tail_lines=1) == "three\n"
    light = lightkube.Client(config=lightkube.KubeConfig.from_file(str(config)), namespace=SPACE)
    assert [line.strip() for line in light.log("web")] == ["one", "two", "three"]


def _exec(
    core: kubernetes.client.CoreV1Api, *command: str, **flags: bool
) -> stream.ws_client.WSClient:
    return stream(
        core.connect_get_namespaced_pod_exec,
        *("web", SPACE),
        command=list(command),
        stderr=True,
        stdout=True,
        _preload_content=False,
        **{"stdin": False, "tty": False, **flags},
    )


def test_exec(core: kubernetes.client.CoreV1Api) -> None:
    said = _exec(core, "sh", "-c", "echo out; echo err >&2; exit 7")
    said.run_forever(timeout=20)
    assert (said.read_stdout(), said.read_stderr()) == ("out\n", "err\n")
    assert said.returncode == 7
    shell = _exec(core, "sh", stdin=True)
    shell.write_stdin("echo hello $WORD\n")
    assert shell.readline_stdout(timeout=20) == "hello xyzzy"
    shell.write_stdin("exit 3\n")
    shell.run_forever(timeout=20)
    assert shell.returncode == 3
    terminal = _exec(core, "sh", "-c", "tty", tty=True)
    terminal.run_forever(timeout=20)
    assert "/dev/pts/" in terminal.read_stdout()


def test_files_out_of_a_pod(core: kubernetes.client.CoreV1Api) -> None:
    packed = stream(
        core.connect_get_namespaced_pod_exec,
        *("web", SPACE),
        command=["tar", "cf", "-", "-C", "/www", "index.html"],
        stderr=True,
        stdout=True,
        _preload_content=False,
        binary=True,
    )
    packed.run_forever(timeout=20)
    with tarfile.open(fileobj=BytesIO(packed.read_stdout())) as archive:
        page = archive.extractfile("index.html")
        assert page is not None
        assert page.read() == b"page\n"


def test_port_forward(core: kubernetes.client.CoreV1Api) -> None:
    forward = portforward(core.connect_get_namespaced_pod_portforward, "web", SPACE, ports="8080")
    connection = http.client.HTTPConnection("pod", 8080, timeout=20)
    connection.sock = forward.socket(8080)
    try:
        connection.request("GET", "/")
        assert connection.getresponse().read() == b"page\n"
    finally:
        connection.close()
    assert forward.error(8080) is None


def test_proxy(core: kubernetes.client.CoreV1Api) -> None:
    assert core.connect_get_namespaced_service_proxy("open:web", SPACE) == "hello\n"


async def test_kr8s(config: Path, scratch: None) -> None:
    api = await kr8s.asyncio.api(kubeconfig=str(config), namespace=SPACE)
    pod = await kr8s.asyncio.objects.Pod.get("web", namespace=SPACE, api=api)
    assert await pod.ready()
    assert [line async for line in pod.logs()] == ["one", "two", "three"]
    done = await pod.exec(["sh", "-c", "echo $WORD"])
    assert (done.returncode, done.stdout) == (0, b"xyzzy\n")
    async with pod.portforward(8080) as local:
        connection = http.client.HTTPConnection("127.0.0.1", local, timeout=20)

        def fetch() -> bytes:
            connection.request("GET", "/")
            return connection.getresponse().read()

        try:
            assert await asyncio.to_thread(fetch) == b"page\n"
        finally:
            connection.close()


def test_who_is_warned_by_the_official_client(core: kubernetes.client.CoreV1Api) -> None:
    body = {"metadata": {"labels": {"by": "python"}}}
    _, code, headers = core.patch_namespaced_pod_with_http_info("web", SPACE, body)
    assert code == 200
    assert headers["Warning"].startswith('299 - "Git declares this object in all.yaml:')
