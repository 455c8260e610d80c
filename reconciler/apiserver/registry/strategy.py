"""What a kind does differently, as one object a kind: the seams of the registry.

`KINDS` in `strategies.py` lists them. The base is a plain kind: it may have a status of its own
and nothing else. Strategies are pure but for the Service's allocations.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Generic, TypeVar

from reconciler.apiserver.registry import deletion, errors
from reconciler.apiserver.registry.deletion import DeleteOptions, Verdict
from reconciler.model import kinds
from reconciler.model.meta import KubeObject

K = TypeVar("K", bound=KubeObject)


class Claim:
    """Things reserved for a write. The base reserves nothing."""

    def keep(self) -> None:
        """The write happened: let go of what it gave up."""

    def cancel(self) -> None:
        """The write did not happen: let go of what it took."""


NO_CLAIM = Claim()


class Strategy(Generic[K]):
    """A kind's rules around a write. `new` and `old` have passed decoding and defaulting."""

    generation = False
    """Whether metadata.generation counts the changes of the spec."""

    orphan_by_default = False
    """Whether a delete without a propagation policy orphans the dependents."""

    status_keeps_metadata = False
    """Whether a status write leaves labels and annotations alone, as a custom resource's does."""

    self_checked: frozenset[str] = frozenset()
    """Subresources whose writes `for_subresource` validates, by rules other than an update's."""

    def __init__(self, model: type[K]) -> None:
        self.model = model
        self.resource = kinds.of(model)

    def for_create(self, new: K) -> K:
        """Return `new` as it may be created: without the status that only others may set."""
        return self._with_status(new, None)

    def for_update(self, new: K, old: K) -> K:
        """Return `new` as it may replace `old`: with the status of `old`."""
        return self._with_status(new, old)

    def for_subresource(self, subresource: str, new: K, old: K) -> K:
        """Return the successor of `old` by a write to `subresource`; raises `StatusError`."""
        if subresource != "status":
            raise errors.not_found(self.resource, f"{old.metadata.name}/{subresource}")
        return self.for_status(new, old)

    def for_status(self, new: K, old: K) -> K:
        """Return `old` with what a status write may change taken from `new`."""
        if not self.resource.status:
            return old
        changes: dict[str, Any] = {"status": new.status}  # type: ignore[attr-defined]
        if not self.status_keeps_metadata:
            changes["metadata"] = new.metadata.replace(
                owner_references=old.metadata.owner_references
            )
        return old.replace(**changes)

    def same_spec(self, new: K, old: K) -> bool:
        """Say whether nothing changed that `generation` counts."""
        return bool(new.spec == old.spec)  # type: ignore[attr-defined]

    def claim(
        self,
        new: K,
        old: K | None,  # noqa: ARG002 - for overriders
        *,
        dry_run: bool = False,  # noqa: ARG002 - for overriders
    ) -> tuple[K, Claim]:
        """Reserve what `new` needs; `old` is what it replaces. May raise `StatusError`."""
        return new, NO_CLAIM

    def adopt(self, existing: Sequence[K]) -> None:
        """Learn at start what the stored objects have reserved."""

    def release(self, gone: K) -> None:
        """Let go of what an object had that left the store."""

    def grace(self, obj: K, options: DeleteOptions) -> int | None:  # noqa: ARG002 - for overriders
        """Return the seconds an object may take to end; None without graceful deletion."""
        return None

    def decide(self, obj: K, options: DeleteOptions, now: datetime) -> Verdict[K]:
        """Return what a delete request makes of `obj`."""
        grace = self.grace(obj, options)
        return deletion.decide(
            obj, options, now, grace=grace, orphan_by_default=self.orphan_by_default
        )

    def is_released(self, obj: K) -> bool:
        """Say whether a deleted object is held by nothing any more, so that it must go."""
        return deletion.is_released(obj)

    def _with_status(self, new: K, old: K | None) -> K:
        if not self.resource.status:
            return new
        status = old.status if old is not None else _empty_status(self.model)  # type: ignore[attr-defined]
        return new if new.status == status else new.replace(status=status)  # type: ignore[attr-defined]


@cache
def _empty_status(model: type[KubeObject]) -> Any:
    return model.model_fields["status"].get_default(call_default_factory=True, validated_data={})
