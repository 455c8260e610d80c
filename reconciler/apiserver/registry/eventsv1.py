"""The registry as events.k8s.io/v1 sees it: core/v1's events under the other group's names.

Built by the REST face for that group alone. Whatever is written here is a core/v1 event in the
store, and each core/v1 event is read here. Fields keep the owners that they have in core/v1.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import orjson

from reconciler.admission.update import validate_update
from reconciler.admission.validate import validate
from reconciler.apiserver.registry import errors
from reconciler.apiserver.registry.deletion import DeleteOptions
from reconciler.apiserver.registry.registry import Judge, Registry
from reconciler.model import eventsv1, kinds
from reconciler.model.event import Event
from reconciler.model.eventsv1 import Event as EventV1
from reconciler.model.eventsv1 import core_of, of_core
from reconciler.model.meta import KubeObject
from reconciler.store.protocol import Event as Change
from reconciler.store.protocol import Feed, Record

_KEPT = 1024  # converted records, shared by all readers


class EventsV1Registry(Registry):
    """See the module. It answers for the one kind, whatever model it is asked for."""

    def __init__(self, registry: Registry) -> None:
        # All of its state is the other's: it is a face, not a second registry.
        self.__dict__.update(registry.__dict__)
        self._core = registry
        self._converted: OrderedDict[Record, Record] = OrderedDict()

    def judged_by(self, judge: Judge) -> Registry:
        """See `Registry.judged_by`; the judge is told of core/v1's form."""
        return EventsV1Registry(self._core.judged_by(judge))

    def records(self, model: type[KubeObject], namespace: str = "") -> Sequence[Record]:  # noqa: ARG002
        """See `Registry.records`."""
        return [self._record(each) for each in self._core.records(Event, namespace)]

    def record(self, model: type[KubeObject], name: str, namespace: str = "") -> Record:  # noqa: ARG002
        """See `Registry.record`."""
        return self._record(self._core.record(Event, name, namespace))

    def decode(self, model: type[KubeObject], record: Record) -> Any:
        """See `Registry.decode`."""
        if record.decoded is None:
            record.decoded = model.model_validate_json(record.value)
        return record.decoded

    def feed(self, model: type[KubeObject], namespace: str = "", *, since: int) -> Feed:  # noqa: ARG002
        """See `Registry.feed`."""
        return _ConvertedFeed(self._core.feed(Event, namespace, since=since), self._record)

    async def create(self, obj: Any, *, manager: str = "", dry_run: bool = False) -> Any:
        """See `Registry.create`."""
        self._check(obj, validate(obj.replace(metadata=_named(obj))))
        made = await self._core.create(core_of(obj), manager=manager, dry_run=dry_run)
        return of_core(made)

    async def update(
        self, obj: Any, *, subresource: str = "", manager: str = "", dry_run: bool = False
    ) -> Any:
        """See `Registry.update`."""
        meta = obj.metadata
        old = self.decode(EventV1, self.record(EventV1, meta.name, meta.namespace))
        self._check(obj, validate_update(obj, old))
        made = await self._core.update(
            core_of(obj), subresource=subresource, manager=manager, dry_run=dry_run
        )
        return of_core(made)

    async def patch(
        self,
        model: type[KubeObject],
        name: str,
        namespace: str,
        change: Callable[[Record], Any],
        *,
        subresource: str = "",
        manager: str = "",
        dry_run: bool = False,
    ) -> Any:
        """See `Registry.patch`."""

        def changed(record: Record) -> Event:
            old = self._record(record)
            new = change(old)
            self._check(new, validate_update(new, self.decode(model, old)))
            return core_of(new)

        made = await self._core.patch(
            Event,
            name,
            namespace,
            changed,
            subresource=subresource,
            manager=manager,
            dry_run=dry_run,
        )
        return of_core(made)

    async def apply(self, manifest: dict[str, Any], **options: Any) -> Any:
        """See `Registry.apply`."""
        return of_core(await self._core.apply(eventsv1.to_core(manifest), **options))

    async def delete(
        self,
        model: type[KubeObject],  # noqa: ARG002
        name: str,
        namespace: str = "",
        options: DeleteOptions | None = None,
    ) -> tuple[Any, bool]:
        """See `Registry.delete`."""
        last, gone = await self._core.delete(Event, name, namespace, options)
        return of_core(last), gone

    def _check(self, obj: KubeObject, faults: Any) -> None:
        if faults:
            raise errors.invalid(kinds.of(EventV1), obj.metadata.name, tuple(faults))

    def _record(self, record: Record) -> Record:
        """Return a record of core/v1 in the form of this group."""
        known = self._converted.get(record)
        if known is None:
            value = orjson.dumps(eventsv1.from_core(orjson.loads(record.value)))
            known = self._converted[record] = Record(record.key, record.revision, value)
            if len(self._converted) > _KEPT:
                self._converted.popitem(last=False)
        return known


class _ConvertedFeed:
    """A feed whose records are converted."""

    def __init__(self, feed: Feed, converted: Callable[[Record], Record]) -> None:
        self._feed, self._converted = feed, converted
        self.revision = feed.revision

    def read(self) -> list[Change]:
        found = [self._change(each) for each in self._feed.read()]
        self.revision = self._feed.revision
        return found

    async def wait(self) -> None:
        await self._feed.wait()

    def follow(self, told: Callable[[], None]) -> Callable[[], None]:
        return self._feed.follow(told)

    def _change(self, change: Change) -> Change:
        previous = change.previous and self._converted(change.previous)
        return Change(change.change, self._converted(change.record), previous)


def _named(obj: KubeObject) -> Any:
    """Return the metadata as it will be once a name is generated."""
    meta = obj.metadata
    return meta if meta.name or not meta.generate_name else meta.replace(name="generated")
