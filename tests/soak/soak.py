"""Faults one after the other on a real world for a time, then a look at what has grown."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from random import Random

from tests.soak.faults import FAULTS, GENTLE
from tests.soak.world import Sample, World, a_world

_STORE_BOUND, _MORE_STORE = 64 * 1024 * 1024, 16 * 1024 * 1024  # the history may fill meanwhile
_MORE_MEMORY, _MORE_DESCRIPTORS, _MORE_THREADS, _MORE_TASKS = 8 * 1024 * 1024, 12, 6, 40

Say = Callable[[str], None]


def soak(folder: Path, seconds: float, seed: int, say: Say) -> None:
    """Break the world for `seconds`; raises `AssertionError` with what does not hold."""
    random = Random(seed)
    with a_world(folder) as world:
        hard = time.monotonic() + seconds * 2 / 3
        order = list(FAULTS)
        random.shuffle(order)
        while time.monotonic() < hard:
            _strike(world, random, order.pop() if order else random.choice(list(FAULTS)), say)
        _grows_not(world, random, seconds / 3, say)


def _grows_not(world: World, random: Random, seconds: float, say: Say) -> None:
    """Go on without restarts, and compare what the daemon holds at both ends."""
    for name in GENTLE:  # what the first use of each costs is no growth
        _strike(world, random, name, say)
    before, end = world.sample(), time.monotonic() + seconds
    while time.monotonic() < end:
        _strike(world, random, random.choice(GENTLE), say)
    after = world.sample()
    say(f"before {before}\nafter  {after}")
    assert _more(before, after) == []


def _more(before: Sample, after: Sample) -> list[str]:
    """Return what has grown beyond what chance explains."""
    found = []
    if after.memory > before.memory + _MORE_MEMORY:
        found.append(f"memory: {before.memory} to {after.memory}")
    if after.descriptors > before.descriptors + _MORE_DESCRIPTORS:
        found.append(f"descriptors: {before.descriptors} to {after.descriptors}")
    if after.threads > before.threads + _MORE_THREADS:
        found.append(f"threads: {before.threads} to {after.threads}")
    if after.tasks > before.tasks + _MORE_TASKS:
        found.append(f"tasks: {before.tasks} to {after.tasks}")
    if after.store > min(_STORE_BOUND, before.store + _MORE_STORE):
        found.append(f"the store: {before.store} to {after.store} bytes")
    return found


def _strike(world: World, random: Random, name: str, say: Say) -> None:
    FAULTS[name](world, random)
    try:
        took = world.settle()
    except AssertionError as error:
        raise AssertionError(f"after {name}: {error}") from error
    say(f"{name:20} whole again after {took:.1f} s")
