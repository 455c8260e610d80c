"""A deterministic event loop: virtual time, a seeded order of what is ready, no thread, no socket.

Time passes only when nothing is ready. What would run on a thread runs on the loop after a drawn
delay. Every task belongs to a process of the simulated world; when that is killed, none of its
callbacks runs ever again, not even a `finally`: what kill -9 does.
"""

from __future__ import annotations

import asyncio
import gc
import heapq
import itertools
import sys
import warnings
from collections.abc import Callable
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from random import Random
from typing import Any
from weakref import WeakSet

PROCESS: ContextVar[Process | None] = ContextVar("process", default=None)
PART: ContextVar[str] = ContextVar("part", default="")

_CANCELLED_MANY = 256
_AT_ONCE = 20_000
"""More steps than are ever taken without time passing: a program that spins ends there."""


class Stuck(Exception):
    """Nothing is ready and nothing will ever be: the driver of the history waits in vain."""


class Process:
    """A process of the simulated world; `alive` until it is killed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.alive = True
        self.context = copy_context()
        self.context.run(PROCESS.set, self)


class SimTask(asyncio.Task):  # type: ignore[type-arg]
    """A task whose hash is its number, so that sets of tasks have one order always."""

    _numbers = itertools.count()

    def __init__(self, coro: Any, *, loop: Any, name: str | None, context: Context | None) -> None:
        self.number = next(self._numbers)
        source = context if context is not None else copy_context()
        self.process: Process | None = source.get(PROCESS)
        super().__init__(coro, loop=loop, name=name or "task", context=source)

    def __hash__(self) -> int:
        return self.number


class SimLoop(asyncio.BaseEventLoop):
    """The loop. `disorder` is the share of steps at which another than the oldest ready runs.

    A program that spins is stopped after `limit` steps.
    """

    def __init__(
        self, random: Random, disorder: float, thread_delay: Callable[[], float], limit: int
    ) -> None:
        super().__init__()
        self._now = 0.0
        self._random = random
        self._disorder = disorder
        self._thread_delay = thread_delay
        self._dead: list[SimTask] = []
        self._tasks: WeakSet[SimTask] = WeakSet()
        # asyncio's own set holds every history's, for nothing is collected meanwhile
        self._alarm: tuple[int, Callable[[], None]] | None = None
        self.steps = 0
        self._instant = 0
        self.limit = limit
        self.faults: list[str] = []
        self.set_task_factory(_make_task)
        self.set_exception_handler(self._failed)

    def time(self) -> float:
        return self._now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> asyncio.Future[Any]:
        future = self.create_future()
        self.call_later(self._thread_delay(), _run_job, future, func, args)
        return future

    def after_steps(self, count: int, callback: Callable[[], None] | None) -> None:
        """Call back between two steps when `count` more were taken; the last request holds."""
        self._alarm = (self.steps + count, callback) if callback is not None else None

    def kill(self, process: Process) -> None:
        """Let nothing of the process run again; its tasks are held, so that none is finalized."""
        process.alive = False
        self._dead += [task for task in self._living() if task.process is process]

    def _living(self) -> list[SimTask]:
        return [task for task in self._tasks if not task.done()]

    def bury(self) -> None:
        """Let go of all tasks at the end of a history; what they say of it interests nobody."""
        hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
        tasks = (*self._dead, *self._living())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for task in tasks:
                task._log_destroy_pending = False  # type: ignore[attr-defined]
                with suppress(BaseException):
                    task.get_coro().close()  # type: ignore[union-attr]
            self._dead.clear()
            self._ready.clear()
            self._scheduled.clear()
            del tasks
            gc.collect(1)
        self.close()
        sys.unraisablehook = hook

    def _write_to_self(self) -> None:
        return

    def _run_once(self) -> None:  # type: ignore[misc]
        if self._timer_cancelled_count > _CANCELLED_MANY:
            self._drop_cancelled()  # makes another list
        ready, scheduled = self._ready, self._scheduled
        while not ready:
            if not scheduled:
                raise Stuck(f"at {self._now:.3f} s")
            self._advance()
        while scheduled and scheduled[0]._when <= self._now:
            self._advance()
        if self._disorder and len(ready) > 1 and self._random.random() < self._disorder:
            ready.rotate(-self._random.randrange(len(ready)))
        handle = ready.popleft()
        if handle._cancelled:
            return
        process = handle._context.get(PROCESS)
        if process is not None and not process.alive:
            return
        self.steps += 1
        handle._run()
        if self.steps > self.limit or self.steps - self._instant > _AT_ONCE:
            raise Stuck(f"{self.steps} steps were taken by {self._now:.3f} s")
        if self._alarm is not None and self.steps >= self._alarm[0]:
            (_, callback), self._alarm = self._alarm, None
            callback()

    def _advance(self) -> None:
        """Take the earliest timer, and time up to it."""
        handle = heapq.heappop(self._scheduled)
        handle._scheduled = False
        if handle._cancelled:
            self._timer_cancelled_count -= 1
            return
        if handle._when > self._now:
            self._now, self._instant = handle._when, self.steps
        self._ready.append(handle)

    def _drop_cancelled(self) -> None:
        kept = [handle for handle in self._scheduled if not handle._cancelled]
        for handle in self._scheduled:
            handle._scheduled = handle._scheduled and not handle._cancelled
        heapq.heapify(kept)
        self._scheduled = kept
        self._timer_cancelled_count = 0

    def _failed(self, _loop: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.faults.append(f"{context['message']}: {error!r}")


def _make_task(loop: SimLoop, coro: Any, *, context: Context | None = None) -> SimTask:
    task = SimTask(coro, loop=loop, name=None, context=context)
    loop._tasks.add(task)
    return task


def _run_job(future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Do what a thread would have done; nobody may be waiting for it any more."""
    try:
        result = func(*args)
    except BaseException as error:  # noqa: BLE001 - it is raised where the call was made
        if not future.done():
            future.set_exception(error)
        return
    if not future.done():
        future.set_result(result)
