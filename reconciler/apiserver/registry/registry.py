"""The registry: every rule of the API around a write, and the only door to the store.

Called by the local client and the REST face. Reads come from memory and do not wait. A write
runs admission, the kind's strategy and a compare-and-swap; what it refuses is a `StatusError`.
It watches nothing and deletes no dependents: controllers do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

from reconciler.admission.decode import decode, identify
from reconciler.admission.defaults import apply_defaults
from reconciler.admission.errors import AdmissionError, FieldError
from reconciler.admission.restated import validate_restated
from reconciler.admission.update import validate_update
from reconciler.admission.validate import validate
from reconciler.apiserver.registry import (
    birth,
    errors,
    pods,
    preconditions,
    strategies,
    succession,
    tracking,
)
from reconciler.apiserver.registry.access import Access
from reconciler.apiserver.registry.accountadmission import AccountAdmission
from reconciler.apiserver.registry.deletion import DeleteOptions
from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.namespaces import FIRST
from reconciler.apiserver.registry.policies import Policies
from reconciler.apiserver.registry.settings import RegistrySettings
from reconciler.apiserver.registry.strategy import Strategy
from reconciler.apiserver.registry.target import Target
from reconciler.core.clock import Clock
from reconciler.core.ids import Ids
from reconciler.model import kinds, ownership
from reconciler.model.meta import KubeObject, ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.ownership import ApplyConflict, Writer
from reconciler.model.pod import Pod
from reconciler.model.priorityclass import SYSTEM_CLASSES, PriorityClass
from reconciler.model.storageclass import StorageClass
from reconciler.model.time import format_time
from reconciler.store.protocol import Conflict, Event, Feed, Record, Store

K = TypeVar("K", bound=KubeObject)

Judge = Callable[[KubeObject, KubeObject | None], None]
"""Is told of a write, the new object and the old one if there is one, and may refuse it."""

_NAME_ATTEMPTS = 8
_WRITE_ATTEMPTS = 100  # an unconditional write loses against others this often before it gives up


class Registry:
    """The API objects. `start` comes before everything else."""

    def __init__(
        self, store: Store, clock: Clock, ids: Ids, settings: RegistrySettings | None = None
    ) -> None:
        settings = settings or RegistrySettings()
        self._access = Access(store)
        self._clock = clock
        self._ids = ids
        self._strategies = strategies.build(
            settings,
            ids.below,
            lambda: self.list(StorageClass),
            lambda: self.list(PriorityClass),
            self._timestamp,
        )
        accounts = AccountAdmission(self._access, ids) if settings.service_accounts else None
        self._policies = Policies(self._access, accounts)
        self._second: datetime | None = None
        self._second_text = ""
        self._judge: Judge | None = None

    def judged_by(self, judge: Judge) -> Registry:
        """Return this registry for writes that `judge` may refuse, by raising `StatusError`."""
        judged = copy(self)
        judged._judge = judge  # noqa: SLF001 - of the same class
        return judged

    async def start(self) -> None:
        """Learn what the stored objects have allocated; make what is there from the start."""
        for model, strategy in self._strategies.items():
            if type(strategy).adopt is not Strategy.adopt:
                strategy.adopt(self.list(model))
        spaces = (Namespace(metadata=ObjectMeta(name=name)) for name in FIRST)
        for each in (*spaces, *SYSTEM_CLASSES):
            if self._access.find(kinds.of_object(each), "", each.metadata.name) is None:
                await self.create(each)

    @property
    def revision(self) -> int:
        """The revision of the newest visible write: the resourceVersion of a list."""
        return self._access.store.revision

    def get(self, model: type[K], name: str, namespace: str = "") -> K:
        """Return one object; raises `StatusError` NotFound."""
        return self.decode(model, self._access.existing(kinds.of(model), namespace, name))

    def list(self, model: type[K], namespace: str = "") -> list[K]:
        """Return the objects of a kind ordered by (namespace, name)."""
        return [self.decode(model, record) for record in self.records(model, namespace)]

    def records(self, model: type[KubeObject], namespace: str = "") -> Sequence[Record]:
        """Return the encoded objects of a kind, for readers that need no more than bytes."""
        return self._access.records(kinds.of(model), namespace)

    def record(self, model: type[KubeObject], name: str, namespace: str = "") -> Record:
        """Return one encoded object; raises `StatusError` NotFound."""
        return self._access.existing(kinds.of(model), namespace, name)

    def decode(self, model: type[K], record: Record) -> K:
        """Return the object of a record; readers of one record share one object."""
        return self._access.decode(model, record)

    def warnings(self, obj: KubeObject) -> tuple[str, ...]:
        """Return what the writer of a stored object is to be warned of by its namespace."""
        return self._policies.security_warnings(obj) if obj.metadata.namespace else ()

    def watch(
        self, model: type[KubeObject], namespace: str = "", *, since: int
    ) -> AsyncIterator[Event]:
        """Yield the changes of a kind after revision `since`; raises the store's `Compacted`."""
        return self._access.store.watch(kinds.of(model).key_kind, namespace, since=since)

    def feed(self, model: type[KubeObject], namespace: str = "", *, since: int) -> Feed:
        """Return the changes of a kind after `since`, in batches; raises `Compacted`."""
        return self._access.store.feed(kinds.of(model).key_kind, namespace, since=since)

    async def create(self, obj: K, *, manager: str = "", dry_run: bool = False) -> K:
        """Create `obj`, which has passed decoding; return it as stored."""
        strategy: Strategy[K] = self._strategies[type(obj)]
        by = self._writer(strategy, manager)
        generated = not obj.metadata.name and bool(obj.metadata.generate_name)
        tracked = tracking.created(apply_defaults(obj), by)
        for _ in range(_NAME_ATTEMPTS - 1):
            try:
                return await self._create(strategy, tracked, dry_run=dry_run)
            except StatusError as error:
                if not (generated and error.reason == "AlreadyExists"):
                    raise
        return await self._create(strategy, tracked, dry_run=dry_run)

    async def update(
        self, obj: K, *, subresource: str = "", manager: str = "", dry_run: bool = False
    ) -> K:
        """Replace an object, or what `subresource` ("status", "finalize") names of it.

        With a resourceVersion only that version is replaced; without, the newest one. What changes
        nothing is not written. An object that this write releases is removed.
        """
        strategy: Strategy[K] = self._strategies[type(obj)]
        by = self._writer(strategy, manager, subresource)
        new = apply_defaults(obj)

        def successor(_record: Record, old: K) -> K:
            return succession.updated(strategy, new, old, by)

        meta = obj.metadata
        pinned = meta.resource_version not in ("", "0")
        check = subresource not in strategy.self_checked
        target = Target(strategy, meta.namespace, meta.name, not pinned, dry_run, check)
        return await self._replace(target, successor)

    async def patch(
        self,
        model: type[K],
        name: str,
        namespace: str,
        change: Callable[[Record], K],
        *,
        subresource: str = "",
        manager: str = "",
        dry_run: bool = False,
    ) -> K:
        """Replace the newest version by what `change` makes of it, again when others were faster.

        `change` keeps name and namespace; the resourceVersion that it leaves must be the newest.
        """
        strategy: Strategy[K] = self._strategies[model]
        by = self._writer(strategy, manager, subresource)

        def successor(record: Record, old: K) -> K:
            return succession.updated(strategy, apply_defaults(change(record)), old, by)

        check = subresource not in strategy.self_checked
        target = Target(strategy, namespace, name, dry_run=dry_run, check=check)
        return await self._replace(target, successor)

    async def apply(
        self,
        manifest: dict[str, Any],
        *,
        manager: str,
        force: bool = False,
        subresource: str = "",
        dry_run: bool = False,
        admitted: KubeObject | None = None,
    ) -> Any:
        """Server-side apply: `manager` owns exactly the fields of `manifest` afterwards.

        Creates the object when it is not there. Raises `StatusError` Conflict when others own
        fields that would change, unless `force`. `admitted`, from callers in this process only, is
        what admission made of the manifest: a new object then is not decoded and judged twice.
        """
        try:
            resource = identify(manifest)
        except AdmissionError as error:
            raise errors.refused(error) from error
        strategy = self._strategies[resource.model]
        by = self._writer(strategy, manager, subresource)
        wanted = {key: value for key, value in manifest.items() if key not in by.ignored}
        expected = preconditions.of_manifest(wanted)
        check = subresource not in strategy.self_checked
        target = Target(strategy, expected.namespace, expected.name, dry_run=dry_run, check=check)
        for _ in range(_WRITE_ATTEMPTS):
            there = self._access.find(resource, expected.namespace, expected.name) is not None
            try:
                if there:
                    return await self._apply_existing(target, wanted, by, force=force)
                preconditions.check_new(resource, expected)
                owners = ownership.apply_new(strategy.model, wanted, by)
                obj = admitted if admitted is not None else apply_defaults(_decode(wanted))
                tracked = tracking.with_owners(obj, owners)
                return await self._create(strategy, tracked, dry_run=dry_run, valid=admitted)
            except StatusError as error:
                if error.reason != ("NotFound" if there else "AlreadyExists"):
                    raise
        raise errors.conflict(resource, expected.name)

    async def delete(
        self, model: type[K], name: str, namespace: str = "", options: DeleteOptions | None = None
    ) -> tuple[K, bool]:
        """Ask for deletion; return the object's last or present state, and whether it is gone."""
        asked = options or DeleteOptions()
        strategy: Strategy[K] = self._strategies[model]
        for _ in range(_WRITE_ATTEMPTS):
            record = self._access.existing(strategy.resource, namespace, name)
            old = self.decode(model, record)
            preconditions.check_delete(strategy.resource, old, asked)
            verdict = strategy.decide(old, asked, self._clock.now())
            if asked.dry_run or (verdict.obj is old and not verdict.gone):
                return verdict.obj, verdict.gone
            try:
                if verdict.gone:
                    return await self._remove(strategy, verdict.obj, record), True
                return await self._access.put(strategy.resource, verdict.obj, record), False
            except Conflict:
                continue
        raise errors.conflict(strategy.resource, name)

    async def evict(self, name: str, namespace: str, options: DeleteOptions) -> None:
        """Delete a pod that yields to others: the `eviction` subresource tells so on the pod."""
        strategy, now = self._strategies[Pod], self._timestamp()

        def marked(_record: Record, pod: Pod) -> Pod:
            preconditions.check_delete(strategy.resource, pod, options)
            return pods.evicted(pod, now)

        if not options.dry_run:
            await self._replace(Target(strategy, namespace, name, check=False), marked)
        await self.delete(Pod, name, namespace, replace(options, resource_version=""))

    async def bind(
        self, name: str, namespace: str, node: str, *, uid: str = "", dry_run: bool = False
    ) -> Pod:
        """Assign a pod to a node: the `binding` subresource."""
        strategy, now = self._strategies[Pod], self._timestamp()

        def assigned(_record: Record, pod: Pod) -> Pod:
            fault = preconditions.binding_fault(pod, uid)
            if fault:
                raise errors.conflict(strategy.resource, name, fault, suffix="/binding")
            return pods.bound(pod, node, now)

        target = Target(strategy, namespace, name, dry_run=dry_run, check=False)
        return await self._replace(target, assigned)

    async def _create(
        self, strategy: Strategy[K], obj: K, *, dry_run: bool, valid: KubeObject | None = None
    ) -> K:
        """Make `obj`; `valid` is an object it was made from and that is known to be valid."""
        named = birth.born(strategy, obj, self._ids, self._timestamp())
        birth.check_place(self._access, strategy, named)
        limited = await self._policies.with_defaults(named)
        if limited is not named:
            valid = None
        new, claim = strategy.claim(strategy.for_create(limited), None, dry_run=dry_run)
        try:
            _check(strategy, new, validate_restated(new, valid) if valid else validate(new))
            birth.check_absent(self._access, strategy, new)
            if self._judge is not None:
                self._judge(new, None)
            await self._policies.admit(new, dry_run=dry_run)
            if dry_run:
                claim.cancel()
                return new
            stored = await self._access.put(strategy.resource, new, None)
        except Conflict as error:
            claim.cancel()
            raise errors.already_exists(strategy.resource, new.metadata.name) from error
        except StatusError:
            claim.cancel()
            raise
        claim.keep()
        return stored

    async def _apply_existing(
        self, target: Target[Any], manifest: dict[str, Any], by: Writer, *, force: bool
    ) -> Any:
        strategy = target.strategy

        def successor(record: Record, old: Any) -> Any:
            try:
                result = tracking.applied(strategy.model, record.value, manifest, by, force=force)
            except ApplyConflict as error:
                raise errors.apply_conflict(error) from error
            if not result.changed:
                return old
            new = _decode(result.obj)
            preconditions.check_update(strategy.resource, new, old)
            tracked = tracking.with_owners(apply_defaults(new), result.owners)
            return succession.successor(strategy, tracked, old, by.subresource)

        return await self._replace(target, successor)

    async def _replace(self, target: Target[K], successor: Callable[[Record, K], K]) -> K:
        """Write what `successor` makes of the present object, again when others were faster."""
        strategy = target.strategy
        for _ in range(_WRITE_ATTEMPTS):
            record = self._access.existing(strategy.resource, target.namespace, target.name)
            old = self.decode(strategy.model, record)
            new = successor(record, old)
            if new == old:
                return old
            try:
                return await self._write(target, record, old, new)
            except Conflict as error:
                if not target.retry:
                    raise errors.conflict(strategy.resource, target.name) from error
        raise errors.conflict(strategy.resource, target.name)

    async def _write(self, target: Target[K], record: Record, old: K, new: K) -> K:
        strategy, dry_run = target.strategy, target.dry_run
        counted = succession.counted(strategy, new, old)
        new, claim = strategy.claim(counted, old, dry_run=dry_run)
        try:
            if target.check:
                _check(strategy, new, validate_update(new, old))
                if self._judge is not None:
                    self._judge(new, old)
            await self._policies.admit(new, old, whole=target.check, dry_run=dry_run)
            if dry_run:
                claim.cancel()
                return new
            if strategy.is_released(new):
                await self._remove(strategy, new, record)
                return new
            stored = await self._access.put(strategy.resource, new, record)
        except (StatusError, Conflict):
            claim.cancel()
            raise
        claim.keep()
        return stored

    async def _remove(self, strategy: Strategy[K], obj: K, record: Record) -> K:
        stored = await self._access.remove(obj, record)
        strategy.release(obj)
        return stored

    def _writer(self, strategy: Strategy[Any], manager: str, subresource: str = "") -> Writer:
        return tracking.writer(strategy.resource, manager, self._timestamp(), subresource)

    def _timestamp(self) -> str:
        """Return the present second as Kubernetes writes it."""
        second = self._clock.now().replace(microsecond=0)
        if second != self._second:
            self._second, self._second_text = second, format_time(second)
        return self._second_text


def _decode(value: dict[str, Any]) -> Any:
    try:
        return decode(value)
    except AdmissionError as error:
        raise errors.refused(error) from error


def _check(strategy: Strategy[Any], obj: KubeObject, faults: tuple[FieldError, ...]) -> None:
    if faults:
        raise errors.invalid(strategy.resource, obj.metadata.name, faults)
