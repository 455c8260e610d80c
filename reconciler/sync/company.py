"""What goes with an object that ends, though its own end is not planned for. Pure.

Called by `care.py`, so that a person who agrees to an end is told the whole of it. With a Namespace
goes all that is in it, whoever made it; with a Source all that it declares, unless it prunes
nothing. What the system makes for others (`model/derived.py`) comes and goes by itself and counts
for nothing, and what is being deleted goes anyway.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.model.derived import is_derived
from reconciler.model.gitops import Source
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.sync.identity import source_of

_Groups = Mapping[str, list[KubeObject]]


def company(
    ends: Iterable[ObjectKey], live: Mapping[ObjectKey, KubeObject]
) -> dict[ObjectKey, list[KubeObject]]:
    """Return what goes with each Namespace and Source of `ends`, sorted by key.

    A Namespace or Source among that takes its own company along.
    """
    heads = [key for key in ends if _takes_along(live.get(key))]
    if not heads:
        return {}
    inside, declared = _grouped(live.values())
    return {head: _reached(head, live, inside, declared) for head in heads}


def _takes_along(obj: KubeObject | None) -> bool:
    return obj is not None and (obj.kind == "Namespace" or isinstance(obj, Source))


def _grouped(live: Iterable[KubeObject]) -> tuple[_Groups, _Groups]:
    """Return the objects by namespace and by source."""
    inside: dict[str, list[KubeObject]] = {}
    declared: dict[str, list[KubeObject]] = {}
    for obj in live:
        if obj.metadata.deletion_timestamp or is_derived(obj):
            continue
        if obj.metadata.namespace:
            inside.setdefault(obj.metadata.namespace, []).append(obj)
        if source := source_of(obj):
            declared.setdefault(source, []).append(obj)
    return inside, declared


def _reached(
    head: ObjectKey, live: Mapping[ObjectKey, KubeObject], inside: _Groups, declared: _Groups
) -> list[KubeObject]:
    found: dict[ObjectKey, KubeObject] = {}
    front = [head]
    while front:
        key = front.pop()
        obj = live.get(key)
        if isinstance(obj, Source):
            near = [] if obj.spec.prune is False else declared.get(key.name, [])
        else:
            near = inside.get(key.name, [])
        for each in near:
            if each.key != head and each.key not in found:
                found[each.key] = each
                front += [each.key] if _takes_along(each) else []
    return [found[key] for key in sorted(found)]
