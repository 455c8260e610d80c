"""What kube-apiserver stored of bare manifests, against admission's defaults.

What the registry adds (names, addresses, status, the pod plug-ins' members) is left out.
"""

from __future__ import annotations

import json
from typing import Any

from reconciler.admission.admit import admit
from reconciler.model import kinds

FILES = ("defaulting.json",)

EXCLUDED: dict[str, str] = {}

_REGISTRY = {
    "Service": ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"),
    "Pod": ("priority", "preemptionPolicy", "tolerations"),
    "Namespace": ("finalizers",),
    "Node": ("taints",),
}
_KEPT_METADATA = ("name", "labels", "annotations")


def _comparable(obj: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in obj.items() if key not in ("status", "subsets")}
    metadata = obj["metadata"]
    kept["metadata"] = {key: metadata[key] for key in _KEPT_METADATA if key in metadata}
    spec = {
        key: value
        for key, value in obj.get("spec", {}).items()
        if key not in _REGISTRY.get(obj["kind"], ())
    }
    if obj["kind"] == "Service" and "ports" in spec:
        ports = [{k: v for k, v in port.items() if k != "nodePort"} for port in spec["ports"]]
        spec["ports"] = ports
    if "spec" in obj:
        kept["spec"] = spec
    return kept


def test_defaults(vector: Any) -> None:
    stored = next(
        step["response"]["body"]
        for step in vector.steps
        if step.get("request", {}).get("method") == "GET"
    )
    ours = admit(vector.request["body"]).to_dict()
    assert _comparable(ours) == _comparable(stored)


def test_round_trip(vector: Any) -> None:
    """A stored object, decoded and written again, is the same JSON."""
    stored = vector.steps[-1]["response"]["body"]
    resource = kinds.by_gvk(stored["apiVersion"], stored["kind"])
    assert resource is not None
    assert resource.model.model_validate_json(json.dumps(stored)).to_dict() == stored
