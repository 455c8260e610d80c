"""Names: prefixes and suffixes, hashes, and the references that follow them. Pure.

The rules are kustomize's `nameReference` table for the kinds of core v1, and one of our own: a
ReplicationController's references to ConfigMaps and Secrets follow too, as those of every other
workload do there. Without it a generated ConfigMap could not be used here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

from reconciler.desired.kustomize import rbac
from reconciler.desired.kustomize.fields import FieldSpec, change, specs_for
from reconciler.desired.kustomize.hashing import suffix
from reconciler.desired.kustomize.resource import Id, Place, Resource, bad

_Renamed = dict[tuple[str, str], list[Resource]]
"""Objects by kind and former name."""

_UNNAMED = frozenset(("Namespace", "CustomResourceDefinition", "APIService"))
_PODS = {
    "Pod": "spec",
    "ReplicationController": "spec/template/spec",
    "PodTemplate": "template/spec",
}
_CONFIG_MAP = (
    "volumes/configMap/name", "containers/env/valueFrom/configMapKeyRef/name",
    "initContainers/env/valueFrom/configMapKeyRef/name", "containers/envFrom/configMapRef/name",
    "initContainers/envFrom/configMapRef/name", "volumes/projected/sources/configMap/name",
)  # fmt: skip
_SECRET = (
    "volumes/secret/secretName", "containers/env/valueFrom/secretKeyRef/name",
    "initContainers/env/valueFrom/secretKeyRef/name", "containers/envFrom/secretRef/name",
    "initContainers/envFrom/secretRef/name", "imagePullSecrets/name",
    "volumes/projected/sources/secret/name",
)  # fmt: skip
_WITHOUT_TEMPLATE = ("Pod", "ReplicationController")


def _in_pods(paths: Iterable[str], pods: Iterable[str] = tuple(_PODS)) -> list[FieldSpec]:
    return [FieldSpec(f"{_PODS[kind]}/{path}", kind) for kind in pods for path in paths]


_REFERENCES: dict[str, list[FieldSpec]] = {
    "ConfigMap": _in_pods(_CONFIG_MAP),
    "Secret": [
        *_in_pods(_SECRET),
        FieldSpec("imagePullSecrets/name", "ServiceAccount"),
        FieldSpec("spec/azureFile/secretName", "PersistentVolume"),
    ],
    "ServiceAccount": _in_pods(["serviceAccountName"], _WITHOUT_TEMPLATE),
    "PersistentVolumeClaim": _in_pods(
        ["volumes/persistentVolumeClaim/claimName"], _WITHOUT_TEMPLATE
    ),
    "PersistentVolume": [FieldSpec("spec/volumeName", "PersistentVolumeClaim")],
    "StorageClass": [
        FieldSpec("spec/storageClassName", kind)
        for kind in ("PersistentVolume", "PersistentVolumeClaim")
    ],
    "PriorityClass": _in_pods(["priorityClassName"], _WITHOUT_TEMPLATE),
}


def add_affixes(resources: Iterable[Resource], prefix: str, ending: str) -> None:
    """Put a prefix before and a suffix behind every name but those of namespaces."""
    for each in resources:
        if each.kind in _UNNAMED or not (prefix or ending):
            continue
        each.remember()
        each.metadata["name"] = f"{prefix}{each.id.name}{ending}"
        each.prefixes += (prefix,) if prefix else ()
        each.suffixes += (ending,) if ending else ()


def add_hashes(resources: Iterable[Resource]) -> None:
    """Give generated objects the hash of their content as a suffix."""
    for each in resources:
        if each.hashed:
            each.remember()
            each.metadata["name"] = f"{each.id.name}-{suffix(each.value)}"


def follow(resources: Sequence[Resource]) -> None:
    """Make every reference name what its object is called now; raises `Bad` if it is unclear."""
    renamed: _Renamed = {}
    for each in resources:
        for name in {former.name for former in each.former}:
            renamed.setdefault((each.kind, name), []).append(each)
    if not renamed:
        return
    for each in resources:
        for kind, specs in _REFERENCES.items():
            for spec in specs_for(specs, each.kind):
                change(each.value, spec, _renaming(each, kind, renamed))
        rbac.follow(each, partial(_meant, each, renamed))


def _renaming(referrer: Resource, kind: str, renamed: _Renamed) -> Any:
    def new(old: Any) -> Any:
        found = _meant(referrer, renamed, kind, old) if isinstance(old, str) else None
        return old if found is None else found.id.name

    return new


def _meant(
    referrer: Resource, renamed: _Renamed, kind: str, old: str, namespace: str | None = None
) -> Resource | None:
    """Return the object that a reference means by a former name, in a namespace if it says one."""
    candidates = renamed.get((kind, old), ())
    if namespace:
        found = [each for each in candidates if _was_in(each, namespace)]
    else:
        found = [each for each in candidates if _reaches(referrer, each)]
    found = _nearest(referrer, found)
    names = {each.id.name for each in found}
    if len(names) > 1:
        raise _unclear(referrer.place, referrer.id, f"{kind} {old}", sorted(names))
    return found[0] if found else None


def _was_in(candidate: Resource, namespace: str) -> bool:
    return any(each.with_default().namespace == namespace for each in candidate.ids())


def _reaches(referrer: Resource, candidate: Resource) -> bool:
    """Return whether `referrer` can mean `candidate`: by namespace."""
    if not referrer.namespaced or not candidate.namespaced:
        return True
    return referrer.id.with_default().namespace == candidate.id.with_default().namespace


def _nearest(referrer: Resource, found: list[Resource]) -> list[Resource]:
    """Of several candidates return those that went through the same layers as the referrer."""
    if len(found) < 2:  # noqa: PLR2004 - several
        return found
    same = [
        each
        for each in found
        if each.prefixes == referrer.prefixes and each.suffixes == referrer.suffixes
    ]
    return same or found


def _unclear(place: Place, referrer: Id, wanted: str, names: list[str]) -> Exception:
    listed = ", ".join(names)
    return bad(place, "", f"{wanted} could be one of {listed}", name=str(referrer))
