"""What a new object is given and asked before any other rule: name, uid, and a place to be.

Used by `registry.py` alone.
"""

from __future__ import annotations

from typing import TypeVar

from reconciler.apiserver.registry import errors, metadata
from reconciler.apiserver.registry.access import Access
from reconciler.apiserver.registry.strategy import Strategy
from reconciler.core.ids import Ids
from reconciler.model import kinds
from reconciler.model.derived import is_derived
from reconciler.model.meta import KubeObject
from reconciler.model.namespace import Namespace
from reconciler.model.retirement import REMOVE_AT, is_retired

K = TypeVar("K", bound=KubeObject)


def born(strategy: Strategy[K], obj: K, ids: Ids, now: str) -> K:
    """Return `obj` with the metadata that the server gives; a name is made where none is given."""
    meta = obj.metadata
    name = meta.name
    if not name and meta.generate_name:
        name = metadata.generated_name(meta.generate_name, ids.suffix())
    generation = 1 if strategy.generation else 0
    fresh = metadata.for_create(meta, name=name, uid=ids.uid(), now=now, generation=generation)
    return obj.replace(metadata=fresh)


def check_place(access: Access, strategy: Strategy[K], obj: K) -> None:
    """Refuse content in a namespace that is not there or going away (NamespaceLifecycle).

    One that rests goes away with what was in it when a person agreed to that.
    """
    if not strategy.resource.namespaced:
        return
    meta = obj.metadata
    if not meta.namespace:
        raise errors.bad_request("an empty namespace may not be set during creation")
    home = access.decode(Namespace, access.existing(kinds.of(Namespace), "", meta.namespace))
    if home.metadata.deletion_timestamp is not None:
        raise errors.terminating(strategy.resource, meta.name, meta.namespace)
    if is_retired(home) and not is_derived(obj):
        until = home.metadata.annotations[REMOVE_AT]
        raise errors.resting(strategy.resource, meta.name, meta.namespace, until)


def check_absent(access: Access, strategy: Strategy[K], obj: K) -> None:
    """Refuse a name that is taken."""
    meta = obj.metadata
    record = access.find(strategy.resource, meta.namespace, meta.name)
    if record is not None:
        there = access.decode(strategy.model, record)
        deleting = there.metadata.deletion_timestamp is not None
        raise errors.already_exists(strategy.resource, meta.name, deleting=deleting)
