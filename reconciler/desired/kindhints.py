"""The likely fix of an `apiVersion` and `kind` that name no known kind. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from reconciler.model import kinds

_WORKLOADS = frozenset(
    ("CronJob", "DaemonSet", "Deployment", "Job", "ReplicaSet", "StatefulSet"),
)
_KUSTOMIZATION = "Kustomization"
_NEAR = 0.7


def kind_hint(manifest: Any) -> str:
    """Return the likely fix, or nothing."""
    if not isinstance(manifest, Mapping):
        return ""
    api_version, kind = manifest.get("apiVersion"), manifest.get("kind")
    for wanted, value in (("apiVersion", api_version), ("kind", kind)):
        if value is None:
            return _missing(wanted, manifest)
    if not isinstance(api_version, str) or not isinstance(kind, str):
        return "apiVersion and kind are strings"
    if kind == _KUSTOMIZATION:
        return "kustomizations are not supported yet: commit what `kubectl kustomize` prints"
    if kind in _WORKLOADS:
        return f"{kind} is not supported: write a ReplicationController of apiVersion v1"
    return _near_kind(kind)


def _missing(wanted: str, manifest: Mapping[str, Any]) -> str:
    """Say which key was probably meant to be `wanted`."""
    lower = wanted.lower()
    for key in manifest:
        squeezed = str(key).lower().replace(" ", "").replace("_", "")
        if squeezed == lower:
            return f'write "{wanted}", not "{key}"'
        if squeezed.startswith(f"{lower}:"):
            return f'write "{wanted}: ..." with a space after the colon'
    if wanted == "apiVersion" and isinstance(manifest.get("kind"), str):
        return _near_kind(manifest["kind"])
    return "a file that is no manifest may start its name with a dot or have another suffix"


def _near_kind(kind: str) -> str:
    by_lower = {each.kind.lower(): each for each in reversed(kinds.RESOURCES)}
    close = difflib.get_close_matches(kind.lower(), by_lower, n=1, cutoff=_NEAR)
    if not close:
        return ""
    resource = by_lower[close[0]]
    if resource.kind == kind:
        return f"write apiVersion: {resource.api_version}"
    return f"did you mean kind: {resource.kind} with apiVersion: {resource.api_version}?"
