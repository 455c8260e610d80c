"""Plays one history from its seed to its verdict. The same history always gives the same trace."""

from __future__ import annotations

import contextvars
import gc
import itertools
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import structlog

from tests.sim.driver import Driver
from tests.sim.history import History
from tests.sim.loop import SimLoop, SimTask, Stuck
from tests.sim.world import World

_STEPS = 500_000
"""More steps than any history takes: a loop that spins without time passing ends there."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a history ended: the law that it broke, or ""; its trace, and what misfortune it met."""

    history: History
    broken: str
    digest: int
    steps: int
    seconds: float
    trace: tuple[str, ...]
    met: frozenset[str]


Course = Callable[[World], Coroutine[Any, Any, None]]


async def _lived(world: World) -> None:
    await Driver(world).run()


def play(history: History, *, keep_trace: bool = False, course: Course = _lived) -> Verdict:
    """Live through a history in a world of its own; another `course` may be taken in that."""
    folder = Path(tempfile.mkdtemp(prefix="reconciler-sim-", dir=_memory()))
    collecting, logging = gc.isenabled(), structlog.get_config()
    gc.disable()
    try:
        verdict, loop = contextvars.copy_context().run(_play, history, folder, keep_trace, course)
        loop.bury(collect=collecting)
        return verdict
    finally:
        if collecting:
            gc.enable()
        structlog.configure(**logging)
        shutil.rmtree(folder, ignore_errors=True)


def _play(
    history: History, folder: Path, keep_trace: bool, course: Course
) -> tuple[Verdict, SimLoop]:
    SimTask._numbers = itertools.count()
    threads = Random(f"{history.seed} threads")
    loop = SimLoop(
        Random(f"{history.seed} order"), history.disorder, lambda: threads.expovariate(1000), _STEPS
    )
    world = World(history, loop, folder, keep_trace=keep_trace)
    structlog.configure(processors=[_listener(world)], cache_logger_on_first_use=False)
    driver = loop.create_task(course(world), context=world.context)
    driver.add_done_callback(lambda _done: loop.stop())
    try:
        loop.run_forever()
        if not world.broken and driver.exception() is not None:
            raise driver.exception()
    except Stuck as error:
        world.broken = f"stuck {error}"
    broken = world.broken or next(iter(loop.faults), "")
    verdict = Verdict(
        history,
        broken,
        world.trace.digest,
        loop.steps,
        loop.time(),
        tuple(world.trace.lines),
        frozenset(world.met),
    )
    return verdict, loop


def _listener(world: World) -> Any:
    """Return the end of every log line: the laws look at it, and the trace."""

    def listen(_logger: Any, level: str, event: dict[str, Any]) -> str:
        unexpected = event.pop("exc_info", None)
        line = f"{level} {event.pop('component', '')} {event.pop('event')} {event}"
        world.laws.told(line)
        world.trace.aside(line)
        if unexpected:
            text = traceback.format_exc()
            world.laws.told(text)
            world.trace.aside(text)
            world.stop_broken(f"no loop meets an unexpected error: {line} {sys.exc_info()[1]!r}")
        raise structlog.DropEvent

    return listen


def sweep() -> None:
    """Clear away what many histories left, which the program froze as if it were to stay."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _memory() -> str | None:
    """Return where files cost least."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 - a folder of our own in it
