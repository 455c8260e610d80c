"""A real daemon on a host of its own, and what must hold of it whenever nothing is broken."""

from __future__ import annotations

import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker

from tests.integration.harness import (
    Container,
    Daemon,
    Engine,
    Manifests,
    namespace_manifest,
    sleepers,
    wait_for,
)
from tests.integration.images import BUSYBOX
from tests.integration.privatehost import PrivateHost, private_host
from tests.soak.reaper import adopting_orphans

NAMESPACE = "soak"
DISK = 512  # MiB
_PATIENCE = 150.0  # seconds to be whole again: a crash loop's back-off may be under way
_GONE = (docker.errors.DockerException, OSError)


@dataclass(frozen=True, slots=True)
class Sample:
    """What the daemon holds: bytes in memory and in its store, descriptors, threads, tasks."""

    memory: int
    store: int
    descriptors: int
    threads: int
    tasks: int


class World:
    """The daemon, its source, and the people and faults around it."""

    def __init__(self, host: PrivateHost, engine: Engine, folder: Path) -> None:
        self.host, self.engine = host, engine
        self.replicas, self.round = 4, 0
        self.manifests = Manifests(folder / "source")
        self.manifests.write("namespace.yaml", namespace_manifest(NAMESPACE))
        self.daemon = Daemon(self.manifests.folder, host.folder, enter=host.enter)
        self.foreign = host.run("docker", "run", "--detach", BUSYBOX, "sleep", "1000000")
        self.commit()
        self.daemon.start()
        self.config = host.folder / "kubeconfig"
        wait_for(self._has_config, "a kubeconfig")

    def commit(self, text: str | None = None) -> None:
        """Commit the workload as it is wanted now, or something else in its place."""
        self.round += 1
        declared = sleepers("app", self.replicas, BUSYBOX, NAMESPACE)
        declared = declared.replace("  template:", f"  # round {self.round}\n  template:", 1)
        self.manifests.write("app.yaml", text if text is not None else declared)
        self.manifests.commit(f"Round {self.round}")

    def kubectl(self, *arguments: str) -> bool:
        """Run kubectl as the administrator; say whether it succeeded."""
        command = ("kubectl", f"--kubeconfig={self.config}", "-n", NAMESPACE, *arguments)
        done = subprocess.run(
            (*self.host.enter, *command), capture_output=True, timeout=60, check=False
        )
        return done.returncode == 0

    def containers(self) -> list[Container]:
        """Return our containers; none while the engine is away."""
        try:
            return self.engine.containers(NAMESPACE)
        except _GONE:
            return []

    def settle(self) -> float:
        """Wait until all is as declared; return the seconds that it took."""
        began = time.monotonic()
        try:
            wait_for(self._whole, f"{self.replicas} whole pods", _PATIENCE, 0.2)
            wait_for(lambda: "Healthy" in self._status(), "health", _PATIENCE, 0.5)
        except AssertionError as error:
            found = [(each.name, each.running) for each in self.containers()]
            raise AssertionError(
                f"{error}\n{found}\n{self._status()}\n{self.daemon.tail()}"
            ) from None
        took = time.monotonic() - began
        self._check()
        return took

    def sample(self) -> Sample:
        """Return what the daemon holds now."""
        process = Path("/proc", str(self.pid))
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        store = self.daemon.state_dir.glob("store.db*")
        return Sample(
            memory=int(status["VmRSS"].split()[0]) * 1024,
            store=sum(file.stat().st_size for file in store),
            descriptors=len(list((process / "fd").iterdir())),
            threads=int(status["Threads"]),
            tasks=self._tasks(),
        )

    def _tasks(self) -> int:
        """Return how many tasks the daemon's event loop has."""
        command = ("kubectl", f"--kubeconfig={self.config}", "get", "--raw", "/metrics")
        found = re.search(r"^reconciler_tasks (\d+)$", self.host.run(*command), re.MULTILINE)
        assert found is not None
        return int(found[1])

    @property
    def pid(self) -> int:
        """The daemon's process: what `nsenter` and `env` became."""
        assert self.daemon.process is not None
        return self.daemon.process.pid

    def _has_config(self) -> bool:
        done = self.daemon.command("kubeconfig", check=False)
        if done.returncode == 0:
            self.config.write_text(done.stdout)
        return done.returncode == 0

    def _whole(self) -> bool:
        found = self.containers()
        each = Counter((one.pod, one.sandbox) for one in found if one.running)
        return len(each) == 2 * self.replicas and len({one.pod for one in found}) == self.replicas

    def _check(self) -> None:
        """What may never be otherwise once it has settled."""
        running = [one for one in self.containers() if one.running]
        doubled = [
            key
            for key, count in Counter((one.pod, one.sandbox) for one in running).items()
            if count > 1
        ]
        assert doubled == [], f"two containers for one: {doubled}"
        assert self.host.answers("docker", "inspect", self.foreign), "another's container is gone"
        errors = [line for line in self.daemon.events() if "exception" in line]
        assert errors == [], f"the daemon did not expect: {errors[:2]}"

    def _status(self) -> str:
        return " ".join(self.daemon.command("status", check=False).stdout.split())


@contextmanager
def a_world(folder: Path) -> Iterator[World]:
    """Yield a world that has settled; nothing of it is left afterwards."""
    image = folder / "disk"
    with image.open("wb") as file:
        file.truncate(DISK * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    with adopting_orphans(), private_host(disk=image) as host:
        engine = Engine(f"unix://{host.folder}/docker.sock")
        world = World(host, engine, folder)
        try:
            world.settle()
            yield world
        finally:
            engine.close()
            left = world.daemon.clean()
            assert left == [], f"left behind: {left}"
