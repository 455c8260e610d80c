"""Events of events.k8s.io/v1: core/v1's under other names. They share one store.

`to_core` and `from_core` rename the members of an object in JSON's plain values.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from reconciler.model.base import always, unset
from reconciler.model.event import Event as CoreEvent
from reconciler.model.event import EventSeries, EventSource
from reconciler.model.meta import KubeObject
from reconciler.model.reference import ObjectReference
from reconciler.model.scalar import Int32, MicroTime, Time

GROUP = "events.k8s.io"

_CORE_NAMES = {
    "reportingController": "reportingComponent",
    "regarding": "involvedObject",
    "note": "message",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_OWN_NAMES = {core: own for own, core in _CORE_NAMES.items()}


class Event(KubeObject):
    api_version: Literal["events.k8s.io/v1"] = always(lambda: f"{GROUP}/v1")
    kind: Literal["Event"] = always(lambda: "Event")
    event_time: MicroTime | None = unset()
    series: EventSeries | None = None
    reporting_controller: str = ""
    reporting_instance: str = ""
    action: str = ""
    reason: str = ""
    regarding: ObjectReference = always(ObjectReference)
    related: ObjectReference | None = None
    note: str = ""
    type: str = ""
    deprecated_source: EventSource = always(EventSource)
    deprecated_first_timestamp: Time | None = unset()
    deprecated_last_timestamp: Time | None = unset()
    deprecated_count: Int32 = 0


def to_core(value: dict[str, Any]) -> dict[str, Any]:
    """Return the core/v1 form of an event."""
    return {**_renamed(value, _CORE_NAMES), "apiVersion": "v1"}


def from_core(value: dict[str, Any]) -> dict[str, Any]:
    """Return the events.k8s.io/v1 form of a core/v1 event."""
    renamed = _renamed(value, _OWN_NAMES)
    for name in ("reportingController", "reportingInstance"):  # core writes them empty, too
        if not renamed.get(name):
            renamed.pop(name, None)
    return {**renamed, "apiVersion": f"{GROUP}/v1"}


def core_of(event: Event) -> CoreEvent:
    """Return the core/v1 event that an event of this group is."""
    return CoreEvent.model_validate_json(json.dumps(to_core(event.to_dict())))


def of_core(event: CoreEvent) -> Event:
    """Return a core/v1 event as one of this group."""
    return Event.model_validate_json(json.dumps(from_core(event.to_dict())))


def _renamed(value: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {names.get(key, key): member for key, member in value.items()}
