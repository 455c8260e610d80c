"""Threads for calls that block, which never hold up the end of the program.

Used by `docker.py`. The standard library's pools are joined at exit: one call that hangs in the
engine would keep a stopped daemon alive. Here a call that is not over by then is abandoned.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple["Future[Any]", Callable[[], Any]]


class DaemonThreads:
    """At most `size` threads, made when needed, that run calls in order of arrival."""

    def __init__(self, size: int, name: str) -> None:
        self._size, self._name = size, name
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._idle = threading.Semaphore(0)
        self._threads = 0

    async def run(self, function: Callable[[], T]) -> T:
        """Run `function` on a thread; return what it returns, raise what it raises."""
        future: Future[T] = Future()
        self._jobs.put((future, function))
        if not self._idle.acquire(blocking=False) and self._threads < self._size:
            self._threads += 1
            name = f"{self._name}-{self._threads}"
            threading.Thread(target=self._work, name=name, daemon=True).start()
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Let the threads end after their present call."""
        for _ in range(self._threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            deliver = _outcome(*job)
            del job
            # Before the answer: who calls again after it finds this thread idle.
            self._idle.release()
            _answer(deliver)
            del deliver


def _outcome(future: Future[Any], function: Callable[[], Any]) -> Callable[[], None]:
    """Call the function; return what delivers its result or failure."""
    if not future.set_running_or_notify_cancel():
        return _nobody_waits
    try:
        return partial(future.set_result, function())
    except BaseException as error:  # noqa: BLE001 - it is raised where the call was made
        return partial(future.set_exception, error)


def _nobody_waits() -> None:
    """Deliver to nobody."""


def _answer(deliver: Callable[[], None]) -> None:
    """The event loop may have ended meanwhile; then nobody wants the answer."""
    try:
        deliver()
    except RuntimeError:
        return
