"""Events do not stay: Kubernetes keeps them for an hour, and so do we; and never too many.

Run by the composition root. It deletes Events and nothing else.
"""

from __future__ import annotations

import asyncio

import structlog

from reconciler.client.protocol import ApiError, Client, NotFound
from reconciler.core.clock import Clock
from reconciler.model.event import Event
from reconciler.model.time import format_time, parse_time


class EventRetention:
    """Deletes events older than `keep` seconds, and the oldest of more than `most`."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        *,
        keep: float = 3600.0,
        most: int = 2000,
        every: float = 60.0,
    ) -> None:
        self._client = client
        self._clock = clock
        self._keep = keep
        self._most = most
        self._every = every
        self._log = structlog.get_logger(component="events")

    async def run(self) -> None:
        """Look every so often until cancelled."""
        while True:
            await asyncio.sleep(self._every)
            try:
                await self.sweep()
            except ApiError as error:
                self._log.warning("event.sweep_failed", reason=error.message)

    async def sweep(self) -> None:
        """Delete what is too old or too much now."""
        found = await self._client.list(Event)
        newest_first = sorted(found.items, key=_last_seen, reverse=True)
        oldest = self._clock.now().timestamp() - self._keep
        for rank, event in enumerate(newest_first):
            if rank >= self._most or parse_time(_last_seen(event)).timestamp() < oldest:
                await self._delete(event)

    async def _delete(self, event: Event) -> None:
        meta = event.metadata
        try:
            await self._client.delete(Event, meta.name, meta.namespace, uid=meta.uid)
        except NotFound:
            return


_NEVER = "1970-01-01T00:00:00Z"


def _last_seen(event: Event) -> str:
    """Return when the event last happened, in the form that sorts by time."""
    seen = event.last_timestamp or event.event_time or event.metadata.creation_timestamp
    return format_time(parse_time(seen)) if seen else _NEVER
