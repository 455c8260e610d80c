"""Rules of StorageClasses."""

from __future__ import annotations

from reconciler.admission.errors import Errors, forbidden, invalid, not_supported, required
from reconciler.admission.rules import names
from reconciler.admission.rules.meta import validate_meta
from reconciler.model.storageclass import StorageClass

POLICIES = ("Delete", "Retain")
BINDING_MODES = ("Immediate", "WaitForFirstConsumer")
_PARAMETERS_MAX = 512
_PARAMETERS_BYTES = 256 * 1024


def storage_class(obj: StorageClass) -> Errors:
    """ValidateStorageClass."""
    yield from validate_meta(obj, namespaced=False)
    if obj.provisioner:
        messages = names.qualified_name(obj.provisioner.lower())
        yield from names.each("provisioner", obj.provisioner, messages)
    else:
        yield required("provisioner")
    yield from _parameters(obj)
    if obj.reclaim_policy is not None and obj.reclaim_policy not in POLICIES:
        yield not_supported("reclaimPolicy", obj.reclaim_policy, POLICIES)
    if obj.volume_binding_mode is None:
        yield required("volumeBindingMode")
    elif obj.volume_binding_mode not in BINDING_MODES:
        yield not_supported("volumeBindingMode", obj.volume_binding_mode, BINDING_MODES)
    yield from _topologies(obj)


def _parameters(obj: StorageClass) -> Errors:
    if len(obj.parameters) > _PARAMETERS_MAX:
        yield invalid("parameters", len(obj.parameters), f"must have at most {_PARAMETERS_MAX}")
    if any(not key for key in obj.parameters):
        yield invalid("parameters", "", "field can not be empty.")
    size = sum(len(key) + len(value) for key, value in obj.parameters.items())
    if size > _PARAMETERS_BYTES:
        yield invalid("parameters", size, f"must have at most {_PARAMETERS_BYTES} bytes")


def _topologies(obj: StorageClass) -> Errors:
    for index, term in enumerate(obj.allowed_topologies):
        for place, need in enumerate(term.match_label_expressions):
            path = f"allowedTopologies[{index}].matchLabelExpressions[{place}]"
            yield from names.each(f"{path}.key", need.key, names.qualified_name(need.key))
            if not need.values:
                yield required(f"{path}.values")


def storage_class_update(new: StorageClass, old: StorageClass) -> Errors:
    """ValidateStorageClassUpdate: what volumes were made by may not change."""
    for field, value, before in (
        ("parameters", new.parameters, old.parameters),
        ("provisioner", new.provisioner, old.provisioner),
        ("reclaimPolicy", new.reclaim_policy, old.reclaim_policy),
    ):
        if value != before:
            yield forbidden(field, f"updates to {field} are forbidden.")
    if new.volume_binding_mode != old.volume_binding_mode:
        yield invalid("volumeBindingMode", new.volume_binding_mode, "field is immutable")
