"""How a ReplicationController from Git is rolled, as its annotations or the settings say. Pure.

Called by `loop.py`. Only a controller that a source manages is rolled; any other keeps
Kubernetes' behaviour, in which a new template is for new pods only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from reconciler.model.replication import PROGRESS_DEADLINE, ReplicationController

SOURCE = "reconciler.dev/source"
MAX_SURGE = "reconciler.dev/max-surge"
MAX_UNAVAILABLE = "reconciler.dev/max-unavailable"
MIN_READY = "reconciler.dev/min-ready-seconds"

_AMOUNT = "a number of pods or a percentage, such as 1 or 25%"
_SECONDS = "a whole number of seconds, such as 30"


@dataclass(frozen=True, slots=True)
class RolloutDefaults:
    """What holds for a controller without annotations; the settings give it.

    `max_surge` and `max_unavailable` are counts or percentages as in an annotation, the times
    seconds. A controller's own `spec.minReadySeconds` is stronger than `min_ready_seconds`.
    """

    max_surge: str = "1"
    max_unavailable: str = "0"
    min_ready_seconds: int = 0
    progress_deadline_seconds: int = 600


DEFAULTS = RolloutDefaults()


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
    progress_deadline_seconds: int = DEFAULTS.progress_deadline_seconds
    ignored: tuple[str, ...] = ()
    stop_first: bool = False


def is_rolled(rc: ReplicationController) -> bool:
    """Say whether a source manages the controller, so that a new template replaces its pods."""
    return SOURCE in rc.metadata.annotations


def amount_fault(text: str) -> str:
    """Return what is wrong with a count of pods or a percentage, "" when nothing is."""
    number = text.removesuffix("%")
    return "" if number.isascii() and number.isdigit() else f'"{text}" is not {_AMOUNT}'


def policy_of(
    rc: ReplicationController, defaults: RolloutDefaults = DEFAULTS, *, stop_first: bool = False
) -> RolloutPolicy:
    """Read the controller's annotations; what they do not say, `defaults` do.

    Surge and unavailable are counts or percentages of `replicas`; as in a Deployment a percentage
    of surge rounds up, of unavailable down, and when both come to 0 one pod may be unavailable.
    """
    replicas = rc.spec.replicas if rc.spec.replicas is not None else 1
    read = _Reader(rc.metadata.annotations)
    surge = _amount(read.amount(MAX_SURGE, defaults.max_surge), replicas, up=True)
    unavailable = _amount(
        read.amount(MAX_UNAVAILABLE, defaults.max_unavailable), replicas, up=False
    )
    surge = 0 if stop_first else surge
    min_ready = rc.spec.min_ready_seconds or defaults.min_ready_seconds
    return RolloutPolicy(
        stop_first=stop_first,
        surge=surge,
        unavailable=unavailable if surge or unavailable else 1,
        min_ready_seconds=read.seconds(MIN_READY, min_ready),
        progress_deadline_seconds=read.seconds(
            PROGRESS_DEADLINE, defaults.progress_deadline_seconds
        ),
        ignored=tuple(read.faults),
    )


def _amount(text: str, replicas: int, *, up: bool) -> int:
    number = int(text.removesuffix("%"))
    if not text.endswith("%"):
        return number
    exact = replicas * number / 100
    return math.ceil(exact) if up else math.floor(exact)


class _Reader:
    """Annotations that can be read, or their default; collects what cannot."""

    def __init__(self, annotations: dict[str, str]) -> None:
        self._annotations = annotations
        self.faults: list[str] = []

    def seconds(self, name: str, default: int) -> int:
        text = self._annotations.get(name)
        if text is None:
            return default
        if text.isascii() and text.isdigit():
            return int(text)
        self._blame(name, f'"{text}" is not {_SECONDS}')
        return default

    def amount(self, name: str, default: str) -> str:
        text = self._annotations.get(name, default)
        if fault := amount_fault(text):
            self._blame(name, fault)
            return default
        return text

    def _blame(self, name: str, fault: str) -> None:
        self.faults.append(f"annotation {name}: {fault}; the default holds")
