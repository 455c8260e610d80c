"""Waits that share their moments, for many periodic things that need no exact one.

A loop that wakes up once for ten of them costs a tenth of one that wakes up for each: what is due
within the same tick is done in one go. Nothing ends early; it may end a tick late.
"""

from __future__ import annotations

import asyncio

# A probe's shortest period is a second: a twentieth of it is nothing, and 200 of them a second
# then wake the loop 20 times.
TICK = 0.05


class Ticks:
    """Moments of the running event loop's clock, rounded up to whole ticks."""

    def __init__(self) -> None:
        self._due: dict[int, list[asyncio.Future[None]]] = {}

    def until(self, moment: float) -> asyncio.Future[None]:
        """Return a future that is done when the loop's time is past `moment`."""
        loop, tick = asyncio.get_running_loop(), int(moment / TICK) + 1
        future = loop.create_future()
        due = self._due.get(tick)
        if due is None:
            due = self._due[tick] = []
            loop.call_at(tick * TICK, self._end, tick)
        due.append(future)
        return future

    def _end(self, tick: int) -> None:
        for future in self._due.pop(tick):
            if not future.done():
                future.set_result(None)
