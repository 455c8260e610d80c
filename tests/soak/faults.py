"""What breaks a real world: each fault by its name, given the world and a seeded choice."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping
from random import Random

import docker

from tests.soak.world import NAMESPACE, World

Fault = Callable[[World, Random], None]


def kill_container(world: World, random: Random) -> None:
    """A program dies."""
    _one(world, random, world.engine.api.kill)


def remove_container(world: World, random: Random) -> None:
    """Somebody runs `docker rm -f`, on a container or on a sandbox."""
    _one(world, random, lambda each: world.engine.api.remove_container(each, force=True))


def pause_container(world: World, random: Random) -> None:
    """Somebody pauses a container for a while."""

    def pause(each: str) -> None:
        world.engine.api.pause(each)
        time.sleep(1)
        world.engine.api.unpause(each)

    _one(world, random, pause)


def restart_engine(world: World, random: Random) -> None:
    """The engine is restarted in order; its containers end."""
    world.host.stop_engine()
    time.sleep(random.random())
    world.host.start_engine()


def kill_engine(world: World, random: Random) -> None:
    """The engine is killed with -9, in the middle of something half of the time."""
    if random.random() < 0.5:
        remove_container(world, random)
        time.sleep(random.random() / 2)
    world.host.kill_engine()
    world.host.start_engine()


def freeze_engine(world: World, random: Random) -> None:
    """The engine hangs for some seconds."""
    assert world.host.engine is not None
    world.host.engine.send_signal(signal.SIGSTOP)
    time.sleep(1 + 3 * random.random())
    world.host.engine.send_signal(signal.SIGCONT)


def fill_disk(world: World, random: Random) -> None:
    """The engine's disk is full for some seconds while a container has to be made."""
    filler = f"{world.host.folder}/data/filler"
    world.host.answers("dd", "if=/dev/zero", f"of={filler}", "bs=256k")
    remove_container(world, random)
    time.sleep(2 * random.random())
    world.host.run("rm", filler)


def kill_daemon(world: World, random: Random) -> None:
    """The daemon is killed in the middle of something."""
    if random.random() < 0.5:
        remove_container(world, random)
        time.sleep(random.random() / 2)
    world.daemon.kill()
    world.daemon.start()


def fight_with_kubectl(world: World, random: Random) -> None:
    """Somebody scales, relabels and deletes what Git declares."""
    replicas = f"--replicas={random.randrange(8)}"
    world.kubectl("scale", "rc/app", replicas)
    world.kubectl("label", "rc/app", f"by=hand-{random.randrange(9)}", "--overwrite")
    world.kubectl("delete", "pod", "--all", "--wait=false")


def rescale(world: World, random: Random) -> None:
    """A commit asks for another number of pods."""
    world.replicas = random.randrange(1, 7)
    world.commit()


def bad_commit(world: World, random: Random) -> None:
    """A bad commit among good ones."""
    world.commit(f"apiVersion: v1\nkind: Pod\nmetadata: {{name: {random.randrange(9)}}}\nspec: [\n")
    time.sleep(random.random())
    world.commit()


FAULTS: Mapping[str, Fault] = {
    fault.__name__: fault
    for fault in (
        kill_container, remove_container, pause_container, restart_engine,
        kill_engine, freeze_engine, fill_disk, kill_daemon, fight_with_kubectl, rescale, bad_commit,
    )
}  # fmt: skip
GENTLE = ("kill_container", "remove_container", "fight_with_kubectl", "rescale", "bad_commit")
"""Faults that leave the daemon and the engine alone, so that its growth can be seen."""


def _one(world: World, random: Random, act: Callable[[str], None]) -> None:
    found = [each for each in world.containers() if each.running and each.namespace == NAMESPACE]
    if not found:
        return
    try:
        act(random.choice(found).id)
    except docker.errors.APIError:
        return  # it ended by itself meanwhile
