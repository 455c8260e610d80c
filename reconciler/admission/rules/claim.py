"""Rules of PersistentVolumeClaims."""

from __future__ import annotations

from reconciler.admission.errors import Errors, forbidden, invalid, not_supported, required
from reconciler.admission.rules import names
from reconciler.admission.rules.meta import validate_meta
from reconciler.admission.rules.selectors import label_selector
from reconciler.model import quantity
from reconciler.model.claim import PersistentVolumeClaim, PersistentVolumeClaimSpec

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
POSITIVE = "must be greater than zero"


def claim(obj: PersistentVolumeClaim) -> Errors:
    """ValidatePersistentVolumeClaim."""
    yield from validate_meta(obj)
    yield from claim_spec(obj.spec, "spec")


def claim_spec(spec: PersistentVolumeClaimSpec, path: str) -> Errors:
    """ValidatePersistentVolumeClaimSpec."""
    if not spec.access_modes:
        yield required(f"{path}.accessModes", "at least 1 access mode is required")
    yield from label_selector(spec.selector, f"{path}.selector")
    yield from access_modes(spec.access_modes, f"{path}.accessModes")
    storage, where = spec.resources.requests.get("storage"), f"{path}.resources[storage]"
    if storage is None:
        yield required(where)
    elif quantity.parse(storage).value <= 0:
        yield invalid(where, storage, POSITIVE)
    if spec.storage_class_name:
        messages = names.dns_subdomain(spec.storage_class_name)
        yield from names.each(f"{path}.storageClassName", spec.storage_class_name, messages)
    yield from volume_mode(spec.volume_mode, f"{path}.volumeMode")
    yield from _data_source(spec, path)


def access_modes(modes: tuple[str, ...], path: str) -> Errors:
    """Each mode is a known one; ReadWriteOncePod stands alone."""
    for mode in modes:
        if mode not in ACCESS_MODES:
            yield not_supported(path, mode, ACCESS_MODES)
    if len(modes) > 1 and "ReadWriteOncePod" in modes:
        yield forbidden(path, "may not use ReadWriteOncePod with other access modes")


def volume_mode(mode: str | None, path: str) -> Errors:
    """The volume mode, when given, is Block or Filesystem."""
    if mode is not None and mode not in VOLUME_MODES:
        yield not_supported(path, mode, VOLUME_MODES)


def _data_source(spec: PersistentVolumeClaimSpec, path: str) -> Errors:
    for field, source in (
        ("dataSource", spec.data_source),
        ("dataSourceRef", spec.data_source_ref),
    ):
        if source is None:
            continue
        where = f"{path}.{field}"
        if not source.name:
            yield required(f"{where}.name")
        if not source.kind:
            yield required(f"{where}.kind")
        if not source.api_group and source.kind != "PersistentVolumeClaim":
            text = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
            yield invalid(where, source.kind, text)
