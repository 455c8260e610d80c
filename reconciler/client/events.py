"""Events for people: a recorder that never blocks and never fails its caller.

Built by the composition root; every room that tells users something calls `event`. Writing
happens in `run`, at its own pace; when too much is said at once the rest is dropped and logged.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

import structlog

from reconciler.client.correlation import Correlator, Decision, Occurrence, Written
from reconciler.client.protocol import ApiError, Client, NotFound
from reconciler.core.clock import Clock
from reconciler.core.ids import Ids
from reconciler.model.event import Event, EventSource
from reconciler.model.meta import KubeObject, ObjectMeta
from reconciler.model.reference import ObjectReference
from reconciler.model.time import format_time

_WAITING = 1000  # occurrences that may wait to be written


@dataclass(frozen=True, slots=True)
class ComponentRecorder:
    """A recorder that speaks for one component on one host."""

    recorder: EventRecorder
    component: str
    host: str = ""

    def event(
        self, about: KubeObject, kind: str, reason: str, message: str, *, field_path: str = ""
    ) -> None:
        """Say something of an object; see `EventRecorder.event`."""
        reference = _reference(about, field_path)
        self.recorder.occurred(
            Occurrence(self.component, self.host, reference, kind, reason, message)
        )


class EventRecorder:
    """Writes core/v1 Events. One instance serves the whole program; `run` must run."""

    def __init__(
        self, client: Client, clock: Clock, ids: Ids, component: str = "reconciler"
    ) -> None:
        self._client = client
        self._clock = clock
        self._ids = ids
        self._default = ComponentRecorder(self, component)
        self._waiting: deque[Occurrence] = deque()
        self._wake = asyncio.Event()
        self._correlator = Correlator()
        self._log = structlog.get_logger(component="events")

    def speaker(self, component: str, host: str = "") -> ComponentRecorder:
        """Return a recorder whose events name `component` and `host` as their source."""
        return ComponentRecorder(self, component, host)

    def event(
        self, about: KubeObject, kind: str, reason: str, message: str, *, field_path: str = ""
    ) -> None:
        """Say something of an object: `kind` is "Normal" or "Warning". Returns at once.

        `reason` is one CamelCase word for programs, `message` a sentence for people, `field_path`
        the part of the object meant ("spec.containers{web}").
        """
        self._default.event(about, kind, reason, message, field_path=field_path)

    def occurred(self, occurrence: Occurrence) -> None:
        """Queue an occurrence, or drop it when too many wait."""
        if len(self._waiting) >= _WAITING:
            self._log.warning("event.dropped", reason=occurrence.reason)
            return
        self._waiting.append(occurrence)
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            while self._waiting:
                await self._record(self._waiting.popleft())
            self._wake.clear()
            await self._wake.wait()

    async def _record(self, occurrence: Occurrence) -> None:
        decision = self._correlator.decide(occurrence, self._clock.monotonic())
        if decision is None:
            return
        try:
            await self._write(decision)
        except ApiError as error:
            # Its namespace may be going away; an event is never worth a second try.
            self._log.debug("event.refused", reason=error.message)

    async def _write(self, decision: Decision) -> None:
        now = format_time(self._clock.now())
        if decision.written is not None:
            again = Written(
                decision.written.name, decision.written.count + 1, decision.written.first
            )
            try:
                await self._client.update(_event(decision, again, now))
            except NotFound:
                self._correlator.forget(decision.key)
            else:
                self._correlator.wrote(decision.key, again, self._clock.monotonic())
                return
        name = f"{decision.key.about.name}.{self._ids.below(2**64):016x}"
        written = Written(name, 1, now)
        await self._client.create(_event(decision, written, now))
        self._correlator.wrote(decision.key, written, self._clock.monotonic())


def _reference(about: KubeObject, field_path: str) -> ObjectReference:
    """Return the object meant, without its resourceVersion: later versions say the same thing."""
    meta = about.metadata
    return ObjectReference(
        kind=about.kind,
        namespace=meta.namespace,
        name=meta.name,
        uid=meta.uid,
        api_version=about.api_version,
        field_path=field_path,
    )


def _event(decision: Decision, written: Written, now: str) -> Event:
    key = decision.key
    return Event(
        metadata=ObjectMeta(name=written.name, namespace=key.about.namespace or "default"),
        involved_object=key.about,
        reason=key.reason,
        message=decision.message,
        source=EventSource(component=key.component, host=key.host),
        first_timestamp=written.first,
        last_timestamp=now,
        count=written.count,
        type=key.kind,
        reporting_component=key.component,
        reporting_instance=key.host,
    )
