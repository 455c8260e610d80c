"""How a ReplicationController from Git is rolled, as its annotations say. Pure.

Called by `loop.py`. Only a controller that a source manages is rolled; any other keeps
Kubernetes' behaviour, in which a new template is for new pods only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from reconciler.model.replication import ReplicationController

SOURCE = "reconciler.dev/source"
MAX_SURGE = "reconciler.dev/max-surge"
MAX_UNAVAILABLE = "reconciler.dev/max-unavailable"
MIN_READY = "reconciler.dev/min-ready-seconds"
PROGRESS_DEADLINE = "reconciler.dev/progress-deadline-seconds"

_DEFAULT_DEADLINE = 600


@dataclass(frozen=True, slots=True)
class RolloutPolicy:
    """The bounds of a rollout, in pods, and its times, in seconds.

    `stop_first` says that an old pod must be gone before a new one is made, whatever the
    annotations say: both would want what only one may hold. `ignored` has one
    sentence for each annotation that could not be read; its default holds.
    """

    surge: int = 1
    unavailable: int = 0
    min_ready_seconds: int = 0
    progress_deadline_seconds: int = _DEFAULT_DEADLINE
    ignored: tuple[str, ...] = ()
    stop_first: bool = False


def is_rolled(rc: ReplicationController) -> bool:
    """Say whether a source manages the controller, so that a new template replaces its pods."""
    return SOURCE in rc.metadata.annotations


def policy_of(rc: ReplicationController, *, stop_first: bool = False) -> RolloutPolicy:
    """Read the controller's annotations.

    Surge and unavailable are counts or percentages of `replicas`; as in a Deployment a percentage
    of surge rounds up, of unavailable down, and when both come to 0 one pod may be unavailable.
    """
    replicas = rc.spec.replicas if rc.spec.replicas is not None else 1
    read = _Reader(rc.metadata.annotations)
    surge = read.amount(MAX_SURGE, 1, replicas, up=True)
    unavailable = read.amount(MAX_UNAVAILABLE, 0, replicas, up=False)
    surge = 0 if stop_first else surge
    return RolloutPolicy(
        stop_first=stop_first,
        surge=surge,
        unavailable=unavailable if surge or unavailable else 1,
        min_ready_seconds=read.seconds(MIN_READY, rc.spec.min_ready_seconds),
        progress_deadline_seconds=read.seconds(PROGRESS_DEADLINE, _DEFAULT_DEADLINE),
        ignored=tuple(read.faults),
    )


class _Reader:
    """Annotations as numbers; collects what it cannot read."""

    def __init__(self, annotations: dict[str, str]) -> None:
        self._annotations = annotations
        self.faults: list[str] = []

    def seconds(self, name: str, default: int) -> int:
        text = self._annotations.get(name)
        if text is None:
            return default
        return self._number(name, text, default, "a whole number of seconds, such as 30")

    def amount(self, name: str, default: int, replicas: int, *, up: bool) -> int:
        text = self._annotations.get(name)
        if text is None:
            return default
        expected = "a number of pods or a percentage, such as 1 or 25%"
        if not text.endswith("%"):
            return self._number(name, text, default, expected)
        percent = self._number(name, text[:-1], -1, expected)
        if percent < 0:
            return default
        exact = replicas * percent / 100
        return math.ceil(exact) if up else math.floor(exact)

    def _number(self, name: str, text: str, default: int, expected: str) -> int:
        if text.isascii() and text.isdigit():
            return int(text)
        found = self._annotations[name]
        self.faults.append(f'annotation {name}: "{found}" is not {expected}; the default holds')
        return default
