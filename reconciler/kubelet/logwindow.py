"""The part of a log that a query asks for in bytes. Pure. Used by `streams.py`."""

from __future__ import annotations


class Window:
    """Lets through at most `limit` bytes; None for all."""

    def __init__(self, limit: int | None) -> None:
        self._left = limit

    @property
    def full(self) -> bool:
        """Whether nothing more gets through."""
        return self._left is not None and self._left <= 0

    def take(self, data: bytes) -> bytes:
        """Return the part of `data` that still fits."""
        if self._left is None:
            return data
        taken = data[: self._left]
        self._left -= len(taken)
        return taken
