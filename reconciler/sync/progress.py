"""The steps that revisions reach from now on, told once each to all who listen.

Fed by the informer of revisions; measures, events and traces are made of it. What was reached
before this start is not told again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.client.informer import Informer
from reconciler.client.protocol import EventType
from reconciler.model.gitops import Revision, RevisionStep

Listener = Callable[[Revision, Sequence[RevisionStep]], None]
"""Called with a revision and the steps that are new, in their order; must not block."""


class Steps:
    """The new steps of all revisions."""

    def __init__(self, revisions: Informer[Revision]) -> None:
        self._revisions = revisions
        self._known: dict[str, int] = {}
        self._listeners: list[Listener] = []
        revisions.subscribe(self._changed)

    def listen(self, listener: Listener) -> None:
        """Tell `listener` of the steps that come."""
        self._listeners.append(listener)

    def _changed(self, _: EventType, _old: Revision | None, new: Revision | None) -> None:
        if new is None:
            if _old is not None:
                self._known.pop(_old.metadata.name, None)
            return
        name, steps = new.metadata.name, new.status.steps
        known = self._known.get(name)
        if known is None:
            known = 0 if self._revisions.synced.is_set() else len(steps)
        self._known[name] = max(known, len(steps))
        if fresh := steps[known:]:
            for listener in self._listeners:
                listener(new, fresh)
