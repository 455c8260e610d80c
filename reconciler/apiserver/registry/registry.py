"""The registry: every rule of the API around a write, and the only door to the store.

Called by the local client and the REST face. Reads come from memory and do not wait. A write
runs admission, the kind's strategy and a compare-and-swap; what it refuses is a `StatusError`.
It watches nothing and deletes no dependents: controllers do.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, TypeVar

from reconciler.admission.defaults import apply_defaults
from reconciler.admission.validate import validate, validate_update
from reconciler.apiserver.registry import errors, metadata, pods, strategies
from reconciler.apiserver.registry.codec import Codec, Encoding
from reconciler.apiserver.registry.deletion import DeleteOptions
from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.namespaces import FIRST
from reconciler.apiserver.registry.settings import RegistrySettings
from reconciler.apiserver.registry.strategy import NO_CLAIM, Claim, Strategy
from reconciler.core.clock import Clock
from reconciler.core.ids import Ids
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.namespace import Namespace
from reconciler.model.pod import Pod
from reconciler.model.time import format_time
from reconciler.store.protocol import (
    Conflict,
    Event,
    Operation,
    Put,
    Record,
    Remove,
    Store,
    StoreUnavailable,
)

K = TypeVar("K", bound=KubeObject)

_DECODED = 256  # objects kept decoded for readers that hold none themselves
_NAME_ATTEMPTS = 8
_WRITE_ATTEMPTS = 100  # an unconditional write loses against others this often before it gives up


class Registry:
    """The API objects. `start` comes before everything else."""

    def __init__(
        self, store: Store, clock: Clock, ids: Ids, settings: RegistrySettings | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._codec = Codec(_DECODED)
        self._strategies = strategies.build(settings or RegistrySettings(), ids.below)

    async def start(self) -> None:
        """Learn what the stored objects have allocated; make the first namespaces."""
        for model, strategy in self._strategies.items():
            if type(strategy).adopt is not Strategy.adopt:
                strategy.adopt(self.list(model))
        for name in FIRST:
            if self._record(self._strategies[Namespace], "", name) is None:
                await self.create(Namespace.model_validate({"metadata": {"name": name}}))

    @property
    def revision(self) -> int:
        """The revision of the newest visible write: the resourceVersion of a list."""
        return self._store.revision

    def get(self, model: type[K], name: str, namespace: str = "") -> K:
        """Return one object; raises `StatusError` NotFound."""
        strategy = self._strategies[model]
        return self._codec.decode(model, self._existing(strategy, namespace, name))

    def list(self, model: type[K], namespace: str = "") -> list[K]:
        """Return the objects of a kind ordered by (namespace, name)."""
        return [self._codec.decode(model, record) for record in self.records(model, namespace)]

    def records(self, model: type[KubeObject], namespace: str = "") -> Sequence[Record]:
        """Return the encoded objects of a kind, for readers that need no more than bytes."""
        return self._store.list(self._strategies[model].resource.key_kind, namespace)

    def decode(self, model: type[K], record: Record) -> K:
        """Return the object of a record; readers of one record share one object."""
        return self._codec.decode(model, record)

    def watch(
        self, model: type[KubeObject], namespace: str = "", *, since: int
    ) -> AsyncIterator[Event]:
        """Yield the changes of a kind after revision `since`; raises the store's `Compacted`."""
        return self._store.watch(self._strategies[model].resource.key_kind, namespace, since=since)

    async def create(self, obj: K, *, manager: str = "", dry_run: bool = False) -> K:
        """Create `obj`, which has passed decoding; return it as stored."""
        generated = not obj.metadata.name and bool(obj.metadata.generate_name)
        for _ in range(_NAME_ATTEMPTS - 1):
            try:
                return await self._create(obj, manager, dry_run=dry_run)
            except StatusError as error:
                if not (generated and error.reason == "AlreadyExists"):
                    raise
        return await self._create(obj, manager, dry_run=dry_run)

    async def update(
        self, obj: K, *, subresource: str = "", manager: str = "", dry_run: bool = False
    ) -> K:
        """Replace an object, or what `subresource` ("status", "finalize") names of it.

        With a resourceVersion only that version is replaced; without, the newest one. What changes
        nothing is not written. An object that this write releases is removed.
        """
        strategy: Strategy[K] = self._strategies[type(obj)]
        meta = obj.metadata
        pinned = meta.resource_version not in ("", "0")

        def successor(old: K) -> K:
            self._check_version(strategy, obj, old)
            return self._successor(strategy, obj, old, subresource)

        return await self._replace(
            strategy, meta.namespace, meta.name, successor, retry=not pinned, dry_run=dry_run
        )

    async def delete(
        self, model: type[K], name: str, namespace: str = "", options: DeleteOptions | None = None
    ) -> tuple[K, bool]:
        """Ask for deletion; return the object's last or present state, and whether it is gone."""
        asked = options or DeleteOptions()
        strategy = self._strategies[model]
        for _ in range(_WRITE_ATTEMPTS):
            record = self._existing(strategy, namespace, name)
            old = self._codec.decode(model, record)
            _check_preconditions(strategy, old, asked)
            verdict = strategy.decide(old, asked, self._clock.now())
            if asked.dry_run or (verdict.obj is old and not verdict.gone):
                return verdict.obj, verdict.gone
            write = self._remove if verdict.gone else self._put
            try:
                return await write(strategy, verdict.obj, record), verdict.gone
            except Conflict:
                await self._settle()
        raise errors.conflict(strategy.resource, name)

    async def bind(self, name: str, namespace: str, node: str, *, uid: str = "") -> Pod:
        """Assign a pod to a node: the `binding` subresource."""
        strategy = self._strategies[Pod]
        now = format_time(self._clock.now())

        def assigned(pod: Pod) -> Pod:
            fault = _binding_fault(pod, uid)
            if fault:
                raise errors.conflict(strategy.resource, name, fault, suffix="/binding")
            return pods.bound(pod, node, now)

        return await self._replace(strategy, namespace, name, assigned, retry=True)

    async def _create(self, obj: K, manager: str, *, dry_run: bool) -> K:
        strategy: Strategy[K] = self._strategies[type(obj)]
        new = self._born(strategy, apply_defaults(obj))
        self._check_place(strategy, new.metadata.namespace, new.metadata.name)
        new, claim = strategy.claim(strategy.for_create(new), None)
        try:
            _check(strategy, new, validate(new))
            self._check_absent(strategy, new)
            if dry_run:
                claim.cancel()
                return new
            return await self._put(strategy, new, None, claim)
        except Conflict as error:
            claim.cancel()
            raise errors.already_exists(strategy.resource, new.metadata.name) from error
        except StatusError:
            claim.cancel()
            raise

    def _born(self, strategy: Strategy[K], obj: K) -> K:
        meta = obj.metadata
        name = meta.name or (
            metadata.generated_name(meta.generate_name, self._ids.suffix())
            if meta.generate_name
            else ""
        )
        fresh = metadata.for_create(
            meta,
            name=name,
            uid=self._ids.uid(),
            now=format_time(self._clock.now()),
            generation=1 if strategy.generation else 0,
        )
        return obj.replace(metadata=fresh)

    def _check_place(self, strategy: Strategy[Any], namespace: str, name: str) -> None:
        """Refuse content in a namespace that is not there or going away (NamespaceLifecycle)."""
        if not strategy.resource.namespaced:
            return
        spaces = self._strategies[Namespace]
        if not namespace:
            raise errors.bad_request("an empty namespace may not be set during creation")
        home = self._codec.decode(Namespace, self._existing(spaces, "", namespace))
        if home.metadata.deletion_timestamp is not None:
            raise errors.terminating(strategy.resource, name, namespace)

    def _check_absent(self, strategy: Strategy[K], new: K) -> None:
        record = self._record(strategy, new.metadata.namespace, new.metadata.name)
        if record is not None:
            there = self._codec.decode(strategy.model, record)
            deleting = there.metadata.deletion_timestamp is not None
            raise errors.already_exists(strategy.resource, new.metadata.name, deleting=deleting)

    def _check_version(self, strategy: Strategy[K], obj: K, old: K) -> None:
        meta, resource = obj.metadata, strategy.resource
        wanted = meta.resource_version
        if wanted not in ("", "0", old.metadata.resource_version):
            raise errors.conflict(resource, meta.name)
        if meta.uid and meta.uid != old.metadata.uid:
            path = f"{resource.plural}/{meta.namespace}".rstrip("/")
            cause = (
                f"StorageError: invalid object, Code: 4, Key: /registry/{path}/{meta.name},"
                " ResourceVersion: 0, AdditionalErrorMsg: Precondition failed:"
                f" UID in precondition: {meta.uid}, UID in object meta: {old.metadata.uid}"
            )
            raise errors.conflict(resource, meta.name, cause)

    def _successor(self, strategy: Strategy[K], obj: K, old: K, subresource: str) -> K:
        new = obj.replace(metadata=metadata.for_update(obj.metadata, old.metadata))
        if subresource:
            return strategy.for_subresource(subresource, new, old)
        return strategy.for_update(apply_defaults(new), old)

    async def _replace(
        self,
        strategy: Strategy[K],
        namespace: str,
        name: str,
        successor: Callable[[K], K],
        *,
        retry: bool,
        dry_run: bool = False,
    ) -> K:
        """Write what `successor` makes of the present object, again when others were faster."""
        for _ in range(_WRITE_ATTEMPTS):
            record = self._existing(strategy, namespace, name)
            old = self._codec.decode(strategy.model, record)
            try:
                return await self._write(strategy, record, old, successor(old), dry_run=dry_run)
            except Conflict as error:
                if not retry:
                    raise errors.conflict(strategy.resource, name) from error
            await self._settle()
        raise errors.conflict(strategy.resource, name)

    async def _write(
        self, strategy: Strategy[K], record: Record, old: K, new: K, *, dry_run: bool
    ) -> K:
        if new == old:
            return old
        new, claim = strategy.claim(self._counted(strategy, new, old), old)
        try:
            _check(strategy, new, validate_update(new, old))
            if dry_run:
                claim.cancel()
                return new
            if strategy.is_released(new):
                return await self._remove(strategy, new, record)
            return await self._put(strategy, new, record, claim)
        except (StatusError, Conflict):
            claim.cancel()
            raise

    def _counted(self, strategy: Strategy[K], new: K, old: K) -> K:
        if not strategy.generation or strategy.same_spec(new, old):
            return new
        meta = new.metadata.replace(generation=old.metadata.generation + 1)
        return new.replace(metadata=meta)

    async def _put(
        self, strategy: Strategy[K], obj: K, replaced: Record | None, claim: Claim = NO_CLAIM
    ) -> K:
        encoding = Encoding(obj)
        key = _key(strategy, obj.metadata.namespace, obj.metadata.name)
        expect = replaced.revision if replaced else 0
        stored = await self._commit(Put(key, encoding, expect), encoding)
        claim.keep()
        return stored

    async def _remove(self, strategy: Strategy[K], obj: K, record: Record) -> K:
        encoding = Encoding(obj)
        stored = await self._commit(Remove(record.key, encoding, record.revision), encoding)
        strategy.release(obj)
        return stored

    async def _commit(self, operation: Operation, encoding: Encoding[K]) -> K:
        """Write; the caller that is cancelled meanwhile leaves its claim taken, to be safe."""
        try:
            (record,) = await self._store.commit((operation,))
        except StoreUnavailable as error:
            raise errors.unavailable(str(error)) from error
        self._codec.remember(record, encoding.obj)
        return encoding.obj

    async def _settle(self) -> None:
        """Wait until the writes that were faster are visible."""
        try:
            await self._store.commit(())
        except StoreUnavailable as error:
            raise errors.unavailable(str(error)) from error

    def _existing(self, strategy: Strategy[Any], namespace: str, name: str) -> Record:
        record = self._record(strategy, namespace, name)
        if record is None:
            raise errors.not_found(strategy.resource, name)
        return record

    def _record(self, strategy: Strategy[Any], namespace: str, name: str) -> Record | None:
        return self._store.get(_key(strategy, namespace, name))


def _key(strategy: Strategy[Any], namespace: str, name: str) -> ObjectKey:
    return ObjectKey(strategy.resource.key_kind, namespace, name)


def _check(strategy: Strategy[Any], obj: KubeObject, faults: tuple[Any, ...]) -> None:
    if faults:
        raise errors.invalid(strategy.resource, obj.metadata.name, faults)


def _check_preconditions(strategy: Strategy[K], obj: K, options: DeleteOptions) -> None:
    meta, resource = obj.metadata, strategy.resource
    if options.uid and options.uid != meta.uid:
        raise errors.uid_mismatch(resource, meta.name, options.uid, meta.uid)
    wanted = options.resource_version
    if wanted and wanted != meta.resource_version:
        raise errors.version_mismatch(resource, meta.name, wanted, meta.resource_version)


def _binding_fault(pod: Pod, uid: str) -> str:
    """Return why the pod cannot be bound, empty when it can."""
    name = pod.metadata.name
    if uid and uid != pod.metadata.uid:
        found = pod.metadata.uid
        return f"Precondition failed: UID in precondition: {uid}, UID in object meta: {found}"
    if pod.metadata.deletion_timestamp is not None:
        return f"pod {name} is being deleted, cannot be assigned to a host"
    if pod.spec.node_name:
        return f'pod {name} is already assigned to node "{pod.spec.node_name}"'
    if pod.spec.scheduling_gates:
        return f"pod {name} has non-empty .spec.schedulingGates"
    return ""
