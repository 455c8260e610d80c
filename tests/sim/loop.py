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
from weakref import ref

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


class Call:
    """Something that is to be called; stands for both of asyncio's handles."""

    __slots__ = ("args", "callback", "context", "loop", "over", "timed")

    def __init__(
        self, loop: SimLoop, callback: Callable[..., Any], args: Any, context: Context | None
    ) -> None:
        self.loop, self.callback, self.args = loop, callback, args
        self.context = copy_context() if context is None else context
        self.timed = self.over = False

    def __lt__(self, _other: object) -> bool:
        """Say that timers of one moment have no order but that in which the heap has them."""
        return False

    def cancel(self) -> None:
        """Let it never be called."""
        if not self.over:
            self.over = True
            self.loop._idle += self.timed
            self.callback, self.args = _nothing, ()

    def cancelled(self) -> bool:
        """Say whether it was cancelled."""
        return self.over


def _nothing() -> None:
    """Stands for what was cancelled."""


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
        self._tasks: list[ref[SimTask]] = []
        # asyncio's own set holds every history's, for nothing is collected meanwhile
        self._alarm: tuple[int, Callable[[], None]] | None = None
        self._timers: list[tuple[float, Call]] = []
        self._idle = 0  # timers that were cancelled
        self.steps = 0
        self._instant = 0
        self.limit = limit
        self.faults: list[str] = []
        self.set_task_factory(_make_task)
        self.set_exception_handler(self._failed)

    get_debug = staticmethod(bool)  # asked for each task and future; never, and without a frame

    def time(self) -> float:
        return self._now

    def call_soon(self, callback: Any, *args: Any, context: Context | None = None) -> Any:
        call = Call(self, callback, args, context)
        self._ready.append(call)
        return call

    call_soon_threadsafe = call_soon

    def call_at(
        self, when: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Any:
        call = Call(self, callback, args, context)
        call.timed = True
        heapq.heappush(self._timers, (when, call))
        return call

    def call_later(
        self, delay: float, callback: Any, *args: Any, context: Context | None = None
    ) -> Any:
        return self.call_at(self._now + delay, callback, *args, context=context)

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
        return [task for each in self._tasks if (task := each()) is not None and not task.done()]

    def bury(self, *, collect: bool) -> None:
        """Let go of all tasks at the end of a history; what they say of it interests nobody.

        Without `collect` some of it stays until the process ends.
        """
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
            self._timers.clear()
            del tasks
            if collect:
                gc.collect(1)
        self.close()
        sys.unraisablehook = hook

    def _write_to_self(self) -> None:
        return

    def _run_once(self) -> None:  # type: ignore[misc]
        """Run until somebody stops the loop: asyncio's own call for each step costs more."""
        ready, timers, random = self._ready, self._timers, self._random
        while not self._stopping:
            if not ready or (timers and timers[0][0] <= self._now) or self._idle > _CANCELLED_MANY:
                self._pass_time()
            if self._disorder and len(ready) > 1 and random.random() < self._disorder:
                ready.rotate(-random.randrange(len(ready)))
            call = ready.popleft()
            if call.over:
                continue
            process = call.context.get(PROCESS)
            if process is None or process.alive:
                self._step(call)

    def _step(self, call: Call) -> None:
        self.steps += 1
        try:
            call.context.run(call.callback, *call.args)
        except (SystemExit, KeyboardInterrupt):
            raise
        except BaseException as error:  # noqa: BLE001 - whoever listens is told, as by asyncio
            text = f"Exception in callback {call.callback!r}"
            self.call_exception_handler({"message": text, "exception": error})
        if self.steps > self.limit or self.steps - self._instant > _AT_ONCE:
            raise Stuck(f"{self.steps} steps were taken by {self._now:.3f} s")
        if self._alarm is not None and self.steps >= self._alarm[0]:
            (_, callback), self._alarm = self._alarm, None
            callback()

    def _pass_time(self) -> None:
        """Make ready what is due; where nothing is ready, let time pass until something is."""
        ready, timers = self._ready, self._timers
        if self._idle > _CANCELLED_MANY:
            timers[:] = [timer for timer in timers if not timer[1].over]
            heapq.heapify(timers)
            self._idle = 0
        while timers and (not ready or timers[0][0] <= self._now):
            when, call = heapq.heappop(timers)
            call.timed = False
            if call.over:
                self._idle -= 1
                continue
            if when > self._now:
                self._now, self._instant = when, self.steps
            ready.append(call)
        if not ready:
            raise Stuck(f"at {self._now:.3f} s")

    def _failed(self, _loop: Any, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.faults.append(f"{context['message']}: {error!r}")


def _make_task(loop: SimLoop, coro: Any, *, context: Context | None = None) -> SimTask:
    task = SimTask(coro, loop=loop, name=None, context=context)
    loop._tasks.append(ref(task))
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
