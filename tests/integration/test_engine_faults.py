"""An engine that goes away, fails, hangs, fills its disk or loses what it had: nothing is doubled.

On a host of the test's own, whose engine is stopped and filled without harm to another test. When
the fault is over each pod has exactly one sandbox and one container, and while it lasts the
reason is on the pod.
"""

from __future__ import annotations

import asyncio
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest

from reconciler.kubelet.docker import DockerRuntime
from reconciler.kubelet.runtime import RuntimeFailure, RuntimeUnavailable
from tests.integration.engineproxy import WORDS, EngineProxy, Mode
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

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]

DISK = 160  # MiB
UNREACHABLE = (docker.errors.DockerException, OSError)


class World:
    """A daemon with sleeping pods on a host of its own."""

    def __init__(self, host: PrivateHost, engine: Engine, folder: Path) -> None:
        self.host, self.engine = host, engine
        self.manifests = Manifests(folder / "manifests", git=False)
        self.manifests.write("namespace.yaml", namespace_manifest("test"))
        self.scale(0)
        self.daemon = Daemon(self.manifests.folder, host.folder, enter=host.enter)
        host.daemons.append(self.daemon)

    def scale(self, replicas: int, policy: str = "IfNotPresent") -> None:
        """Ask for so many pods."""
        text = sleepers("app", replicas, BUSYBOX).replace("IfNotPresent", policy)
        self.manifests.write("app.yaml", text)

    def running(self) -> int:
        """Return how many pods run, as the engine says; 0 while it does not answer."""
        try:
            return len(self.engine.running("app", "test"))
        except UNREACHABLE:
            return 0

    def whole(self, replicas: int) -> bool:
        """Say whether each of so many pods has exactly its two containers, both running."""
        try:
            found = self.engine.containers("test")
        except UNREACHABLE:
            return False
        each = Counter((one.pod, one.sandbox) for one in found if one.running)
        pods = {one.pod for one in found}
        return len(pods) == replicas and len(each) == 2 * replicas and set(each.values()) <= {1}

    def settled(self, replicas: int) -> None:
        """Wait until the world is as declared, and the source says so."""
        self.wait(lambda: self.whole(replicas), f"{replicas} whole pods", 90)
        self.wait(lambda: "Healthy" in self.status(), "health")
        assert self.whole(replicas)

    def wait(self, condition: Callable[[], object], what: str, deadline: float = 60.0) -> None:
        """Wait for a condition; when it does not come, tell all that is known of the world."""
        try:
            wait_for(condition, what, deadline)
        except AssertionError as error:
            found = [(one.name, one.running) for one in self.engine.containers("test")]
            raise AssertionError(
                f"{error}\n{found}\n{self.status()}\n{self.daemon.tail()}"
            ) from None

    def status(self) -> str:
        """Return what `status` says, on one line."""
        return " ".join(self.daemon.command("status", check=False).stdout.split())


def _disk(folder: Path) -> Path:
    image = folder / "disk"
    with image.open("wb") as file:
        file.truncate(DISK * 1024 * 1024)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    return image


@pytest.fixture(scope="module")
def host() -> Iterator[PrivateHost]:
    with private_host() as made:
        yield made


@pytest.fixture
def world(host: PrivateHost, tmp_path: Path) -> Iterator[World]:
    with a_world(host, tmp_path) as made:
        yield made


@contextmanager
def a_world(host: PrivateHost, folder: Path) -> Iterator[World]:
    engine = Engine(f"unix://{host.folder}/docker.sock")
    made = World(host, engine, folder)
    try:
        yield made
    finally:
        engine.close()
        host.daemons.remove(made.daemon)
        assert made.daemon.clean() == []


def test_an_engine_that_is_stopped_and_started_under_load(world: World) -> None:
    world.daemon.start()
    world.scale(10)
    world.wait(lambda: world.running() >= 3, "some of the pods")
    world.host.stop_engine()
    world.wait(lambda: said(world.daemon, "docker.events.lost"), "the loss to be told")
    world.scale(12)
    world.wait(lambda: "Docker does not answer" in world.status(), "the reason")
    world.host.start_engine()
    world.settled(12)


def test_containers_that_are_removed_in_every_phase(world: World) -> None:
    world.daemon.start()
    with saboteur(world) as seen:
        world.scale(8)
        world.wait(
            lambda: {"created", "running", "exited"} <= {phase for phase, _ in seen}, "all", 60
        )
    assert {sandbox for _, sandbox in seen} == {True, False}
    world.settled(8)


@contextmanager
def saboteur(world: World) -> Iterator[set[tuple[str, bool]]]:
    """Remove containers as they come, the same pod's kind of container once in each phase."""
    ended, seen, done = threading.Event(), set[tuple[str, bool]](), Counter[tuple[str, str]]()

    def sabotage() -> None:
        api = docker.APIClient(base_url=f"unix://{world.host.folder}/docker.sock", timeout=20)
        labels = ["io.kubernetes.docker.type"]
        while not ended.is_set():
            for each in api.containers(all=True, filters={"label": labels}):
                phase, kind = each["State"], each["Labels"]["io.kubernetes.docker.type"]
                if phase == "running" and done["kill", kind] < 3:
                    done["kill", kind] += 1
                    _quietly(api.kill, each["Id"])
                elif done[phase, kind] < 3:
                    done[phase, kind] += 1
                    if _quietly(api.remove_container, each["Id"], force=True):
                        seen.add((phase, kind == "podsandbox"))
        api.close()

    thread = threading.Thread(target=sabotage)
    thread.start()
    try:
        yield seen
    finally:
        ended.set()
        thread.join(30)


def _quietly(call: object, *arguments: object, **options: object) -> bool:
    try:
        call(*arguments, **options)  # type: ignore[operator]
    except docker.errors.APIError:
        return False
    return True


def test_an_image_that_is_deleted_under_its_pods(world: World) -> None:
    world.scale(2, policy="Never")
    world.daemon.start()
    world.settled(2)
    world.host.run("docker", "tag", BUSYBOX, "kept:1")
    world.host.run("docker", "image", "rm", "--force", BUSYBOX)
    victim = victim_of(world)
    world.engine.remove(victim)
    world.wait(lambda: "ErrImageNeverPull" in world.status(), "the reason")
    world.host.run("docker", "tag", "kept:1", BUSYBOX)
    world.settled(2)


def victim_of(world: World) -> Container:
    return next(iter(world.engine.running("app", "test").values()))


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    with private_host(disk=_disk(tmp_path)) as host, a_world(host, tmp_path) as world:
        world.scale(2)
        world.daemon.start()
        world.settled(2)
        before = {one.id for one in world.engine.containers("test")}
        filler = f"{host.folder}/data/filler"
        host.answers("dd", "if=/dev/zero", f"of={filler}", "bs=64k")
        world.scale(5)
        world.wait(lambda: "no space left" in world.status(), "the reason")
        assert before <= {one.id for one in world.engine.containers("test") if one.running}
        host.run("rm", filler)
        world.settled(5)
        assert before <= {one.id for one in world.engine.containers("test")}


@pytest.mark.parametrize(
    ("mode", "kind", "words"),
    [
        ("failing", RuntimeFailure, WORDS),
        ("silent", RuntimeUnavailable, "Docker does not answer"),
    ],
)
async def test_no_call_waits_for_an_engine_that_hangs(
    tmp_path: Path, mode: Mode, kind: type[RuntimeFailure], words: str
) -> None:
    door = tmp_path / "door.sock"
    with EngineProxy(door, tmp_path / "nobody.sock") as proxy:
        proxy.turn(mode)
        runtime = DockerRuntime(door, timeout=1)
        calls = [
            runtime.list(),
            runtime.inspect("x"),
            runtime.image("x"),
            runtime.start("x"),
            runtime.signal("x", "SIGTERM"),
            runtime.remove("x"),
            runtime.exec("x", ("true",), 1),
            runtime.version(),
        ]
        failures = await asyncio.gather(*calls, return_exceptions=True)
        await runtime.close()
    assert [type(failure) for failure in failures] == [kind] * len(calls)
    assert all(words in str(failure) for failure in failures), failures


@pytest.mark.parametrize("mode", ["failing", "silent"])
def test_an_engine_that_answers_with_failures_or_not_at_all(world: World, mode: str) -> None:
    door = world.host.folder / "door.sock"
    with EngineProxy(door, world.host.folder / "docker.sock") as proxy:
        world.daemon.start("--docker-socket", str(door))
        world.scale(8)
        world.wait(lambda: world.running() >= 2, "some of the pods")
        proxy.turn(mode)  # type: ignore[arg-type]
        world.scale(10)
        if mode == "failing":
            world.wait(lambda: WORDS in world.status(), "the reason")
        else:  # the reason comes with the end of a call's minute: see the test before
            world.wait(lambda: said(world.daemon, "docker.events.lost"), "the loss to be told")
        proxy.turn("open")
        world.settled(10)
        assert world.daemon.clean() == []


def said(daemon: Daemon, event: str) -> bool:
    return any(line["event"] == event for line in daemon.events())
