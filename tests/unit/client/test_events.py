"""Events: counted, combined, cut short, and never in anybody's way."""

import asyncio
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from reconciler.client.correlation import Correlator, Occurrence, Written
from reconciler.client.events import EventRecorder
from reconciler.client.local import LocalClient
from reconciler.client.retention import EventRetention
from reconciler.core.ids import Ids
from reconciler.model.event import Event
from reconciler.model.namespace import Namespace
from reconciler.model.reference import ObjectReference


@pytest.fixture
def recorder(client: LocalClient, clock: Any, background: Any) -> EventRecorder:
    made = EventRecorder(client, clock, Ids(Random(3)), "test")
    background(made.run())
    return made


def written(run: Any, client: LocalClient, namespace: str = "default") -> list[Event]:
    run(asyncio.sleep(0.01))
    return sorted(run(client.list(Event, namespace)).items, key=lambda event: event.message)


def test_an_event_names_its_object(
    run: Any, client: LocalClient, recorder: EventRecorder, config: Any
) -> None:
    about = run(client.create(config("a")))
    recorder.speaker("kubelet", "n1").event(
        about, "Warning", "Failed", "it did not work", field_path="data{x}"
    )
    (event,) = written(run, client)
    assert event.metadata.namespace == "default"
    assert event.metadata.name.startswith("a.")
    of = event.involved_object
    assert (of.kind, of.namespace, of.name, of.uid, of.field_path) == (
        "ConfigMap", "default", "a", about.metadata.uid, "data{x}",
    )  # fmt: skip
    assert (event.type, event.reason, event.message) == ("Warning", "Failed", "it did not work")
    assert (event.source.component, event.source.host, event.count) == ("kubelet", "n1", 1)
    assert event.first_timestamp == event.last_timestamp == "2026-01-01T00:00:00Z"


def test_an_equal_event_is_counted(
    run: Any, client: LocalClient, recorder: EventRecorder, config: Any
) -> None:
    about = run(client.create(config("a")))
    for _ in range(3):
        recorder.event(about, "Normal", "Pulled", "again")
        run(asyncio.sleep(60))
    (event,) = written(run, client)
    assert event.count == 3
    assert event.first_timestamp == "2026-01-01T00:00:00Z"
    assert event.last_timestamp == "2026-01-01T00:02:00Z"


def test_a_later_version_of_the_object_counts_as_the_same(
    run: Any, client: LocalClient, recorder: EventRecorder, config: Any
) -> None:
    about = run(client.create(config("a")))
    recorder.event(about, "Normal", "Pulled", "again")
    recorder.event(run(client.update(about.replace(data={"x": "y"}))), "Normal", "Pulled", "again")
    (event,) = written(run, client)
    assert event.count == 2


def test_a_lost_event_is_written_anew(
    run: Any, client: LocalClient, recorder: EventRecorder, config: Any
) -> None:
    about = run(client.create(config("a")))
    recorder.event(about, "Normal", "Pulled", "again")
    (event,) = written(run, client)
    run(client.delete(Event, event.metadata.name, "default"))
    recorder.event(about, "Normal", "Pulled", "again")
    (event,) = written(run, client)
    assert event.count == 1


def test_many_similar_messages_are_combined(
    run: Any, client: LocalClient, recorder: EventRecorder, config: Any
) -> None:
    about = run(client.create(config("a")))
    for number in range(15):
        recorder.event(about, "Warning", "Failed", f"try {number:02}")
    events = written(run, client)
    assert len(events) == 11
    assert events[0].message == "(combined from similar events): try 14"
    assert events[0].count == 5


def test_who_speaks_too_much_is_cut_short(
    run: Any, client: LocalClient, recorder: EventRecorder, config: Any
) -> None:
    about, other = run(client.create(config("a"))), run(client.create(config("b")))
    for number in range(100):
        recorder.event(about, "Warning", f"Reason{number}", "much")
    recorder.event(other, "Normal", "Quiet", "heard")
    events = written(run, client)
    assert len(events) == 26
    assert "heard" in {event.message for event in events}
    run(asyncio.sleep(301))
    recorder.event(about, "Warning", "Later", "allowed again")
    assert len(written(run, client)) == 27


def test_cluster_objects_have_their_events_in_default(
    run: Any, client: LocalClient, recorder: EventRecorder
) -> None:
    recorder.event(run(client.get(Namespace, "kube-system")), "Normal", "Seen", "hello")
    (event,) = written(run, client)
    assert event.involved_object.namespace == ""


def test_a_refused_event_stops_nothing(
    run: Any, client: LocalClient, recorder: EventRecorder, config: Any
) -> None:
    lost = config("a", "nowhere")
    recorder.event(lost, "Normal", "Gone", "its namespace is not there")
    about = run(client.create(config("b")))
    recorder.event(about, "Normal", "Here", "still heard")
    assert [event.message for event in written(run, client)] == ["still heard"]


def test_a_caller_never_waits_and_memory_is_bounded(
    client: LocalClient, clock: Any, config: Any
) -> None:
    idle = EventRecorder(client, clock, Ids(Random(3)))
    for number in range(5000):
        idle.event(config("a"), "Normal", f"R{number}", "nobody writes")
    assert len(idle._waiting) == 1000


def test_what_was_said_long_ago_is_forgotten() -> None:
    correlator = Correlator()
    for number in range(10_000):
        said = Occurrence("c", "h", ObjectReference(name=f"p{number}"), "Normal", "R", "m")
        decision = correlator.decide(said, now=number * 100.0)
        assert decision is not None
        correlator.wrote(decision.key, Written("e", 1, ""), number * 100.0)
    assert len(correlator._similar) == 7  # 600 seconds
    assert len(correlator._written) == 37  # an hour: so long the Event itself stays
    assert len(correlator._buckets) == 76  # after 7,500 an object may say as much as ever


def test_events_go_after_an_hour(
    run: Any, client: LocalClient, clock: Any, recorder: EventRecorder, config: Any
) -> None:
    about = run(client.create(config("a")))
    retention = EventRetention(client, clock)
    recorder.event(about, "Normal", "Old", "old")
    written(run, client)
    clock.jump = timedelta(minutes=40)
    recorder.event(about, "Normal", "New", "new")
    written(run, client)
    run(retention.sweep())
    assert len(written(run, client)) == 2
    clock.jump = timedelta(minutes=61)
    run(retention.sweep())
    assert [event.message for event in written(run, client)] == ["new"]


def test_never_too_many_events_stay(
    run: Any, client: LocalClient, clock: Any, recorder: EventRecorder, config: Any
) -> None:
    about = run(client.create(config("a")))
    for number in range(10):
        recorder.event(about, "Normal", f"R{number}", f"m{number}")
        run(asyncio.sleep(1))
    run(EventRetention(client, clock, most=3).sweep())
    assert [event.message for event in written(run, client)] == ["m7", "m8", "m9"]
