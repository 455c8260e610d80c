"""Since when a service's endpoints were due to change: Kubernetes' TriggerTimeTracker.

The controllers of Endpoints and EndpointSlices write it into what they write, as the annotation
`endpoints.kubernetes.io/last-change-trigger-time`, from which the delay of the network's
programming can be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.controllers.podstate import condition
from reconciler.model.meta import NamespacedName
from reconciler.model.pod import Pod
from reconciler.model.service import Service

TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"


@dataclass(frozen=True, slots=True)
class _Seen:
    service: str
    pods: Mapping[str, str]


class TriggerTimes:
    """What was seen of each service at its last reconcile. Times are RFC 3339 in UTC."""

    def __init__(self) -> None:
        self._seen: dict[NamespacedName, _Seen] = {}

    def changed(self, service: Service, pods: Iterable[Pod]) -> str:
        """Return the earliest moment of those that are new since the last call; empty for none.

        A service seen for the first time changed when it was created.
        """
        created = service.metadata.creation_timestamp or ""
        ready = {pod.metadata.name: since for pod in pods if (since := _ready_since(pod))}
        key = NamespacedName.of(service)
        before = self._seen.get(key)
        self._seen[key] = _Seen(created, ready)
        if before is None:
            return created
        fresh = [since for name, since in ready.items() if since > before.pods.get(name, "")]
        if created > before.service:
            fresh.append(created)
        return min(fresh, default="")

    def forget(self, key: NamespacedName) -> None:
        """Forget a service that is gone."""
        self._seen.pop(key, None)


def annotated(annotations: Mapping[str, str], trigger: str) -> dict[str, str]:
    """Return annotations with the trigger's time, or without one when there is none."""
    rest = {name: value for name, value in annotations.items() if name != TRIGGER_TIME}
    return {**rest, TRIGGER_TIME: trigger} if trigger else rest


def _ready_since(pod: Pod) -> str:
    """Return when the condition Ready was last turned, either way (getPodTriggerTime)."""
    ready = condition(pod, "Ready")
    return (ready.last_transition_time or "") if ready is not None else ""
