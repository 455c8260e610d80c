"""Reaps what a killed engine leaves. Entered by `world.py`.

An engine that is killed with -9 takes its containerd along, whose parent then is PID 1, or the
nearest process that asked for orphans. Until that reaps it, containerd counts as running, and the
next engine waits for its end in vain: so this process asks, and reaps.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
_ORPHANS = ("containerd", "runc", "docker-init")
"""How the names begin of what is reaped; whatever this process started itself, it waits for."""

_EVERY = 0.1


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Be the parent of what engines leave behind, and reap it as it ends."""
    _ask_for_orphans(1)
    over = threading.Event()
    thread = threading.Thread(target=_reap_until, args=(over,), name="reaper", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        _ask_for_orphans(0)


def _ask_for_orphans(whether: int) -> None:
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, whether, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _reap_until(over: threading.Event) -> None:
    while not over.wait(_EVERY):
        for child in _children():
            with suppress(ChildProcessError):
                os.waitpid(child, os.WNOHANG)


def _children() -> Iterator[int]:
    """Yield the orphans that are our children now."""
    for tasks in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            for child in tasks.read_text().split():
                if Path("/proc", child, "comm").read_text().startswith(_ORPHANS):
                    yield int(child)
