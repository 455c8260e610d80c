"""What this process wrote and its informer does not show yet.

An informer lags behind the store. A controller that plans on the lagging view alone would create
a pod again that it has just created. Kubernetes counts expectations for that; here the answer of
each write is laid over the informer's view until the informer has caught up, which is exact, and
a write that the informer never shows (the object came and went in a gap of the watch) is found
by its age and asked for at the API.

Called by controllers that write objects which they also watch.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from reconciler.client.informer import Informer
from reconciler.client.protocol import EventType
from reconciler.model.meta import KubeObject

T = TypeVar("T", bound=KubeObject)


@dataclass(frozen=True, slots=True)
class Write(Generic[T]):
    """One write: the object as the API answered, or as it was when it was deleted."""

    object: T
    deleted: bool
    at: float


def revision(obj: KubeObject) -> int:
    """Return the object's resourceVersion as a number; our own store's are numbers."""
    return int(obj.metadata.resource_version or 0)


class OwnWrites(Generic[T]):
    """The overlay of one kind. `group` names who asked, so that one key's view is cheap."""

    def __init__(self, informer: Informer[T]) -> None:
        self._writes: dict[str, dict[str, Write[T]]] = {}
        self._groups: dict[str, str] = {}
        self._informer = informer
        informer.subscribe(self._seen)

    def wrote(self, group: str, obj: T, at: float) -> None:
        """Remember that `obj` was created or changed for `group` at monotonic time `at`."""
        shown = self._shown(obj)
        if shown is not None and revision(shown) >= revision(obj):
            self.forget(obj)  # the informer was faster than the answer
            return
        self._remember(group, Write(obj, deleted=False, at=at))

    def deleted(self, group: str, obj: T, at: float) -> None:
        """Remember that the API accepted the deletion of `obj`, or that it is gone."""
        shown = self._shown(obj)
        unseen = shown is None and obj.metadata.uid in self._groups
        if not unseen and (shown is None or shown.metadata.deletion_timestamp is not None):
            self.forget(obj)
            return
        self._remember(group, Write(obj, deleted=True, at=at))

    def forget(self, obj: T) -> None:
        """Drop what is remembered of one object."""
        group = self._groups.pop(obj.metadata.uid, None)
        if group is not None:
            self._writes[group].pop(obj.metadata.uid, None)
            if not self._writes[group]:
                del self._writes[group]

    def over(self, group: str, shown: Iterable[T]) -> Sequence[T]:
        """Return what `shown` would be if the informer had caught up with `group`'s writes.

        Objects that were deleted are left out, also while their finalizers or grace hold them.
        """
        writes = self._writes.get(group)
        if not writes:
            return list(shown)
        result = {obj.metadata.uid: obj for obj in shown}
        for uid, write in writes.items():
            if write.deleted:
                result.pop(uid, None)
            elif uid not in result or revision(result[uid]) < revision(write.object):
                result[uid] = write.object
        return list(result.values())

    def write_of(self, obj: T) -> Write[T] | None:
        """Return the write to `obj` that the informer has not shown yet."""
        group = self._groups.get(obj.metadata.uid)
        return self._writes[group].get(obj.metadata.uid) if group is not None else None

    def oldest(self, group: str) -> Write[T] | None:
        """Return the write of `group` that waits longest for the informer."""
        writes = self._writes.get(group, {}).values()
        return min(writes, key=lambda write: write.at, default=None)

    def verified(self, group: str, write: Write[T], live: T | None, at: float) -> None:
        """Take in what the API says of an object that the informer should long have shown.

        `live` is None when the object is gone. While the informer still shows it as alive it
        counts as deleted.
        """
        obj = write.object
        if live is None or live.metadata.uid != obj.metadata.uid:
            self.forget(obj)
            self.deleted(group, obj, at)
        elif write.deleted or live.metadata.deletion_timestamp is not None:
            self.deleted(group, obj, at)
        else:
            self.wrote(group, live, at)

    def _shown(self, obj: T) -> T | None:
        shown = self._informer.get(obj.metadata.name, obj.metadata.namespace)
        return shown if shown is not None and shown.metadata.uid == obj.metadata.uid else None

    def _remember(self, group: str, write: Write[T]) -> None:
        self.forget(write.object)
        uid = write.object.metadata.uid
        self._groups[uid] = group
        self._writes.setdefault(group, {})[uid] = write

    def _seen(self, event: EventType, old: T | None, new: T | None) -> None:
        shown = new if new is not None else old
        if shown is None or shown.metadata.uid not in self._groups:
            return
        uid = shown.metadata.uid
        write = self._writes[self._groups[uid]][uid]
        if event == "DELETED" or _caught_up(write, shown):
            self.forget(shown)


def _caught_up(write: Write[T], shown: T) -> bool:
    if write.deleted:
        return shown.metadata.deletion_timestamp is not None
    return revision(shown) >= revision(write.object)
