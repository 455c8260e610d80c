"""Patches of a kustomization: strategic merge and JSON 6902, and what they are for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from reconciler.admission.rules.names import label_value
from reconciler.core import jsonpatch
from reconciler.desired.kustomize.merge import strategic
from reconciler.desired.kustomize.resource import Id, Json, Place, Resource, bad
from reconciler.desired.patterns import compiled
from reconciler.model import kinds
from reconciler.model.selector import Selector, SelectorError, parse

_NOWHERE = "_non_namespaceable_"
_DIRECTIVES = ("$setElementOrder/", "$deleteFromPrimitiveList/", "$retainKeys")


@dataclass(frozen=True, slots=True)
class Patch:
    """One patch: a mapping to merge, or a list of operations; `target` chooses the objects."""

    content: Any
    place: Place
    target: Mapping[str, Any] | None
    options: Mapping[str, Any]


def apply(resources: list[Resource], patch: Patch) -> list[Resource]:
    """Return the objects after a patch; raises `Bad` when it fits none or cannot be applied."""
    if isinstance(patch.content, list):
        if patch.target is None:
            raise bad(patch.place, "", "a JSON patch needs a target")
        for each in select(resources, patch.target, patch.place):
            _operations(each, patch)
        return resources
    if not isinstance(patch.content, dict):
        raise bad(patch.place, "", "a patch is a mapping, or a list of operations")
    if directive := _unread(patch.content):
        message = f"{directive} is not read, by kustomize neither"
        raise bad(patch.place, "", message, "use $patch: replace or $patch: delete")
    chosen = _targets(resources, patch)
    gone = {id(each) for each in chosen if not _merge(each, patch)}
    return [each for each in resources if id(each) not in gone]


def _unread(value: Any) -> str:
    """Return the first directive of a patch that only kube-apiserver follows, or ""."""
    if isinstance(value, dict):
        found = next((key for key in value if key.startswith(_DIRECTIVES)), "")
        return found or _unread(list(value.values()))
    if isinstance(value, list):
        return next((found for item in value if (found := _unread(item))), "")
    return ""


def _targets(resources: Sequence[Resource], patch: Patch) -> list[Resource]:
    if patch.target is not None:
        return select(resources, patch.target, patch.place)
    metadata = patch.content.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    wanted = Id(
        str(patch.content.get("apiVersion", "")),
        str(patch.content.get("kind", "")),
        str(named.get("namespace") or ""),
        str(named.get("name") or ""),
    )
    found = [each for each in resources if any(wanted.same(each_id) for each_id in each.ids())]
    if len(found) != 1:
        many = "no object" if not found else "more than one object"
        raise bad(patch.place, "metadata.name", f"the patch is for {many}: {wanted}")
    return found


def _merge(target: Resource, patch: Patch) -> bool:
    """Merge a patch into an object; return False when it deletes it."""
    before = target.id
    merged = strategic(target.value, patch.content)
    if merged is None:
        return False
    if not isinstance(merged.get("metadata") or {}, dict):
        raise bad(patch.place, "metadata", "the patch leaves no metadata", name=str(before))
    metadata: Json = dict(merged.get("metadata") or {})
    if not patch.options.get("allowNameChange"):
        metadata["name"] = before.name
    if not patch.options.get("allowKindChange"):
        merged["kind"] = before.kind
        merged["apiVersion"] = target.value.get("apiVersion")
    if before.namespace:
        metadata["namespace"] = before.namespace
    else:
        metadata.pop("namespace", None)
    merged["metadata"] = metadata
    _settle(target, merged, before, patch.place)
    return True


def _operations(target: Resource, patch: Patch) -> None:
    before = target.id
    if any(isinstance(each, dict) and each.get("path") == "" for each in patch.content):
        raise bad(patch.place, "", 'the JSON patch does not fit: the path "" is missing')
    try:
        changed = jsonpatch.apply(target.value, patch.content)
    except (jsonpatch.Inapplicable, jsonpatch.TooManyOperations) as error:
        raise bad(
            patch.place, "", f"the JSON patch does not fit: {error}", name=str(before)
        ) from error
    if not isinstance(changed, dict) or not isinstance(changed.get("metadata"), dict):
        raise bad(patch.place, "", "the JSON patch leaves no object", name=str(before))
    _settle(target, changed, before, patch.place)


def _settle(target: Resource, value: Json, before: Id, place: Place) -> None:
    target.value = value
    target.patches.append(place)
    if target.id != before:
        target.former.append(before)


def select(
    resources: Iterable[Resource], target: Mapping[str, Any], place: Place
) -> list[Resource]:
    """Return the objects that a target's group, version, kind, name, namespace and labels fit."""
    try:
        return [each for each in resources if _fits(each, target)]
    except (ValueError, SelectorError) as error:
        raise bad(place, "target", str(error)) from error


def _fits(each: Resource, target: Mapping[str, Any]) -> bool:
    return (
        any(_fits_id(one, target) for one in each.ids())
        and _fits_pairs(each.pairs("labels"), target.get("labelSelector"))
        and _fits_pairs(each.pairs("annotations"), target.get("annotationSelector"))
    )


def _fits_id(one: Id, target: Mapping[str, Any]) -> bool:
    group, _, version = one.api_version.rpartition("/")
    return all(
        not wanted or compiled(str(wanted)).fullmatch(value)
        for wanted, value in (
            (target.get("group"), group),
            (target.get("version"), version),
            (target.get("kind"), one.kind),
            (target.get("name"), one.name),
            (target.get("namespace"), _namespace(one)),
        )
    )


def _namespace(one: Id) -> str:
    """Return the namespace of an object, in which nothing is that has none."""
    known = kinds.by_gvk(one.api_version, one.kind)
    if known is not None and not known.namespaced:
        return _NOWHERE
    return one.namespace or "default"


def _fits_pairs(have: Mapping[str, Any], selector: Any) -> bool:
    """Return whether labels or annotations meet a selector in Kubernetes' string form."""
    return not selector or _selector(str(selector)).matches(have)


@lru_cache(maxsize=256)
def _selector(text: str) -> Selector:
    """Return a selector; raises `ValueError` for one whose values could be no label's."""
    found = parse(text)
    for requirement in found.requirements:
        for value in requirement.values:
            if label_value(value):
                raise ValueError(f"{text!r}: {value!r} is no value of a label")
    return found
