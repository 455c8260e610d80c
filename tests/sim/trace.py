"""The time that hosts see, and what happened at which time. Made by `world.py`."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta

from tests.sim.loop import SimLoop

_START = datetime(2026, 1, 1, tzinfo=UTC)


class WallClock:
    """The hosts' wall clock: it follows virtual time, and jumps."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop
        self.jumped = timedelta()
        self._asked: tuple[float, timedelta] | None = None
        self._told = _START

    def now(self) -> datetime:
        asked = (self._loop.time(), self.jumped)
        if asked != self._asked:  # many ask within one moment
            self._asked, self._told = asked, _START + self.jumped + timedelta(seconds=asked[0])
        return self._told

    def monotonic(self) -> float:
        return self._loop.time()


class Trace:
    """What happened, as a number that is equal for equal histories; as text when `kept`."""

    def __init__(self, loop: SimLoop, *, kept: bool) -> None:
        self._loop, self._kept = loop, kept
        self.lines: list[str] = []
        self.digest = 0

    def note(self, text: str) -> None:
        line = f"{self._loop.time():10.4f} {text}"
        self.digest = zlib.crc32(line.encode(), self.digest)
        if self._kept:
            self.lines.append(line)

    def aside(self, text: str) -> None:
        """Note what explains, and is part of no comparison."""
        if self._kept:
            self.lines.append(f"{self._loop.time():10.4f}   {text}")
