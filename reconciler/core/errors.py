"""What a reconcile may raise. Only the work queue's runtime interprets these."""

from __future__ import annotations


class ReconcilerError(Exception):
    """Base of every error that this program raises on purpose."""


class Retryable(ReconcilerError):
    """The world may heal by itself: try the key again, with back-off.

    `after` is the wait in seconds when the cause knows it (a Retry-After, a lock's age).
    """

    def __init__(self, message: str, *, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Terminal(ReconcilerError):
    """Trying again without a change of input is useless: log, then wait for the next event."""
