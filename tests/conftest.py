"""Fixtures that every test may use: a virtual-time event loop and a settable wall clock."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import settings

# How long an example takes says how busy the machine is: benchmarks measure time, tests do not.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


class VirtualSelector(selectors.SelectSelector):
    """Never waits: a wait for a timer moves the loop's clock on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.skipped = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            return super().select(None)
        self.skipped += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when every task waits for it.

    Threads are outside its time: a test that uses them runs on the ordinary loop.
    """

    def __init__(self) -> None:
        self._virtual = VirtualSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.skipped


class VirtualClock:
    """A `Clock` on the virtual loop; wall time starts at a fixed instant and follows the loop."""

    START = datetime(2026, 1, 1, tzinfo=UTC)

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.jump = timedelta()

    def now(self) -> datetime:
        return self.START + self.jump + timedelta(seconds=self._loop.time())

    def monotonic(self) -> float:
        return self._loop.time()


@pytest.fixture
def virtual() -> Iterator[VirtualLoop]:
    """A virtual loop for `virtual.run_until_complete(...)`; leftover tasks fail the test."""
    loop = VirtualLoop()
    yield loop
    leaked = [task for task in asyncio.all_tasks(loop) if not task.done()]
    loop.run_until_complete(_end(leaked))
    loop.close()
    assert not leaked, f"tasks left running: {leaked}"


async def _end(tasks: list[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
def clock(virtual: VirtualLoop) -> VirtualClock:
    return VirtualClock(virtual)
