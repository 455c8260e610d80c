"""What keeps the process small: imports that it does without, and memory that is given back.

The command line calls it before the daemon starts; the composition root runs `give_back`.

structlog loads rich, and rich loads Pygments and attrs, for tracebacks in a terminal: 5 MB of a
daemon that writes JSON lines. requests, under the Docker SDK, loads charset_normalizer to guess the
encoding of answers that do not say it: 3 MB, and Docker always says it. Both work without.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import sys
import warnings

from reconciler.core.libraries import Libraries


def import_without(module: str, unwanted: str) -> None:
    """Import `module` as on a machine where `unwanted` is not installed.

    Later imports of `unwanted` work as usual; does nothing when one of them is imported already.
    """
    if module in sys.modules or unwanted in sys.modules:
        return
    # Python's own mark of a module that is not there.
    sys.modules[unwanted] = None  # type: ignore[assignment]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # requests complains of what is left out
            importlib.import_module(module)
    finally:
        del sys.modules[unwanted]


def share_one_heap() -> None:
    """Let all threads allocate from one heap, where glibc would give several to each core.

    The interpreter's lock lets one thread allocate at a time anyway, and what each heap of its own
    keeps free is lost to the others. To be called before the first thread starts; does nothing
    under another C library.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


async def give_back() -> None:
    """Return to the kernel what the process holds and does not use; runs until cancelled.

    Once when the start is over, and then every minute: what a burst of work touched is not needed
    after it, either.
    """
    libraries, wait = Libraries(), _START_IS_OVER
    while True:
        await asyncio.sleep(wait)
        trim_heap()
        libraries.unmap_pages()
        wait = _GIVE_BACK_EVERY


def trim_heap() -> None:
    """Return what is free within the heap.

    glibc does so by itself at the heap's end alone, where something lasting always lies: a daemon
    whose pods came and went for a quarter of an hour kept 25 MB that nobody used. Does nothing
    under another C library.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


_START_IS_OVER = 10.0
_GIVE_BACK_EVERY = 60.0
_M_ARENA_MAX = -8  # malloc.h
