"""Rules of a pod's volumes: their names, their sources, and the files that some project."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.admission.errors import (
    Errors,
    FieldError,
    Reason,
    duplicate,
    forbidden,
    invalid,
    required,
)
from reconciler.admission.rules import names
from reconciler.admission.rules.claim import claim_spec
from reconciler.admission.rules.env import VOLUME_FIELDS, field_ref, resource_field_ref
from reconciler.admission.rules.meta import annotation_map, labels
from reconciler.admission.rules.volumesource import SHARED, needs
from reconciler.model import quantity
from reconciler.model.volume import (
    ConfigMapVolumeSource,
    CSIVolumeSource,
    DownwardAPIVolumeFile,
    DownwardAPIVolumeSource,
    EmptyDirVolumeSource,
    EphemeralVolumeSource,
    GitRepoVolumeSource,
    KeyToPath,
    ProjectedVolumeSource,
    SecretVolumeSource,
    ServiceAccountTokenProjection,
    Volume,
    VolumeProjection,
)

MODE_MAX = 0o777
TOKEN_SECONDS_MIN = 600
TOKEN_SECONDS_MAX = 2**32
DRIVER_MAX = 63
_MODE = "must be a number between 0 and 0777 (octal), both inclusive"
_SECOND_SOURCE = "may not specify more than 1 volume type"
_CONFLICT = "conflicting duplicate paths"


def named_volumes(held: tuple[Volume, ...], *, sound: bool) -> dict[str, Volume]:
    """Return the volumes that containers may mount: those whose own rules hold.

    `sound` says that all of them are known to.
    """
    if sound:
        return {volume.name: volume for volume in held}
    found: dict[str, Volume] = {}
    for volume in held:
        if volume.name and volume.name not in found and not any(_volume(volume, "")):
            found[volume.name] = volume
    return found


def volumes(held: tuple[Volume, ...], path: str) -> Errors:
    """ValidateVolumes."""
    seen: set[str] = set()
    for index, volume in enumerate(held):
        where = f"{path}[{index}]"
        yield from _volume(volume, where)
        if volume.name and volume.name in seen:
            yield duplicate(f"{where}.name", volume.name)
        seen.add(volume.name)


def _volume(volume: Volume, path: str) -> Errors:
    yield from _source(volume, path)
    if not volume.name:
        yield required(f"{path}.name")
    else:
        yield from names.each(f"{path}.name", volume.name, names.dns_label(volume.name))


def _source(volume: Volume, path: str) -> Errors:
    held = volume.__dict__
    given = [name for name, source in held.items() if source is not None and name != "name"]
    if not given:
        yield required(path, "must specify a volume type")
        return
    given.sort(key=_RANK.__getitem__)
    field, rule = _RULES[given[0]]
    yield from rule(held[given[0]], f"{path}.{_SHOWN.get(field, field)}")
    for second in given[1:]:
        yield forbidden(f"{path}.{_RULES[second][0]}", _SECOND_SOURCE)


def _empty_dir(source: EmptyDirVolumeSource, path: str) -> Errors:
    if source.size_limit is not None and quantity.parse(source.size_limit).value < 0:
        text = "SizeLimit field must be a valid resource quantity"
        yield forbidden(f"{path}.sizeLimit", text)


def _git_repo(source: GitRepoVolumeSource, path: str) -> Errors:
    if not source.repository:
        yield required(f"{path}.repository")
    if source.directory:
        messages = names.descending_path(source.directory)
        yield from names.each(f"{path}.directory", source.directory, messages)


def _mode(mode: int | None, path: str) -> Errors:
    if mode is not None and not 0 <= mode <= MODE_MAX:
        yield invalid(path, mode, _MODE)


def _secret(source: SecretVolumeSource, path: str) -> Errors:
    if not source.secret_name:
        yield required(f"{path}.secretName")
    yield from _mode(source.default_mode, f"{path}.defaultMode")
    yield from _items(source.items, f"{path}.items")


def _config_map(source: ConfigMapVolumeSource, path: str) -> Errors:
    if not source.name:
        yield required(f"{path}.name")
    yield from _mode(source.default_mode, f"{path}.defaultMode")
    yield from _items(source.items, f"{path}.items")


def _items(items: tuple[KeyToPath, ...], path: str) -> Errors:
    for index, item in enumerate(items):
        where = f"{path}[{index}]"
        if not item.key:
            yield required(f"{where}.key")
        yield from _file_path(item.path, f"{where}.path")
        yield from _mode(item.mode, f"{where}.mode")


def _file_path(file: str, path: str) -> Errors:
    if not file:
        yield required(path)
    yield from names.each(path, file, names.visible_path(file))


def _downward(source: DownwardAPIVolumeSource, path: str) -> Errors:
    yield from _mode(source.default_mode, f"{path}.defaultMode")
    for item in source.items:
        yield from _downward_file(item, path)


def _downward_file(item: DownwardAPIVolumeFile, path: str) -> Errors:
    """ValidateDownwardAPIVolumeFile, whose paths name neither `items` nor an index."""
    yield from _file_path(item.path, f"{path}.path")
    if item.field_ref is not None:
        yield from field_ref(item.field_ref, VOLUME_FIELDS, f"{path}.fieldRef")
        if item.resource_field_ref is not None:
            text = "fieldRef and resourceFieldRef can not be specified simultaneously"
            yield invalid(path, "resource", text)
    elif item.resource_field_ref is not None:
        where = f"{path}.resourceFieldRef"
        yield from resource_field_ref(item.resource_field_ref, where, volume=True)
    else:
        yield required(path, "one of fieldRef and resourceFieldRef is required")
    yield from _mode(item.mode, f"{path}.mode")


def _projected(source: ProjectedVolumeSource, path: str) -> Errors:
    yield from _mode(source.default_mode, f"{path}.defaultMode")
    taken: set[str] = set()
    for index, projection in enumerate(source.sources):
        where = f"{path}.sources[{index}]"
        yield from _projection(projection, where)
        for file, shown in _projected_files(projection):
            if file and file in taken:
                yield invalid(path, shown, _CONFLICT)
            taken.add(file)


def _projection(source: VolumeProjection, path: str) -> Errors:
    count = 0
    for field, held in (
        ("secret", source.secret),
        ("configMap", source.config_map),
        ("downwardAPI", source.downward_api),
        ("serviceAccountToken", source.service_account_token),
        ("clusterTrustBundle", source.cluster_trust_bundle),
    ):
        count += held is not None
        if held is not None and count > 1:
            text = "may not specify more than 1 volume type per source"
            yield forbidden(f"{path}.{field}", text)
    for field, keyed in (("secret", source.secret), ("configMap", source.config_map)):
        if keyed is not None:
            if not keyed.name:
                yield required(f"{path}.{field}.name")
            yield from _items(keyed.items, f"{path}.{field}.items")
    for item in source.downward_api.items if source.downward_api else ():
        yield from _downward_file(item, f"{path}.downwardAPI")
    if source.service_account_token is not None:
        yield from _token(source.service_account_token, f"{path}.serviceAccountToken")
    if not count:
        yield required(path, "must specify a volume type")


def _projected_files(source: VolumeProjection) -> list[tuple[str, str]]:
    """Return each file's path with what Kubernetes shows when it is taken."""
    files = [(i.path, source.secret.name) for i in source.secret.items] if source.secret else []
    if source.config_map:
        files += [(item.path, source.config_map.name) for item in source.config_map.items]
    if source.downward_api:
        files += [(item.path, item.path) for item in source.downward_api.items]
    if source.service_account_token:
        files.append((source.service_account_token.path, source.service_account_token.path))
    return files


def _token(token: ServiceAccountTokenProjection, path: str) -> Errors:
    seconds = token.expiration_seconds
    if seconds is not None and seconds < TOKEN_SECONDS_MIN:
        text = "may not specify a duration less than 10 minutes"
        yield invalid(f"{path}.expirationSeconds", seconds, text)
    if seconds is not None and seconds > TOKEN_SECONDS_MAX:
        text = "may not specify a duration larger than 2^32 seconds"
        yield invalid(f"{path}.expirationSeconds", seconds, text)
    yield from _file_path(token.path, f"{path}.path")


def _csi(source: CSIVolumeSource, path: str) -> Errors:
    yield from csi_driver(source.driver, f"{path}.driver")
    if source.node_publish_secret_ref is not None and not source.node_publish_secret_ref.name:
        yield required(f"{path}.nodePublishSecretRef.name")


def csi_driver(driver: str, path: str) -> Errors:
    """ValidateCSIDriverName."""
    if not driver:
        yield required(path)
        return
    if len(driver) > DRIVER_MAX:
        text = f"may not be more than {DRIVER_MAX} bytes"
        yield FieldError(path, Reason.TOO_LONG, text, driver)
    yield from names.each(path, driver, names.dns_subdomain(driver.lower()))


def _ephemeral(source: EphemeralVolumeSource, path: str) -> Errors:
    template, path = source.volume_claim_template, f"{path}.volumeClaimTemplate"
    if template is None:
        yield required(path)
        return
    yield from labels(template.metadata.labels, f"{path}.metadata.labels")
    yield from annotation_map(template.metadata.annotations, f"{path}.metadata.annotations")
    yield from claim_spec(template.spec, f"{path}.spec")


def _image(source: Any, path: str) -> Errors:
    return needs(source, path, "reference")


_OWN: tuple[tuple[str, str, Callable[[Any, str], Errors]], ...] = (
    ("empty_dir", "emptyDir", _empty_dir),
    ("git_repo", "gitRepo", _git_repo),
    ("secret", "secret", _secret),
    (
        "persistent_volume_claim",
        "persistentVolumeClaim",
        lambda source, path: needs(source, path, "claimName"),
    ),
    ("downward_api", "downwardAPI", _downward),
    ("config_map", "configMap", _config_map),
    ("projected", "projected", _projected),
    ("csi", "csi", _csi),
    ("ephemeral", "ephemeral", _ephemeral),
    ("image", "image", _image),
)
_ORDER = (
    "emptyDir", "hostPath", "gitRepo", "gcePersistentDisk", "awsElasticBlockStore", "secret", "nfs",
    "iscsi", "glusterfs", "persistentVolumeClaim", "rbd", "cinder", "cephfs", "flocker",
    "downwardAPI", "fc", "flexVolume", "configMap", "azureFile", "vsphereVolume",
    "photonPersistentDisk", "portworxVolume", "azureDisk", "storageos", "projected", "scaleIO",
    "quobyte", "csi", "ephemeral", "image",
)  # fmt: skip
_RULES = {attribute: (field, rule) for attribute, field, rule in (*_OWN, *SHARED)}
_RANK = {attribute: _ORDER.index(field) for attribute, (field, _) in _RULES.items()}
_SHOWN = {"gcePersistentDisk": "persistentDisk"}
