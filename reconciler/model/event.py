"""core/v1 Events: what happened to an object, for people."""

from __future__ import annotations

from typing import Literal

from reconciler.model.base import Model, always, unset
from reconciler.model.meta import KubeObject
from reconciler.model.reference import ObjectReference
from reconciler.model.scalar import Int32, MicroTime, Time


class EventSource(Model):
    component: str = ""
    host: str = ""


class EventSeries(Model):
    count: Int32 = 0
    last_observed_time: MicroTime | None = unset()


class Event(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["Event"] = always(lambda: "Event")
    involved_object: ObjectReference = always(ObjectReference)
    reason: str = ""
    message: str = ""
    source: EventSource = always(EventSource)
    first_timestamp: Time | None = unset()
    last_timestamp: Time | None = unset()
    count: Int32 = 0
    type: str = ""
    event_time: MicroTime | None = unset()
    series: EventSeries | None = None
    action: str = ""
    related: ObjectReference | None = None
    reporting_component: str = always(str)
    reporting_instance: str = always(str)
