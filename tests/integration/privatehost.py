"""A host of a test's own: network and mounts apart from this one's, with its own Docker engine.

What is done to its engine, its firewall or its files harms no other test.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.integration.harness import Daemon, Manifests, fetch, wait_for
from tests.integration.images import BUSYBOX, busybox_root
from tests.integration.load import enter

ADDRESS = "192.168.88.1"
_MAKE = """set -e; mount --make-rprivate /; ip link set lo up
ip link add up0 type veth peer up1; ip addr add 192.168.88.1/24 dev up0
ip link set up0 up; ip link set up1 up; ip route add default via 192.168.88.254
echo made; exec sleep infinity"""


@dataclass(slots=True)
class PrivateHost:
    """The namespaces, kept by a sleeping process, and the engine in them."""

    folder: Path
    flags: tuple[str, ...]
    keeper: subprocess.Popen[str]
    engine: subprocess.Popen[bytes] | None = None
    daemons: list[Daemon] = field(default_factory=list)

    @property
    def enter(self) -> tuple[str, ...]:
        """The beginning of a command that runs on this host."""
        inside = ("nsenter", "--target", str(self.keeper.pid), "--net", "--mount", "--")
        socket = f"{self.folder}/docker.sock"
        names = (f"DOCKER_HOST=unix://{socket}", f"RECONCILER_DOCKER_SOCKET={socket}")
        return (*inside, "env", *names)

    def run(self, *command: str, stdin: bytes = b"") -> str:
        """Run a command here and return its output; one that fails, fails the test."""
        done = subprocess.run(
            (*self.enter, *command), input=stdin, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{command}: {done.stdout!r} {done.stderr!r}"
        return done.stdout.decode().strip()

    def answers(self, *command: str) -> bool:
        """Tell whether a command succeeds here."""
        done = subprocess.run((*self.enter, *command), capture_output=True, timeout=60, check=False)
        return done.returncode == 0

    def fetch(self, address: str, port: int) -> str:
        """GET /hostname from this host; raises what `harness.fetch` raises."""
        with ThreadPoolExecutor(1, initializer=enter, initargs=(self.keeper.pid,)) as thread:
            return thread.submit(fetch, "/hostname", port, address).result().body.strip()

    def start_engine(self) -> None:
        """Start dockerd with this host's flags and wait until it answers."""
        places = {"data-root": "data", "exec-root": "exec", "pidfile": "docker.pid"}
        apart = (f"--{name}={self.folder}/{place}" for name, place in places.items())
        listen = f"--host=unix://{self.folder}/docker.sock"
        command = (*self.enter, "dockerd", *apart, listen, *self.flags)
        with (self.folder / "dockerd.log").open("ab") as log:
            self.engine = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        wait_for(self._answers_or_ended, "dockerd", interval=0.1)

    def _answers_or_ended(self) -> bool:
        assert self.engine is not None
        if self.engine.poll() is not None:
            told = (self.folder / "dockerd.log").read_text(errors="replace")[-3000:]
            raise RuntimeError(f"dockerd ended with {self.engine.returncode}:\n{told}")
        return self.answers("docker", "version")

    def stop_engine(self) -> None:
        """End dockerd in order; with --live-restore its containers go on."""
        if self.engine is not None:
            self.engine.terminate()
            self.engine.wait(30)
            self.engine = None

    def kill_engine(self) -> None:
        """End dockerd with -9; its containers go on until the next one starts.

        Whoever calls has to reap what it leaves, where PID 1 does not. The kernel ends containerd
        with its dockerd, but later; a dockerd that starts in between takes the dying one for its
        own and gives up.
        """
        assert self.engine is not None
        containerd = (self.folder / "exec/containerd/containerd.pid").read_text().strip()
        self.engine.kill()
        self.engine.wait(30)
        self.engine = None
        wait_for(lambda: not Path("/proc", containerd).exists(), "the end of containerd")

    def launch(self, manifests: Manifests, *flags: str) -> Daemon:
        """Start a daemon here."""
        daemon = Daemon(manifests.folder, self.folder, enter=self.enter)
        self.daemons.append(daemon)
        daemon.start(*flags)
        return daemon

    def close(self) -> None:
        """End everything that runs here; the namespaces go with their last process."""
        try:
            if self.engine is None:
                self.start_engine()
            left = [line for daemon in self.daemons for line in daemon.clean()]
            for container in self.run("docker", "ps", "--all", "--quiet").split():
                self.run("docker", "rm", "--force", container)
            self.stop_engine()
        finally:
            self._end()
        assert left == []

    def _shims(self) -> list[int]:
        """Return what engines that were killed have left: no later one ends their shims."""
        ours = f"{self.folder}/exec/".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (process / "cmdline").read_bytes()
                if command.split(b"\0")[0].endswith(b"containerd-shim-runc-v2") and ours in command:
                    found.append(int(process.name))
        return found

    def _end(self) -> None:
        """End what is left when something has gone wrong, too."""
        if self.engine is not None:
            self.engine.kill()
            self.engine.wait(30)
        for shim in self._shims():
            os.kill(shim, signal.SIGKILL)
        self.keeper.kill()
        self.keeper.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


@contextmanager
def private_host(*flags: str, disk: Path | None = None) -> Iterator[PrivateHost]:
    """Yield a host whose dockerd has these flags, with the test's image on it.

    `disk` is the image of a file system that the engine keeps everything on.
    """
    keeper = subprocess.Popen(
        ("unshare", "--net", "--mount", "sh", "-c", _MAKE), stdout=subprocess.PIPE, text=True
    )
    assert keeper.stdout is not None
    with keeper.stdout as told:
        assert told.readline() == "made\n"
    # short, because the paths of sockets in it are limited
    host = PrivateHost(Path(tempfile.mkdtemp(prefix="rph-")), flags, keeper)
    try:
        if disk is not None:
            (host.folder / "data").mkdir()
            host.run("mount", "-o", "loop", str(disk), f"{host.folder}/data")
        host.start_engine()
        host.run("docker", "import", "-", BUSYBOX, stdin=busybox_root())
        yield host
    finally:
        host.close()
