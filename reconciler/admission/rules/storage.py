"""Rules of PersistentVolumes."""

from __future__ import annotations

import posixpath
from collections.abc import Callable
from typing import Any

from reconciler.admission.errors import (
    Errors,
    FieldError,
    GoValue,
    Reason,
    forbidden,
    invalid,
    not_supported,
    required,
)
from reconciler.admission.rules import names
from reconciler.admission.rules.claim import POSITIVE, access_modes, volume_mode
from reconciler.admission.rules.meta import validate_meta
from reconciler.admission.rules.resources import amount
from reconciler.admission.rules.selectors import node_selector
from reconciler.admission.rules.volume import csi_driver
from reconciler.admission.rules.volumesource import SHARED
from reconciler.model import quantity
from reconciler.model.storage import (
    CSIPersistentVolumeSource,
    LocalVolumeSource,
    PersistentVolume,
    PersistentVolumeSpec,
)

RECLAIM_POLICIES = ("Delete", "Recycle", "Retain")
_SECOND_SOURCE = "may not specify more than 1 volume type"


def persistent_volume(obj: PersistentVolume) -> Errors:
    """ValidatePersistentVolume."""
    yield from validate_meta(obj, namespaced=False)
    spec = obj.spec
    if not spec.access_modes:
        yield required("spec.accessModes")
    yield from access_modes(spec.access_modes, "spec.accessModes")
    yield from _capacity(spec)
    policy = spec.persistent_volume_reclaim_policy
    if policy and policy not in RECLAIM_POLICIES:
        yield not_supported("spec.persistentVolumeReclaimPolicy", policy, RECLAIM_POLICIES)
    yield from _node_affinity(spec)
    yield from _sources(spec)
    if spec.host_path and posixpath.normpath(spec.host_path.path) == "/" and policy == "Recycle":
        text = "may not be 'recycle' for a hostPath mount of '/'"
        yield forbidden("spec.persistentVolumeReclaimPolicy", text)
    if spec.storage_class_name:
        messages = names.dns_subdomain(spec.storage_class_name)
        yield from names.each("spec.storageClassName", spec.storage_class_name, messages)
    yield from volume_mode(spec.volume_mode, "spec.volumeMode")


def _capacity(spec: PersistentVolumeSpec) -> Errors:
    if not spec.capacity:
        yield required("spec.capacity")
    elif spec.capacity.keys() != {"storage"}:
        shown = GoValue("core.ResourceList{...}")
        text = 'supported values: "storage"'
        yield FieldError("spec.capacity", Reason.NOT_SUPPORTED, text, shown)
    for name, value in spec.capacity.items():
        where = f"spec.capacity[{name}]"
        yield from amount(name, value, where)
        if quantity.parse(value).value <= 0:
            yield invalid(where, value, POSITIVE)


def _node_affinity(spec: PersistentVolumeSpec) -> Errors:
    if spec.node_affinity is None:
        return
    where = "spec.nodeAffinity.required"
    if spec.node_affinity.required is None:
        yield required(where, "must specify required node constraints")
    else:
        yield from node_selector(spec.node_affinity.required, where)


def _sources(spec: PersistentVolumeSpec) -> Errors:
    count = 0
    for attribute, field, rule in _RULES:
        source = getattr(spec, attribute, None)
        if source is None:
            continue
        count += 1
        if count > 1:
            yield forbidden(f"spec.{field}", _SECOND_SOURCE)
            continue
        yield from rule(source, f"spec.{field}")
        if field == "local" and spec.node_affinity is None:
            yield required("spec.nodeAffinity", "Local volume requires node affinity")
    if not count:
        yield required("spec", "must specify a volume type")


def _local(source: LocalVolumeSource, path: str) -> Errors:
    if not source.path:
        yield required(f"{path}.path")
    messages = names.path_without_backsteps(source.path)
    yield from names.each(f"{path}.path", source.path, messages)


def _csi(source: CSIPersistentVolumeSource, path: str) -> Errors:
    yield from csi_driver(source.driver, f"{path}.driver")
    if not source.volume_handle:
        yield required(f"{path}.volumeHandle")
    for field, ref in (
        ("controllerPublishSecretRef", source.controller_publish_secret_ref),
        ("controllerExpandSecretRef", source.controller_expand_secret_ref),
        ("nodePublishSecretRef", source.node_publish_secret_ref),
        ("nodeExpandSecretRef", source.node_expand_secret_ref),
    ):
        if ref is not None and not ref.name:
            yield required(f"{path}.{field}.name")
        if ref is not None and not ref.namespace:
            yield required(f"{path}.{field}.namespace")


_RULES: tuple[tuple[str, str, Callable[[Any, str], Errors]], ...] = (
    *SHARED,
    ("local", "local", _local),
    ("csi", "csi", _csi),
)
