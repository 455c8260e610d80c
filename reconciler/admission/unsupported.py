"""What we know and cannot act on. Called by `desired` only: a source may not ask for it.

The API takes these fields, as Kubernetes' does; a manifest in Git must not be obeyed in part and
in silence. Each row says why; it goes away with the change that makes it work. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from reconciler.admission.alike import ALIKE
from reconciler.admission.errors import Errors, FieldError, Reason
from reconciler.model.base import Model
from reconciler.model.container import Container
from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod, PodSpec, PodTemplate
from reconciler.model.replication import ReplicationController
from reconciler.model.service import Service
from reconciler.model.storage import PersistentVolume
from reconciler.model.volume import Volume, VolumeSource

NOT_YET = "not supported yet"
_NO_RECYCLING = "Recycle is not supported; use Retain or Delete"

Row = tuple[str, str, Callable[[Any], bool], str]
"""Attribute, JSON name, whether a value of it asks for what we do not do, and why we do not."""


def _given(value: Any) -> bool:
    return bool(value)


def _other_than(*accepted: Any) -> Callable[[Any], bool]:
    return lambda value: bool(value) and value not in accepted


def _is_false(value: Any) -> bool:
    return value is False


_NO_CLASSES = "one runtime serves all pods of a Docker host: there are no RuntimeClasses"
_NO_DEVICES = "there are no device drivers to claim devices from"
_NO_USER_NAMESPACE = "the engine cannot map the users of one pod: its volumes would be nobody's"
_NO_UNMASKED = "Unmasked needs `hostUsers: false`, which the engine cannot give to one pod"
_LINUX_ONLY = "hosts run Linux"
_NO_RESIZE = "containers are not resized in place: other resources make other pods"
_PLUGIN = (
    "a Docker host has volume plugins instead: use a claim, or a type that settings map to one"
)
_NO_BUNDLES = "there are no trust bundles to project"
_NO_IMAGE_VOLUME = "the engine cannot mount an image as a volume"

_POD_SPEC: tuple[Row, ...] = (
    ("runtime_class_name", "runtimeClassName", _given, _NO_CLASSES),
    ("overhead", "overhead", _given, _NO_CLASSES),
    ("resource_claims", "resourceClaims", _given, _NO_DEVICES),
    ("host_users", "hostUsers", _is_false, _NO_USER_NAMESPACE),
)
_SECURITY: tuple[Row, ...] = (("windows_options", "windowsOptions", _given, _LINUX_ONLY),)
_CONTAINER_SECURITY: tuple[Row, ...] = (
    *_SECURITY,
    ("proc_mount", "procMount", _other_than("Default"), _NO_UNMASKED),
)
_CONTAINER: tuple[Row, ...] = (("resize_policy", "resizePolicy", _given, _NO_RESIZE),)
_VOLUME_SOURCES = (
    "empty_dir",
    "host_path",
    "git_repo",
    "secret",
    "config_map",
    "downward_api",
    "projected",
    "persistent_volume_claim",
    "ephemeral",
    "nfs",
    "gce_persistent_disk",
    "aws_elastic_block_store",
    "iscsi",
    "glusterfs",
    "rbd",
    "cinder",
    "cephfs",
    "fc",
    "flocker",
    "vsphere_volume",
    "quobyte",
    "azure_disk",
    "photon_persistent_disk",
    "portworx_volume",
    "storageos",
)
_PROJECTION: tuple[Row, ...] = (
    ("cluster_trust_bundle", "clusterTrustBundle", _given, _NO_BUNDLES),
)
_SERVICE: tuple[Row, ...] = (
    ("load_balancer_class", "loadBalancerClass", _other_than("reconciler.dev/host"), NOT_YET),
)
_UNSUPPORTED_SOURCES: tuple[Row, ...] = tuple(
    (name, info.alias or name, _given, _NO_IMAGE_VOLUME if name == "image" else _PLUGIN)
    for name, info in VolumeSource.model_fields.items()
    if name not in _VOLUME_SOURCES
)


def unsupported(obj: KubeObject) -> tuple[FieldError, ...]:
    """Return the fields of a valid object that ask for what is not supported yet."""
    match obj:
        case Pod():
            return tuple(_pod_spec(obj.spec, "spec"))
        case ReplicationController() if obj.spec.template is not None:
            return tuple(_pod_spec(obj.spec.template.spec, "spec.template.spec"))
        case PodTemplate():
            return tuple(_pod_spec(obj.template.spec, "template.spec"))
        case PersistentVolume() if obj.spec.persistent_volume_reclaim_policy == "Recycle":
            path = "spec.persistentVolumeReclaimPolicy"
            return (FieldError(path, Reason.NOT_ACTED_ON, _NO_RECYCLING),)
        case Service():
            return tuple(_rows(obj.spec, _SERVICE, "spec"))
        case _:
            return ()


def _rows(holder: Model | None, rows: Iterable[Row], path: str) -> Errors:
    if holder is None:
        return
    held = holder.__dict__
    for attribute, field, refused, why in rows:
        value = held[attribute]
        if (value or value is False) and refused(value):
            yield FieldError(f"{path}.{field}", Reason.NOT_ACTED_ON, why)


def _pod_spec(spec: PodSpec, path: str) -> Errors:
    known = ALIKE.of(spec)
    if known is not None and known.supported:
        return
    faults = tuple(_pod_fields(spec, path))
    if known is not None:
        known.supported = not faults
    yield from faults


def _pod_fields(spec: PodSpec, path: str) -> Errors:
    yield from _rows(spec, _POD_SPEC, path)
    yield from _rows(spec.security_context, _SECURITY, f"{path}.securityContext")
    if spec.os is not None and spec.os.name != "linux":
        yield FieldError(f"{path}.os.name", Reason.NOT_ACTED_ON, _LINUX_ONLY)
    for index, container in enumerate(spec.init_containers):
        yield from _container(container, f"{path}.initContainers[{index}]")
    for index, container in enumerate(spec.containers):
        yield from _container(container, f"{path}.containers[{index}]")
    for index, volume in enumerate(spec.volumes):
        yield from _volume(volume, f"{path}.volumes[{index}]")


def _container(container: Container, path: str) -> Errors:
    yield from _rows(container, _CONTAINER, path)
    if container.resources.claims:
        yield FieldError(f"{path}.resources.claims", Reason.NOT_ACTED_ON, _NO_DEVICES)
    yield from _rows(container.security_context, _CONTAINER_SECURITY, f"{path}.securityContext")


def _volume(volume: Volume, path: str) -> Errors:
    yield from _rows(volume, _UNSUPPORTED_SOURCES, path)
    for index, source in enumerate(volume.projected.sources if volume.projected else ()):
        yield from _rows(source, _PROJECTION, f"{path}.projected.sources[{index}]")
