"""Rules of metadata: names, labels, annotations, owners, finalizers."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.admission.errors import (
    Errors,
    FieldError,
    GoValue,
    Reason,
    forbidden,
    invalid,
    required,
)
from reconciler.admission.rules import names
from reconciler.model.meta import KubeObject, ObjectMeta, OwnerReference

ANNOTATIONS_MAX = 256 * 1024
_STANDARD_FINALIZERS = frozenset(("kubernetes", "orphan", "foregroundDeletion"))


def validate_meta(
    obj: KubeObject, name_format: names.Format = names.dns_subdomain, *, namespaced: bool = True
) -> Errors:
    """ValidateObjectMeta. An empty namespace is the caller's business: it means the default one."""
    meta = obj.metadata
    yield from _names(meta, name_format)
    if meta.namespace and not namespaced:
        yield forbidden("metadata.namespace", "not allowed on this type")
    elif meta.namespace:
        yield from names.each("metadata.namespace", meta.namespace, names.dns_label(meta.namespace))
    if meta.labels:
        yield from labels(meta.labels, "metadata.labels")
    if meta.annotations:
        yield from annotation_map(meta.annotations, "metadata.annotations")
    if meta.owner_references:
        yield from owners(meta)
    if meta.finalizers:
        yield from _finalizers(meta.finalizers)


def _names(meta: ObjectMeta, name_format: names.Format) -> Errors:
    if meta.generate_name:
        # A prefix may end in a dash, which the random tail will follow.
        prefix = meta.generate_name
        tested = f"{prefix[:-1]}a" if prefix.endswith("-") and len(prefix) > 1 else prefix
        yield from names.each("metadata.generateName", prefix, name_format(tested))
    if meta.name:
        yield from names.each("metadata.name", meta.name, name_format(meta.name))
    elif not meta.generate_name:
        yield required("metadata.name", "name or generateName is required")


def labels(held: Mapping[str, str], path: str) -> Errors:
    """ValidateLabels: keys are qualified names, values label values."""
    for key, value in held.items():
        if messages := names.qualified_name(key):
            yield from names.each(path, key, messages)
        if messages := names.label_value(value):
            yield from names.each(path, value, messages)


def label_name(name: str, path: str) -> Errors:
    """ValidateLabelName."""
    return names.each(path, name, names.qualified_name(name))


def annotation_map(held: Mapping[str, str], path: str) -> Errors:
    """ValidateAnnotations: keys in any case, 256 KiB in all."""
    size = 0
    for key, value in held.items():
        if messages := names.qualified_name(key.lower()):
            yield from names.each(path, key, messages)
        size += len(key) + len(value)
    if size > ANNOTATIONS_MAX:
        yield FieldError(path, Reason.TOO_LONG, f"may not be more than {ANNOTATIONS_MAX} bytes", "")


def owners(meta: ObjectMeta) -> Errors:
    """ValidateOwnerReferences: each is whole, and one at most controls."""
    path = "metadata.ownerReferences"
    controllers = [owner for owner in meta.owner_references if owner.controller]
    for owner in meta.owner_references:
        yield from _owner(owner, path)
    if len(controllers) > 1:
        first, second = (owner.name for owner in controllers[:2])
        yield invalid(
            path,
            GoValue("[]v1.OwnerReference{...}"),
            "Only one reference can have Controller set to true. "
            f'Found "true" in references for {first} and {second}',
        )


def _owner(owner: OwnerReference, path: str) -> Errors:
    parts = owner.api_version.split("/")
    version = parts[-1] if len(parts) <= 2 else ""  # noqa: PLR2004 - group/version
    for name, field, value in (
        ("version", "apiVersion", version),
        ("kind", "kind", owner.kind),
        ("name", "name", owner.name),
        ("uid", "uid", owner.uid),
    ):
        if not value:
            shown = owner.api_version if field == "apiVersion" else value
            yield invalid(f"{path}.{field}", shown, f"{name} must not be empty")
    if owner.api_version == "v1" and owner.kind == "Event":
        shown = GoValue(f'v1.OwnerReference{{APIVersion:"v1", Kind:"Event", Name:"{owner.name}"}}')
        yield invalid(path, shown, "/v1, Kind=Event is disallowed from being an owner")


def _finalizers(finalizers: tuple[str, ...]) -> Errors:
    path = "metadata.finalizers"
    for finalizer in finalizers:
        yield from label_name(finalizer, path)
    if {"orphan", "foregroundDeletion"} <= set(finalizers):
        text = "finalizer orphan and foregroundDeletion cannot be both set"
        yield invalid(path, finalizers, text)
    for index, finalizer in enumerate(finalizers):
        yield from kube_finalizer(finalizer, f"{path}[{index}]")


def kube_finalizer(finalizer: str, path: str) -> Errors:
    """A finalizer without a prefix is one of Kubernetes' own."""
    if "/" not in finalizer and finalizer not in _STANDARD_FINALIZERS:
        yield invalid(
            path, finalizer, "name is neither a standard finalizer name nor is it fully qualified"
        )
