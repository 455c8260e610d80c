"""When a service's endpoints were due to change."""

from __future__ import annotations

from datetime import UTC, datetime

from reconciler.controllers.triggertime import TriggerTimes
from reconciler.model.meta import NamespacedName, ObjectMeta
from reconciler.model.pod import Pod
from reconciler.model.service import Service
from tests.unit.controllers.builders import make_pod

BORN = "2026-01-01T00:00:00Z"
SERVICE = Service(metadata=ObjectMeta(name="web", namespace="default", creation_timestamp=BORN))


def ready(name: str, second: int) -> Pod:
    return make_pod(name, ready=datetime(2026, 1, 2, 0, 0, second, tzinfo=UTC))


def test_the_earliest_of_the_new_moments_counts() -> None:
    times = TriggerTimes()
    first = [ready("a", 1)]
    assert times.changed(SERVICE, first) == BORN
    assert times.changed(SERVICE, first) == ""
    more = [ready("a", 1), ready("b", 7), ready("c", 5)]
    assert times.changed(SERVICE, more) == "2026-01-02T00:00:05Z"
    assert times.changed(SERVICE, more[:1]) == ""
    assert times.changed(SERVICE, [ready("a", 9)]) == "2026-01-02T00:00:09Z"


def test_a_service_that_is_made_again_begins_anew() -> None:
    times = TriggerTimes()
    times.changed(SERVICE, [])
    times.forget(NamespacedName.of(SERVICE))
    assert times.changed(SERVICE, []) == BORN
