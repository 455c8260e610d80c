"""Every kubectl of this machine on pods that run: the streamed parts."""

from __future__ import annotations

import http.client
import os
import pty
import select
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.integration.harness import wait_for
from tests.integration.images import BUSYBOX
from tests.integration.kubectls import Kubectl, kubectls
from tests.integration.streampods import MANIFEST, streaming

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def config(host: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with streaming(tmp_path_factory.mktemp("streams")) as file:
        yield file


@pytest.fixture(params=kubectls() or ["none"], ids=lambda path: Path(path).name)
def kubectl(request: pytest.FixtureRequest) -> Kubectl:
    if request.param == "none":
        pytest.skip("there is no kubectl on this machine")
    config: Path = request.getfixturevalue("config")
    return Kubectl(request.param, config, "streams")


def test_logs(kubectl: Kubectl) -> None:
    assert kubectl("logs", "web").splitlines() == ["one", "two", "three"]
    assert kubectl("logs", "web", "--tail=1") == "three\n"
    assert kubectl("logs", "web", "--limit-bytes=5") == "one\nt"
    stamped = kubectl("logs", "web", "--timestamps", "--since=1h", "--tail=1").split()
    assert stamped[0].startswith("20")
    assert stamped[1] == "three"
    assert kubectl("logs", "-l", "app=web", "--tail=2") == "two\nthree\n"
    told = kubectl("logs", "web", "--previous", fails=True)
    assert 'previous terminated container "web" in pod "web" not found' in told


def test_exec(kubectl: Kubectl) -> None:
    assert kubectl("exec", "web", "--", "echo", "hi") == "hi\n"
    failed = kubectl.run("exec", "web", "--", "sh", "-c", "echo out; echo err >&2; exit 7")
    assert failed.returncode == 7
    assert failed.stdout == "out\n"
    assert failed.stderr.startswith("err\n")
    fed = kubectl.run("exec", "-i", "web", "--", "cat", text="x" * 300_000)
    assert fed.stdout == "x" * 300_000
    assert kubectl("exec", "web", "--", "sh", "-c", "echo $WORD") == "xyzzy\n"
    assert "not valid for pod web" in kubectl("exec", "web", "-c", "no", "--", "id", fails=True)
    missing = kubectl.run("exec", "open", "--", "/no/such/program")
    assert missing.returncode != 0
    assert "no such file" in missing.stderr + missing.stdout


def test_exec_on_a_terminal(kubectl: Kubectl) -> None:
    shown = _on_terminal([*kubectl.command, "exec", "-it", "web", "--", "sh"], b"tty; exit 3\n")
    assert shown.code == 3
    assert "/dev/pts/" in shown.text


class _Shown:
    def __init__(self, code: int, text: str) -> None:
        self.code, self.text = code, text


def _on_terminal(command: list[str], typed: bytes) -> _Shown:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    text = b""
    sent = False
    try:
        while select.select([ours], [], [], 30)[0]:
            try:
                data = os.read(ours, 4096)
            except OSError:  # the other side is closed
                break
            text += data
            if not sent and b"#" in text:
                sent = True
                os.write(ours, typed)
    finally:
        os.close(ours)
    return _Shown(process.wait(30), text.decode())


def test_attach(kubectl: Kubectl) -> None:
    command = [*kubectl.command, "attach", "-i", "talk", "--pod-running-timeout=20s"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"hello\n")
        process.stdin.flush()
        assert process.stdout.readline() == b"got hello\n"
        process.terminate()
        process.wait(20)


def test_logs_are_followed(kubectl: Kubectl) -> None:
    follow = [*kubectl.command, "logs", "-f", "talk", "--tail=0"]
    word = os.urandom(3).hex()
    with subprocess.Popen(follow, stdout=subprocess.PIPE, text=True) as following:
        assert following.stdout is not None
        # What is said before the follower has come is not told: it is said until it is heard.
        attach = [*kubectl.command, "attach", "-i", "talk", "--pod-running-timeout=20s"]
        with subprocess.Popen(attach, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as talking:
            assert talking.stdin is not None
            try:
                while not select.select([following.stdout], [], [], 0.2)[0]:
                    talking.stdin.write(f"{word}\n".encode())
                    talking.stdin.flush()
                assert following.stdout.readline() == f"got {word}\n"
            finally:
                for process in (talking, following):
                    process.terminate()
                    process.wait(20)


def test_drain(kubectl: Kubectl) -> None:
    node = kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
    uid = kubectl("get", "pod", "open", "-o", "jsonpath={.metadata.uid}")
    flags = ("--force", "--ignore-daemonsets", "--pod-selector=app=open", "--timeout=40s")
    told = kubectl("drain", node, *flags)
    assert "evicting pod streams/open" in told or f"node/{node} drained" in told
    assert "SchedulingDisabled" in kubectl("get", "node", node)
    kubectl("uncordon", node)
    path = "jsonpath={.metadata.uid} {.status.containerStatuses[0].ready}"

    def runs_again() -> bool:
        found = kubectl.run("get", "pod", "open", "-o", path).stdout.split()
        return len(found) == 2 and found[0] != uid and found[1] == "true"

    wait_for(runs_again, "Git's pod runs again on the node")


def test_copies(kubectl: Kubectl, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(os.urandom(200_000))
    kubectl("cp", str(tmp_path / "there"), "web:/tmp/file")
    kubectl("cp", "web:/tmp/file", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == (tmp_path / "there").read_bytes()


def test_port_forward(kubectl: Kubectl) -> None:
    with _forwarded(kubectl, "pod/web", "8080") as local:
        for _ in range(5):
            assert _fetch(local) == b"page\n"
    with _forwarded(kubectl, "service/open", "80") as local:
        assert _fetch(local) == b"hello\n"


def test_port_forward_to_a_closed_port_says_so(kubectl: Kubectl) -> None:
    with _forwarded(kubectl, "pod/web", "9", wait=b"failed to forward port 9") as local, (
        pytest.raises((ConnectionError, http.client.HTTPException))
    ):  # fmt: skip
        _fetch(local)


def _fetch(port: int) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()


@contextmanager
def _forwarded(kubectl: Kubectl, what: str, port: str, wait: bytes = b"") -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        local = probe.getsockname()[1]
    command = [*kubectl.command, "port-forward", what, f"{local}:{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert b"Forwarding from" in process.stdout.readline()
        try:
            yield local
            if wait:
                assert wait in process.stderr.readline()
        finally:
            process.terminate()
            process.communicate(timeout=20)


def test_proxies(kubectl: Kubectl) -> None:
    base = "/api/v1/namespaces/streams"
    assert kubectl("get", "--raw", f"{base}/pods/open:8081/proxy/") == "hello\n"
    assert kubectl("get", "--raw", f"{base}/services/open:web/proxy/index.html") == "hello\n"
    told = kubectl("get", "--raw", f"{base}/services/open:no/proxy/", fails=True)
    assert "ServiceUnavailable" in told
    assert "NotFound" in kubectl("get", "--raw", f"{base}/pods/open:8081/proxy/none", fails=True)


def test_run_and_remove(kubectl: Kubectl) -> None:
    name = Path(kubectl.command[0]).name.replace(".", "-")
    told = kubectl.run(
        *("run", name, f"--image={BUSYBOX}", "--restart=Never", "--rm", "-i", "--quiet"),
        *("--image-pull-policy=IfNotPresent", "--command", "--", "cat"),
        text="piped\n",
    )
    assert told.returncode == 0, told.stderr
    assert "piped" in told.stdout


def test_run_what_ends_before_anybody_is_attached(kubectl: Kubectl) -> None:
    name = f"{Path(kubectl.command[0]).name.replace('.', '-')}-short"
    told = kubectl.run(
        *("run", name, f"--image={BUSYBOX}", "--restart=Never", "--rm", "-i"),
        *("--image-pull-policy=IfNotPresent", "--command", "--", "sh", "-c", "echo hi; exit 3"),
    )
    assert told.returncode == 3, told.stderr
    assert "hi" in told.stdout + told.stderr


def test_who_writes_what_git_declares_is_warned(kubectl: Kubectl) -> None:
    line = MANIFEST.splitlines().index("metadata: {name: s, namespace: streams}") - 1
    place = f"Warning: Git declares this object in all.yaml:{line}:1: "
    written = kubectl.run("label", "secret", "s", f"by={os.urandom(3).hex()}", "--overwrite")
    assert written.returncode == 0, written.stderr
    assert f"{place}what differs from the file is taken back; change the file" in written.stderr
    deleted = kubectl.run("delete", "secret", "s")
    assert deleted.returncode == 0, deleted.stderr
    assert f"{place}it is made again" in deleted.stderr
    wait_for(lambda: kubectl.run("get", "secret", "s").returncode == 0, "the secret is made again")


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl on this machine")
def test_a_token_of_nobody_opens_no_shell(config: Path) -> None:
    plain = Kubectl(kubectls()[0], config, "streams")
    told = plain("--token=wrong", "exec", "web", "--", "id", fails=True)
    assert "Unauthorized" in told or "logged in" in told
