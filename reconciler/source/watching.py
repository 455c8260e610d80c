"""Watches of places on this host, as many as there are sources. Called by the adapters.

watchfiles' own asynchronous face is not used: it takes threads of anyio's, of which there are 40,
and a source more would wait for ever; and it loads all of anyio for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

from watchfiles._rust_notify import RustNotify

_POLL = 300
"""Milliseconds between two scans where the kernel has no inotify (watchfiles' default)."""


async def watch(*places: Path, step: float, debounce: float) -> AsyncIterator[set[str]]:
    """Yield the paths that changed below `places`, for ever.

    watchfiles looks every `step` seconds at what the kernel told it. A change is told when nothing
    more came for one step, or `debounce` seconds after it. Raises `FileNotFoundError` when a place
    is not there, `OSError` when the kernel allows no more watches.
    """
    loop, stop = asyncio.get_running_loop(), Event()
    executor = ThreadPoolExecutor(1, thread_name_prefix="watch")
    wait = int(debounce * 1000), int(step * 1000), 0, stop
    try:
        notify = await loop.run_in_executor(executor, _open, [str(place) for place in places])
        while True:
            told = await loop.run_in_executor(executor, notify.watch, *wait)
            if not isinstance(told, str):  # else it was told to stop
                yield {path for _, path in told}
    finally:
        stop.set()
        executor.shutdown(wait=False)


def _open(paths: list[str]) -> RustNotify:
    return RustNotify(
        paths,
        debug=False,
        force_polling=False,
        poll_delay_ms=_POLL,
        recursive=True,
        ignore_permission_denied=False,
    )
