"""The real daemon on this host, for tests: start it, feed it manifests, look at what it did.

Looks at the world from outside wherever that is possible: Docker's own list, HTTP through the
node port, the kernel's tables; only what no tool shows is read from the daemon's store.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import docker

from scripts.leftovers import find_leftovers

ROOT = Path(__file__).resolve().parents[2]
GUESTBOOK = ROOT / "cluster-state"
PROGRAM = Path(sys.executable).with_name("reconciler")
NODE_PORT = 30001

T = TypeVar("T")


def wait_for(
    condition: Callable[[], T], what: str, deadline: float = 60.0, interval: float = 0.05
) -> T:
    """Return the first true result of `condition`; fail after `deadline` seconds.

    `what` says what was waited for. An assertion or a refused connection inside the condition
    counts as "not yet" and is shown when time is up.
    """
    end = time.monotonic() + deadline
    last: object = None
    while True:
        try:
            if result := condition():
                return result
            last = result
        except (AssertionError, OSError, http.client.HTTPException) as error:
            last = error
        if time.monotonic() > end:
            raise AssertionError(f"not within {deadline} s: {what}; last: {last!r}")
        time.sleep(interval)


def holds(condition: Callable[[], bool], what: str, seconds: float) -> None:
    """Assert that `condition` stays true for `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), f"no longer: {what}"
        time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Container:
    """One container of a pod, as Docker lists it."""

    id: str
    name: str
    image: str
    pod: str
    pod_uid: str
    namespace: str
    container: str
    sandbox: bool
    running: bool


class Engine:
    """What Docker says about our containers; `address` is of another engine than this host's."""

    def __init__(self, address: str | None = None) -> None:
        self._address = address or "unix:///var/run/docker.sock"
        self.api = docker.APIClient(base_url=address, timeout=60)

    def close(self) -> None:
        self.api.close()

    def containers(self, namespace: str = "guestbook") -> list[Container]:
        """Return the containers and sandboxes of the namespace's pods, dead ones included."""
        labels = ["io.kubernetes.docker.type", f"io.kubernetes.pod.namespace={namespace}"]
        found = self.api.containers(all=True, filters={"label": labels})
        return sorted((_container(each) for each in found), key=lambda each: each.name)

    def running(self, prefix: str, namespace: str = "guestbook") -> dict[str, Container]:
        """Return the running app container of each pod whose name starts with `prefix`, by pod."""
        return {
            each.pod: each
            for each in self.containers(namespace)
            if each.running and not each.sandbox and each.pod.startswith(prefix)
        }

    def environment(self, container: Container) -> dict[str, str]:
        """Return the container's environment as Docker was given it."""
        entries = self.api.inspect_container(container.id)["Config"]["Env"]
        return dict(entry.split("=", 1) for entry in entries)

    def execute(self, container: Container, *command: str) -> str:
        """Run a command in the container and return its output."""
        # By the program: the SDK leaves the socket of an exec open.
        told = ["docker", "--host", self._address, "exec", container.id, *command]
        done = subprocess.run(told, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def remove(self, container: Container) -> None:
        """`docker rm -f`."""
        self.api.remove_container(container.id, force=True)

    def kill(self, container: Container) -> None:
        """`docker kill`; one that is dead or gone by now may be."""
        with suppress(docker.errors.APIError):
            self.api.kill(container.id, "SIGKILL")

    def derive(self, tag: str, base: str, environment: Mapping[str, str]) -> None:
        """Build the image `tag`: `base` with more environment variables."""
        lines = [f"FROM {base}", *(f'ENV {name}="{value}"' for name, value in environment.items())]
        text = "\n".join(lines)
        subprocess.run(
            ["docker", "build", "--quiet", "--tag", tag, "-"],
            input=text.encode(), check=True, capture_output=True,
            env={**os.environ, "DOCKER_BUILDKIT": "0"},
        )  # fmt: skip

    def remove_image(self, tag: str) -> None:
        """Remove the image's tag; none is fine."""
        subprocess.run(["docker", "image", "rm", tag], capture_output=True, check=False)


def _container(listed: Mapping[str, Any]) -> Container:
    labels = listed["Labels"]
    return Container(
        id=listed["Id"],
        name=listed["Names"][0].lstrip("/") if listed["Names"] else listed["Id"],
        image=listed["Image"],
        pod=labels["io.kubernetes.pod.name"],
        pod_uid=labels["io.kubernetes.pod.uid"],
        namespace=labels["io.kubernetes.pod.namespace"],
        container=labels.get("io.kubernetes.container.name", ""),
        sandbox=labels["io.kubernetes.docker.type"] == "podsandbox",
        running=listed["State"] == "running",
    )


@dataclass(slots=True)
class Manifests:
    """A folder of manifests, in Git or not, that a daemon follows."""

    folder: Path
    git: bool = True

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        if self.git:
            self._git("init", "--quiet", "--initial-branch=main")

    def copy(self, tree: Path) -> None:
        """Put the files of `tree` in the folder."""
        shutil.copytree(tree, self.folder, dirs_exist_ok=True)

    def write(self, name: str, text: str) -> None:
        """Write one file whole, as an editor does: to a new file, then renamed."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(text)
        partial.rename(path)

    def replace(self, name: str, old: str, new: str) -> None:
        """Replace `old`, which must be there, in one file."""
        text = (self.folder / name).read_text()
        assert old in text, f"{name} has no {old!r}"
        self.write(name, text.replace(old, new))

    def delete(self, name: str) -> None:
        """Delete one file."""
        (self.folder / name).unlink()

    def commit(self, message: str) -> str:
        """Commit everything and return the commit's hash; without Git the files are enough."""
        if not self.git:
            return ""
        self._git("add", "--all")
        self._git("commit", "--quiet", "--message", message)
        return self._git("rev-parse", "HEAD").strip()

    def _git(self, *arguments: str) -> str:
        identity = ["-c", "user.name=Test", "-c", "user.email=test@example.com"]
        command = ["git", *identity, "-C", str(self.folder), *arguments]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        return done.stdout


@dataclass(slots=True)
class Daemon:
    """One `reconciler run` on this host, and the files that it keeps.

    `enter` is the beginning of a command that runs somewhere else, as in other namespaces.
    """

    source: Path
    folder: Path
    enter: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0

    @property
    def state_dir(self) -> Path:
        return self.folder / "state"

    @property
    def run_dir(self) -> Path:
        return self.folder / "run"

    @property
    def directories(self) -> list[str]:
        return ["--state-dir", str(self.state_dir), "--run-dir", str(self.run_dir)]

    def start(self, *flags: str) -> None:
        """Start the daemon in a session of its own; its log is a file for each start."""
        self.starts += 1
        program = (*self.enter, str(PROGRAM))
        command = [*program, "run", "--source", str(self.source), *self.directories, *flags]
        with self.log_path.open("wb") as log:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={"RECONCILER_PRUNE_KEEP_SECONDS": "0", **os.environ},
            )  # fmt: skip

    @property
    def log_path(self) -> Path:
        """The log of the latest start."""
        return self.folder / f"daemon-{self.starts}.log"

    def events(self) -> list[dict[str, Any]]:
        """Return the latest start's log lines so far; an unfinished last line is left out."""
        return list(_json_lines(self.log_path.read_text()))

    def stop(self) -> int:
        """Send SIGTERM and return the exit code; failing to end in 20 s fails the test."""
        return self._end(signal.SIGTERM)

    def kill(self) -> None:
        """`kill -9`."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> int:
        process, self.process = self.process, None
        assert process is not None, "the daemon was not started"
        process.send_signal(number)
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the daemon did not end on {number.name} within 20 s") from None

    def command(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run another command of the program on the same directories."""
        command = [*self.enter, str(PROGRAM), *arguments, *self.directories]
        environment = {
            "RECONCILER_PRUNE_KEEP_SECONDS": "0",
            **os.environ,
            "COLUMNS": "400",
        }
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, env=environment, timeout=60
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def tail(self) -> str:
        """Return the log's last lines, for a failing test."""
        return "\n".join(self.log_path.read_text().splitlines()[-60:]) if self.starts else ""

    def clean(self) -> list[str]:
        """End the daemon, run `down`, remove the files; return what of ours is still there."""
        if self.process is not None:
            self.kill()
        down = self.command("down", check=False)
        left = find_leftovers([self.state_dir, self.run_dir])
        if down.returncode != 0:
            left.append(f"down ended with {down.returncode}: {down.stdout}{down.stderr}")
        return left


def sleepers(name: str, replicas: int, image: str, namespace: str = "test") -> str:
    """Return the manifest of a ReplicationController whose pods only wait."""
    return f"""apiVersion: v1
kind: ReplicationController
metadata:
  name: {name}
  namespace: {namespace}
spec:
  replicas: {replicas}
  selector:
    app: {name}
  template:
    metadata:
      labels:
        app: {name}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: main
          image: {image}
          imagePullPolicy: IfNotPresent
          command: ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done"]
"""


def namespace_manifest(name: str) -> str:
    """Return the manifest of a namespace."""
    return f"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: {name}\n"


def _json_lines(text: str) -> Iterator[dict[str, Any]]:
    for line in text.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            continue


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer through the node port."""

    status: int
    body: str
    served_by: str


def fetch(path: str = "/", port: int = NODE_PORT, host: str = "127.0.0.1") -> Reply:
    """GET once, on a connection of its own."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read().decode()
        return Reply(answer.status, body, answer.headers.get("X-Served-By", ""))
    finally:
        connection.close()


@dataclass(slots=True)
class Hammer:
    """What the clients of `hammer` got so far: answers, and every request that failed."""

    replies: list[Reply] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def ask(self, path: str) -> None:
        """Ask once and note what came."""
        try:
            reply = fetch(path)
        except (OSError, http.client.HTTPException) as error:
            self.failures.append(f"{time.strftime('%X')} {error!r}")
            return
        self.replies.append(reply)
        if reply.status != 200:
            self.failures.append(f"{time.strftime('%X')} {reply.status}: {reply.body[:200]}")


@contextmanager
def hammer(path: str = "/", clients: int = 3, limit: float = 90.0) -> Iterator[Hammer]:
    """Let `clients` ask for `path` again and again, each time on a new connection, meanwhile.

    They stop with the block, and after `limit` seconds in any case.
    """
    seen = Hammer()
    stop = threading.Event()
    end = time.monotonic() + limit

    def ask() -> None:
        while not stop.wait(0.005) and time.monotonic() < end:
            seen.ask(path)

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        stop.set()
        for thread in threads:
            thread.join()
