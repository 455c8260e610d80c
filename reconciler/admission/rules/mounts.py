"""Rules of volume mounts and block devices in containers."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.admission.errors import (
    Errors,
    forbidden,
    invalid,
    not_found,
    not_supported,
    required,
)
from reconciler.admission.rules import names
from reconciler.model.container import Container, VolumeMount
from reconciler.model.volume import Volume

PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")
RECURSIVE = ("Disabled", "Enabled", "IfPossible")


def volume_mounts(container: Container, volumes: Mapping[str, Volume], path: str) -> Errors:
    """ValidateVolumeMounts."""
    devices = container.volume_devices
    device_names = {device.name for device in devices}
    device_paths = {device.device_path for device in devices}
    seen: set[str] = set()
    for index, mount in enumerate(container.volume_mounts):
        where = f"{path}[{index}]"
        if not mount.name:
            yield required(f"{where}.name")
        if mount.name not in volumes:
            yield not_found(f"{where}.name", mount.name)
        if not mount.mount_path:
            yield required(f"{where}.mountPath")
        if mount.mount_path in seen:
            yield invalid(f"{where}.mountPath", mount.mount_path, "must be unique")
        seen.add(mount.mount_path)
        if mount.name in device_names:
            yield invalid(f"{where}.name", mount.name, "must not already exist in volumeDevices")
        if mount.mount_path in device_paths:
            text = "must not already exist as a path in volumeDevices"
            yield invalid(f"{where}.mountPath", mount.mount_path, text)
        yield from _details(mount, container, where, path)


def _details(mount: VolumeMount, container: Container, where: str, path: str) -> Errors:
    """Validate sub-paths and propagation; Kubernetes names most of these without the index."""
    if mount.sub_path:
        messages = names.descending_path(mount.sub_path)
        yield from names.each(f"{path}.subPath", mount.sub_path, messages)
    if mount.sub_path_expr:
        if mount.sub_path:
            text = "subPathExpr and subPath are mutually exclusive"
            yield invalid(f"{where}.subPathExpr", mount.sub_path_expr, text)
        messages = names.descending_path(mount.sub_path_expr)
        yield from names.each(f"{path}.subPathExpr", mount.sub_path_expr, messages)
    if mount.mount_propagation is not None:
        yield from _propagation(mount.mount_propagation, container, f"{path}.mountPropagation")
    if mount.recursive_read_only is not None:
        yield from _recursive(mount, f"{path}.recursiveReadOnly")


def _propagation(value: str, container: Container, path: str) -> Errors:
    if value not in PROPAGATIONS:
        yield not_supported(path, value, PROPAGATIONS)
    privileged = container.security_context is not None and container.security_context.privileged
    if value == "Bidirectional" and not privileged:
        text = "Bidirectional mount propagation is available only to privileged containers"
        yield forbidden(path, text)


def _recursive(mount: VolumeMount, path: str) -> Errors:
    value = mount.recursive_read_only or ""
    if value not in RECURSIVE:
        yield not_supported(path, value, RECURSIVE)
    if value in ("Enabled", "IfPossible"):
        if not mount.read_only:
            yield forbidden(path, "may only be specified when readOnly is true")
        if mount.mount_propagation not in (None, "None"):
            text = "may only be specified when mountPropagation is None or not specified"
            yield forbidden(path, text)


def volume_devices(container: Container, volumes: Mapping[str, Volume], path: str) -> Errors:
    """ValidateVolumeDevices."""
    mounts = container.volume_mounts
    mount_names = {mount.name for mount in mounts}
    mount_paths = {mount.mount_path for mount in mounts}
    seen_names: set[str] = set()
    seen_paths: set[str] = set()
    for index, device in enumerate(container.volume_devices):
        where = f"{path}[{index}]"
        if not device.name:
            yield required(f"{where}.name")
        if device.name in seen_names:
            yield invalid(f"{where}.name", device.name, "must be unique")
        yield from _device_volume(device.name, volumes, f"{where}.name")
        yield from _device_path(device.device_path, seen_paths, f"{where}.devicePath")
        if device.name in mount_names:
            yield invalid(f"{where}.name", device.name, "must not already exist in volumeMounts")
        if device.device_path in mount_paths:
            text = "must not already exist as a path in volumeMounts"
            yield invalid(f"{where}.devicePath", device.device_path, text)
        seen_names.add(device.name)
        seen_paths.add(device.device_path)


def _device_path(device_path: str, seen: set[str], path: str) -> Errors:
    if not device_path:
        yield required(path)
    if device_path in seen:
        yield invalid(path, device_path, "must be unique")
    if device_path and names.path_without_backsteps(device_path):
        yield invalid(path, device_path, "can not contain backsteps ('..')")


def _device_volume(name: str, volumes: Mapping[str, Volume], path: str) -> Errors:
    volume = volumes.get(name)
    if volume is None:
        yield not_found(path, name)
    elif volume.persistent_volume_claim is None and volume.ephemeral is None:
        yield invalid(
            path,
            name,
            "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode",
        )
