"""What is sent to the API for a declared object: its manifest, signed. Pure.

Called by the planner, which compares exactly what would be sent.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.sync.identity import SOURCE_ANNOTATION, identity


def applied_manifest(manifest: Mapping[str, Any], source: str, key: ObjectKey) -> dict[str, Any]:
    """Return what `source` applies for the object `key` that it declares as `manifest`."""
    metadata = manifest.get("metadata") or {}
    annotations = {**(metadata.get("annotations") or {}), SOURCE_ANNOTATION: identity(source, key)}
    body = {**manifest, "metadata": {**metadata, "annotations": annotations}}
    if key.kind == "Secret" and "stringData" in body:
        _encode_string_data(body)
    return body


def applied_object(obj: KubeObject, source: str, key: ObjectKey) -> KubeObject:
    """Return the admitted object `obj` signed alike: what admission makes of `applied_manifest`."""
    meta = obj.metadata
    annotations = {**meta.annotations, SOURCE_ANNOTATION: identity(source, key)}
    return obj.replace(metadata=meta.replace(annotations=annotations))


def _encode_string_data(body: dict[str, Any]) -> None:
    """Kubernetes: stringData is write-only, and wins over data."""
    text = body.pop("stringData") or {}
    encoded = {name: b64encode(value.encode()).decode() for name, value in text.items()}
    body["data"] = {**(body.get("data") or {}), **encoded}
