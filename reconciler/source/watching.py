"""Watches of places on this host, as many as there are sources. Called by the adapters.

Each watch holds a thread of anyio's for as long as it lasts, of which there are 40 by default: a
source more would wait for ever, and nobody would know.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio.to_thread
import watchfiles

_THREADS = 512
"""More than the kernel allows watches of one user by default (128 inotify instances)."""


async def watch(*places: Path, step: float, debounce: float) -> AsyncIterator[set[str]]:
    """Yield the paths that changed below `places`, for ever; `step` and `debounce` are seconds.

    Raises `FileNotFoundError` when a place is not there, `OSError` when the kernel allows no more
    watches.
    """
    limiter = anyio.to_thread.current_default_thread_limiter()
    limiter.total_tokens = max(limiter.total_tokens, _THREADS)
    async for changes in watchfiles.awatch(
        *places,
        watch_filter=None,
        step=int(step * 1000),
        debounce=int(debounce * 1000),
        rust_timeout=60_000,
    ):
        yield {path for _, path in changes}
