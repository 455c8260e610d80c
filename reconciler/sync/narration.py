"""What becomes of changes by hand, as events: on the object itself, and on its source.

Held by the loop, called by the executor and the verdict. The recorder damps what repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from reconciler.client.events import ComponentRecorder
from reconciler.model.gitops import Source
from reconciler.model.meta import KubeObject
from reconciler.sync.actions import Create, Write
from reconciler.sync.fields import FieldChange
from reconciler.sync.plan import Tolerated

_SHOWN = 3


class Narrator:
    """The events of one source; without a recorder it is silent. `source` is the live object."""

    def __init__(
        self, recorder: ComponentRecorder | None, source: Callable[[], Source | None]
    ) -> None:
        self._recorder = recorder
        self._source = source

    def corrected(self, action: Write, obj: KubeObject) -> None:
        """A change by hand was taken back; `obj` is as it is now."""
        if isinstance(action, Create):
            words = f"deleted by hand, made again as {action.origin} declares it"
        else:
            words = f"{_what(action.changes)} taken back to what {action.origin} declares"
        self._tell(obj, "DriftCorrected", words)

    def left(self, each: Tolerated, obj: KubeObject | None) -> None:
        """A change by hand stays, as somebody asked for."""
        until = f" until {each.until.isoformat()}" if each.until is not None else ""
        words = f"{_what(each.changes)} left as it is ({each.mode}){until}"
        if obj is not None and each.mode != "ignore":
            self._tell(obj, "DriftLeft", words)

    def _tell(self, obj: KubeObject, reason: str, words: str) -> None:
        if self._recorder is None:
            return
        self._recorder.event(obj, "Warning", reason, words)
        if (source := self._source()) is not None:
            self._recorder.event(source, "Warning", reason, f"{obj.key}: {words}")


def _what(changes: Sequence[FieldChange]) -> str:
    """Return the fields that differ, and who set them; no value, for it may be secret."""
    paths = [change.path for change in changes[:_SHOWN]]
    more = f" and {len(changes) - len(paths)} more" if len(changes) > len(paths) else ""
    owners = sorted({change.owner for change in changes if change.owner})
    by = f", set by {', '.join(owners)}," if owners else ""
    return f"{', '.join(paths) or 'field ownership'}{more}{by}"
