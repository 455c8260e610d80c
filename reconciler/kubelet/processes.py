"""The kernel's word that a process has ended, by pidfd: a millisecond after, before the engine's.

Called by `deathwatch.py`. The processes are those of the daemon's own PID namespace, which the
kubelet shares with its host.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Protocol

Unwatch = Callable[[], None]


class Processes(Protocol):
    """Where processes are watched; `PidFds` is the real one."""

    def watch(self, pid: int, ended: Callable[[], None]) -> Unwatch:
        """Call `ended` once, on the event loop, when the process is dead.

        Returns what ends the watch. Raises `OSError` when there is no such process (any more), or
        the kernel (before Linux 5.3) does not tell.
        """
        ...


class PidFds:
    """The processes of this host: one descriptor each, on the event loop."""

    def watch(self, pid: int, ended: Callable[[], None]) -> Unwatch:
        """See `Processes.watch`."""
        handle = os.pidfd_open(pid)
        loop = asyncio.get_running_loop()
        watching = True

        def unwatch() -> None:
            nonlocal watching
            if watching:
                watching = False
                loop.remove_reader(handle)
                os.close(handle)

        def fire() -> None:
            unwatch()
            ended()

        loop.add_reader(handle, fire)
        return unwatch
