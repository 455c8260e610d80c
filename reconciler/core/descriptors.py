"""How many files and connections the process may have open. Called once, as the program starts."""

from __future__ import annotations

import resource


def allow_many() -> int:
    """Raise the soft limit to the hard one, as programs in Go do; return how many that is.

    Service managers keep the soft limit at 1024 for the sake of `select`, which nothing here uses.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard
