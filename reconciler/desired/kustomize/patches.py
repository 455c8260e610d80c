"""Patches of a kustomization: strategic merge and JSON 6902, and what they are for. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.core import jsonpatch
from reconciler.desired.kustomize.merge import strategic
from reconciler.desired.kustomize.resource import Id, Json, Place, Resource, bad
from reconciler.desired.patterns import compiled

_LABEL = re.compile(
    r"^\s*(?P<not>!)?(?P<key>[^\s=!,()]+)\s*(?:(?P<op>=|==|!=|\bin\b|\bnotin\b)\s*(?P<rest>.*))?$"
)
_BETWEEN = re.compile(r",(?![^(]*\))")


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
    chosen = _targets(resources, patch)
    gone = {id(each) for each in chosen if not _merge(each, patch)}
    return [each for each in resources if id(each) not in gone]


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
    except ValueError as error:
        raise bad(place, "target", str(error)) from error


def _fits(each: Resource, target: Mapping[str, Any]) -> bool:
    return (
        any(_fits_id(one, target) for one in each.ids())
        and _fits_pairs(each.pairs("labels"), target.get("labelSelector"))
        and _fits_pairs(each.pairs("annotations"), target.get("annotationSelector"))
    )


def _fits_id(one: Id, target: Mapping[str, Any]) -> bool:
    group, _, version = one.api_version.rpartition("/")
    namespace = one.namespace or "default"
    return all(
        not wanted or compiled(str(wanted)).fullmatch(value)
        for wanted, value in (
            (target.get("group"), group),
            (target.get("version"), version),
            (target.get("kind"), one.kind),
            (target.get("name"), one.name),
            (target.get("namespace"), namespace),
        )
    )


def _fits_pairs(have: Mapping[str, Any], selector: Any) -> bool:
    """Return whether labels meet a selector in Kubernetes' string form."""
    return all(_meets(have, text) for text in _BETWEEN.split(str(selector)) if selector)


def _meets(have: Mapping[str, Any], text: str) -> bool:
    found = _LABEL.match(text)
    if found is None:
        raise ValueError(f"{text!r} is no label selector")
    key, operator, rest = found["key"], found["op"], (found["rest"] or "").strip()
    if operator is None:
        return (key in have) is not bool(found["not"])
    if operator in ("=", "=="):
        return have.get(key) == rest
    if operator == "!=":
        return have.get(key) != rest
    values = [value.strip() for value in rest.strip("()").split(",")]
    return (have.get(key) in values) is (operator == "in")
