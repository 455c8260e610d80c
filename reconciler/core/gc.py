"""The garbage collector while very many objects that will stay are made.

Called around bulk loads, of which the daemon's own modules are the first. Going through the young
objects again and again would cost more than making them, and a full collection afterwards would
stop the program for a third of a second.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

THRESHOLD = 50_000


def tune() -> None:
    """Collect young objects a good deal less often; called once, as the program starts."""
    gc.set_threshold(THRESHOLD, 20, 50)


@contextmanager
def bulk_load() -> Iterator[None]:
    """Make no collection within, and leave out of later ones what is alive at the end."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()
