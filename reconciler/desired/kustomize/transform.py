"""Namespace, labels, annotations, images and replicas over a set of objects. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from reconciler.desired.kustomize import rbac
from reconciler.desired.kustomize.fields import FieldSpec, change, specs_for
from reconciler.desired.kustomize.resource import Json, Resource
from reconciler.desired.patterns import compiled

LABELS = (FieldSpec("metadata/labels", create=True),)
TEMPLATE_LABELS = (
    *LABELS,
    FieldSpec("spec/template/metadata/labels", "ReplicationController", create=True),
)
SELECTOR_LABELS = (
    *TEMPLATE_LABELS,
    FieldSpec("spec/selector", "Service", create=True),
    FieldSpec("spec/selector", "ReplicationController", create=True),
)
ANNOTATIONS = (
    FieldSpec("metadata/annotations", create=True),
    FieldSpec("spec/template/metadata/annotations", "ReplicationController", create=True),
)
_CONTAINERS = ("containers", "initContainers")


def set_namespace(resources: Iterable[Resource], namespace: str) -> None:
    """Put every namespaced object into `namespace`; a Namespace itself takes the name."""
    for each in resources:
        if each.kind == "Namespace":
            each.remember()
            each.metadata["name"] = namespace
        elif each.namespaced:
            each.remember()
            each.metadata["namespace"] = namespace
        rbac.move_default_subjects(each, namespace)


def set_pairs(
    resources: Iterable[Resource], pairs: Mapping[str, str], specs: Sequence[FieldSpec]
) -> None:
    """Set labels or annotations in the fields that `specs` name."""
    if not pairs:
        return
    for each in resources:
        for spec in specs_for(specs, each.kind):
            change(each.value, spec, lambda old: {**_mapping(old), **pairs})


def _mapping(value: Any) -> Json:
    return value if isinstance(value, dict) else {}


def set_replicas(resources: Iterable[Resource], name: str, count: int) -> list[Resource]:
    """Set the replicas of every controller called `name`; return those."""
    found = [
        each
        for each in resources
        if each.kind == "ReplicationController" and any(i.name == name for i in each.ids())
    ]
    for each in found:
        change(each.value, FieldSpec("spec/replicas", create=True), lambda _: count)
    return found


def set_images(resources: Iterable[Resource], image: Mapping[str, Any]) -> None:
    """Give every container with this image the new name, tag or digest.

    Kustomize goes over the fields twice, which shows where a tag gets a suffix.
    """
    for each in resources:
        _images_in(each.value, image)
        _images_in(each.value, image)


def _images_in(value: Any, image: Mapping[str, Any]) -> None:
    if isinstance(value, list):
        for item in value:
            _images_in(item, image)
    elif isinstance(value, dict):
        for key, member in value.items():
            if key in _CONTAINERS and isinstance(member, list):
                for container in member:
                    _set_image(container, image)
            else:
                _images_in(member, image)


def _set_image(container: Any, image: Mapping[str, Any]) -> None:
    if isinstance(container, dict) and isinstance(container.get("image"), str):
        container["image"] = new_image(container["image"], image)


def new_image(old: str, image: Mapping[str, Any]) -> str:
    """Return `old` as an entry of `images` has it; unchanged when its name is another one.

    A new tag drops the old digest, a new digest the old tag.
    """
    name, tag, digest = split_image(old)
    if not compiled(str(image["name"])).fullmatch(name):
        return old
    new_tag, new_digest = str(image.get("newTag") or ""), str(image.get("digest") or "")
    if new_tag or new_digest:
        tag, digest = new_tag, new_digest
    elif image.get("tagSuffix"):
        tag, digest = f"{tag}{image['tagSuffix']}", ""
    name = str(image.get("newName") or name)
    return name + (f":{tag}" if tag else "") + (f"@{digest}" if digest else "")


def split_image(image: str) -> tuple[str, str, str]:
    """Return name, tag and digest of an image; a colon before the last slash is a port."""
    rest, _, digest = image.partition("@")
    slash = rest.rfind("/")
    colon = rest.find(":", slash + 1)
    return (rest, "", digest) if colon < 0 else (rest[:colon], rest[colon + 1 :], digest)


def set_labels(resources: Sequence[Resource], entry: Mapping[str, Any]) -> None:
    """Follow one entry of `labels`."""
    specs: tuple[FieldSpec, ...] = LABELS
    if entry.get("includeSelectors"):
        specs = SELECTOR_LABELS
    elif entry.get("includeTemplates"):
        specs = TEMPLATE_LABELS
    extra = tuple(map(_spec, entry.get("fields") or ()))
    set_pairs(resources, entry.get("pairs") or {}, (*specs, *extra))


def _spec(entry: Json) -> FieldSpec:
    return FieldSpec(entry["path"], entry.get("kind", ""), bool(entry.get("create", False)))
