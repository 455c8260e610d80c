"""A signal to process 1 of a container without the engine, which would start a program for it.

Called by `docker.py`, which leaves to the engine what cannot be done here. The process is one of
the daemon's own PID namespace, which the kubelet shares with its host; its control groups say whose
it is, so that a number which another process has by now hits nobody.
"""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

_UNSETTLED = timedelta(seconds=1)


def is_settled(started: datetime | None) -> bool:
    """Return whether a container's process 1 has had the time to ask for its signals.

    The kernel keeps from it what it has not asked for, so that one sent just after the start would
    be lost; the engine's own slowness spares most of those.
    """
    return started is not None and datetime.now(UTC) - started > _UNSETTLED


def deliver(pid: int, container: str, name: str) -> bool:
    """Send the signal `name` ("SIGTERM") to `pid` if that is a process of the container's.

    `container` is its whole id. False when nothing was sent: there is no such process or signal, or
    the kernel refuses.
    """
    number = signal.Signals.__members__.get(name)
    if pid <= 0 or number is None:
        return False
    try:
        process = os.pidfd_open(pid)  # from here on one process, whatever becomes of its number
    except OSError:
        return False
    try:
        if container not in Path(f"/proc/{pid}/cgroup").read_text():
            return False
        signal.pidfd_send_signal(process, number)
    except OSError:
        return False
    finally:
        os.close(process)
    return True
