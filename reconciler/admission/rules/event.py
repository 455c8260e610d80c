"""Rules of Events: core/v1's, and those of events.k8s.io/v1, which asks for more."""

from __future__ import annotations

from reconciler.admission.errors import Errors, GoValue, invalid, required
from reconciler.admission.rules.meta import label_name, validate_meta
from reconciler.model.event import Event
from reconciler.model.eventsv1 import Event as EventV1
from reconciler.model.reference import ObjectReference

_LONGEST, _LONGEST_NOTE = 128, 1024
_LEAST_SERIES = 2
_TYPES = ("Normal", "Warning")
_IMMUTABLE = "field is immutable"


def event(obj: Event) -> Errors:
    """ValidateEventCreate: an event lives beside its object; a new-style one tells who reports."""
    yield from validate_meta(obj)
    yield from _place(obj.involved_object, obj.metadata.namespace)
    if obj.event_time is not None:
        yield from _reported("reportingComponent", obj.reporting_component, obj)
        yield from _message(obj.message)


def event_v1(obj: EventV1) -> Errors:
    """ValidateEventCreate for events.k8s.io/v1: only new-style events, told in full."""
    yield from _place(obj.regarding, obj.metadata.namespace)
    if obj.event_time is not None:
        yield from _reported("reportingController", obj.reporting_controller, obj)
        yield from _message(obj.note)
    yield from validate_meta(obj)
    if obj.series is not None:
        if obj.series.count < _LEAST_SERIES:
            yield invalid("series.count", "", f"should be at least {_LEAST_SERIES}")
        if obj.series.last_observed_time is None:
            yield required("series.lastObservedTime")
    if obj.event_time is None:
        yield required("eventTime")
    if obj.type not in _TYPES:
        yield invalid("type", "", f"has invalid value: {obj.type}")
    yield from _deprecated(obj)


def _place(about: ObjectReference, own: str) -> Errors:
    of = about.namespace
    if own and (own not in ("default", "kube-system") if not of else of != own):
        yield invalid("involvedObject.namespace", of, "does not match event.namespace")


def _reported(field: str, controller: str, obj: Event | EventV1) -> Errors:
    if not controller:
        yield required(field)
    else:
        yield from label_name(controller, field)
    for name, value in (
        ("reportingInstance", obj.reporting_instance),
        ("action", obj.action),
        ("reason", obj.reason),
    ):
        if not value:
            yield required(name)
        elif len(value) > _LONGEST:
            yield invalid(name, "", f"can have at most {_LONGEST} characters")


def _message(text: str) -> Errors:
    if len(text) > _LONGEST_NOTE:
        yield invalid("message", "", f"can have at most {_LONGEST_NOTE} characters")


def _deprecated(obj: EventV1) -> Errors:
    source = obj.deprecated_source
    for name, value in (
        ("firstTimestamp", obj.deprecated_first_timestamp),
        ("lastTimestamp", obj.deprecated_last_timestamp),
        ("count", obj.deprecated_count),
        ("source", source.component or source.host),
    ):
        if value:
            yield invalid(name, "", "needs to be unset")


def event_v1_update(new: EventV1, old: EventV1) -> Errors:
    """ValidateEventUpdate for events.k8s.io/v1: only the series goes on."""
    for field, value, before in (
        ("involvedObject", new.regarding, old.regarding),
        ("reason", new.reason, old.reason),
        ("message", new.note, old.note),
        ("eventTime", new.event_time, old.event_time),
        ("type", new.type, old.type),
        ("action", new.action, old.action),
        ("related", new.related, old.related),
        ("reportingController", new.reporting_controller, old.reporting_controller),
        ("reportingInstance", new.reporting_instance, old.reporting_instance),
        ("firstTimestamp", new.deprecated_first_timestamp, old.deprecated_first_timestamp),
        ("lastTimestamp", new.deprecated_last_timestamp, old.deprecated_last_timestamp),
        ("count", new.deprecated_count, old.deprecated_count),
        ("source", new.deprecated_source, old.deprecated_source),
    ):
        if value != before:
            word = type(value).__name__
            shown = value if isinstance(value, str) else GoValue(f"v1.{word}{{...}}")
            yield invalid(field, shown, _IMMUTABLE)
