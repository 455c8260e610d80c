"""Randomness for jitter and choices, never for secrets: from the operating system, or from a seed.

Parts that draw take a generator here when nobody gives them one. `seeded` makes every generator
that is made inside it, and in the tasks started there, a child of one seed: that is how a
simulation gives the same history each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from random import Random

_parent: ContextVar[Random | None] = ContextVar("chance", default=None)


def chance() -> Random:
    """Return a generator of its own for the caller."""
    parent = _parent.get()
    return Random(parent.getrandbits(64) if parent is not None else None)  # noqa: S311 - jitter


@contextmanager
def seeded(parent: Random) -> Iterator[None]:
    """Let `chance` draw seeds from `parent` in this context."""
    token = _parent.set(parent)
    try:
        yield
    finally:
        _parent.reset(token)
