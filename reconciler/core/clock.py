"""Time, injected. Everybody asks a `Clock`; nobody calls `time` or `datetime.now` directly.

Waiting is `asyncio.sleep`, because the event loop owns monotonic time: a test that runs on a
virtual-time loop needs no other seam. Wall time is a seam of its own, because it may jump.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Where the program reads the time."""

    def now(self) -> datetime:
        """Wall time, timezone-aware UTC. It may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary point, never backwards; the event loop's own time."""
        ...


class SystemClock:
    """The host's clock."""

    def now(self) -> datetime:
        """Return the host's wall time in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return the running event loop's time, or the host's monotonic clock outside a loop."""
        try:
            return asyncio.get_running_loop().time()
        except RuntimeError:
            return time.monotonic()
