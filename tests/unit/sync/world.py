"""Declared and live objects for planner tests, and the smallest apply that keeps no ownership."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Any

import orjson

from reconciler.admission.decode import decode
from reconciler.admission.defaults import apply_defaults
from reconciler.desired.objects import DesiredObject
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.sync.identity import source_of
from reconciler.sync.manifest import applied_manifest
from reconciler.sync.plan import Situation


def manifest(kind: str, name: str, namespace: str = "web", **fields: Any) -> dict[str, Any]:
    place = {} if kind in ("Namespace", "PersistentVolume") else {"namespace": namespace}
    metadata = {"name": name, **place, **fields.pop("metadata", {})}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, **fields}


WEB = manifest("Namespace", "web")
UNKNOWN_FIELD = (
    b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: m\n  namespace: web\nspec: {}\n"
)


def controller(
    name: str, replicas: int = 1, image: str = "app:1", **metadata: Any
) -> dict[str, Any]:
    labels = {"app": name}
    containers = [{"name": "app", "image": image}]
    template = {"metadata": {"labels": labels}, "spec": {"containers": containers}}
    spec = {"replicas": replicas, "selector": labels, "template": template}
    return manifest("ReplicationController", name, spec=spec, metadata=metadata)


def service(name: str, node_port: int) -> dict[str, Any]:
    ports = [{"port": 80, "targetPort": 80, "nodePort": node_port}]
    return manifest("Service", name, spec={"type": "NodePort", "ports": ports})


def pod(name: str, image: str = "app:1", **spec: Any) -> dict[str, Any]:
    return manifest("Pod", name, spec={"containers": [{"name": "app", "image": image}], **spec})


def settings(name: str, **data: str) -> dict[str, Any]:
    return manifest("ConfigMap", name, data=data)


def desired(*manifests: dict[str, Any]) -> dict[ObjectKey, DesiredObject]:
    found = {}
    for line, each in enumerate(manifests, start=1):
        obj = apply_defaults(decode(each))
        content = sha256(orjson.dumps(each, option=orjson.OPT_SORT_KEYS)).hexdigest()
        found[obj.key] = DesiredObject(obj.key, each, obj, content, "all.yaml", line, 1, 0)
    return found


def stored(declared: Mapping[str, Any], *, source: str = "main", version: str = "1") -> KubeObject:
    """Return the object as it is after `source` applied it; "" means that a person made it."""
    obj = apply_defaults(decode(dict(declared)))
    if source:
        obj = apply_defaults(decode(applied_manifest(declared, source, obj.key)))
    meta = obj.metadata.replace(resource_version=version, uid=f"uid-{obj.key.name}")
    return obj.replace(metadata=meta)


def overlay(live: KubeObject, applied: Mapping[str, Any], _: str) -> KubeObject:
    """Lay a manifest over a live object: lists are replaced, nothing is ever removed."""
    return apply_defaults(decode(_merged(live.to_dict(), applied)))


def situation(
    declared: Mapping[ObjectKey, DesiredObject], *live: KubeObject, **more: Any
) -> Situation:
    objects = {obj.key: obj for obj in live}
    owned = [key for key, obj in objects.items() if source_of(obj) == "main"]
    return Situation("main", declared, objects, owned, more.pop("predict", overlay), **more)


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, Mapping):
        return old | {name: _merged(old.get(name), value) for name, value in new.items()}
    return new
