"""Threads for calls that block, which never hold up the end of the program.

Used by `docker.py`. The standard library's pools are joined at exit: one call that hangs in the
engine would keep a stopped daemon alive. Here a call that is not over by then is abandoned. An
answer goes straight to the event loop's future, for a future of each kind costs as much again.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple, TypeVar

T = TypeVar("T")


class _Job(NamedTuple):
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    function: Callable[[], Any]


class DaemonThreads:
    """At most `size` threads, made when needed, that run calls in order of arrival."""

    def __init__(self, size: int, name: str) -> None:
        self._size, self._name = size, name
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads = 0

    async def run(self, function: Callable[[], T]) -> T:
        """Run `function` on a thread; return what it returns, raise what it raises."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(loop, future, function))
        if not self._idle.acquire(blocking=False) and self._threads < self._size:
            self._threads += 1
            name = f"{self._name}-{self._threads}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        return await future

    def close(self) -> None:
        """Let the threads end after their present call."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            deliver = _outcome(job)
            loop = job.loop
            del job
            # Before the answer: who calls again after it finds this thread idle.
            self._idle.release()
            _answer(loop, deliver)
            del deliver


def _outcome(job: _Job) -> Callable[[], None]:
    """Call the function; return what delivers its result or failure, on the loop's thread."""
    if job.future.cancelled():
        return _nobody_waits
    try:
        return partial(_settle, job.future, job.future.set_result, job.function())
    except BaseException as error:  # noqa: BLE001 - it is raised where the call was made
        return partial(_settle, job.future, job.future.set_exception, error)


def _settle(future: asyncio.Future[Any], settle: Callable[[Any], None], outcome: Any) -> None:
    if not future.done():
        settle(outcome)


def _nobody_waits() -> None:
    """Deliver to nobody."""


def _answer(loop: asyncio.AbstractEventLoop, deliver: Callable[[], None]) -> None:
    """The event loop may have ended meanwhile; then nobody wants the answer."""
    try:
        loop.call_soon_threadsafe(deliver)
    except RuntimeError:
        return
