"""Imports that a small process does without. The command line calls it before the daemon starts.

structlog loads rich, and rich loads Pygments and attrs, for tracebacks in a terminal: 5 MB of a
daemon that writes JSON lines. requests, under the Docker SDK, loads charset_normalizer to guess the
encoding of answers that do not say it: 3 MB, and Docker always says it. Both work without.
"""

from __future__ import annotations

import ctypes
import importlib
import sys
import warnings


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


_M_ARENA_MAX = -8  # malloc.h
