"""The faults that wait for a call: each is armed at a time and taken by the first call it fits.

A point is a dotted name ("docker.create", "store.write"); a fault names one, or all below one by
an asterisk. What the effects mean is written where the calls are made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fault:
    """At the `skip`-th call (from 0) of `point` on `node` after it was armed, `effect` happens."""

    point: str
    effect: str
    node: int = 0
    skip: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class _Armed:
    fault: Fault
    left: int


class Faults:
    """Those that are armed now; `taken` is told of each that happens."""

    def __init__(self, taken: Callable[[Fault, str], None]) -> None:
        self._armed: list[_Armed] = []
        self._taken = taken

    def __len__(self) -> int:
        return len(self._armed)

    def arm(self, fault: Fault) -> None:
        self._armed.append(_Armed(fault, fault.skip))

    def clear(self) -> None:
        self._armed.clear()

    def take(self, point: str, node: int = 0) -> Fault | None:
        """Return the fault that this call suffers, if any."""
        if not self._armed:
            return None
        for armed in self._armed:
            fault = armed.fault
            if fault.node == node and _fits(fault.point, point):
                if armed.left:
                    armed.left -= 1
                    continue
                self._armed.remove(armed)
                self._taken(fault, point)
                return fault
        return None


def _fits(wanted: str, point: str) -> bool:
    return wanted == point or (wanted.endswith("*") and point.startswith(wanted[:-1]))
