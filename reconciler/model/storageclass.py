"""StorageClasses of storage.k8s.io/v1: how volumes of a class are made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import ClassVar, Literal

from reconciler.model.base import EMPTY, Model, always
from reconciler.model.meta import KubeObject

GROUP = "storage.k8s.io"
DEFAULT_CLASS = "storageclass.kubernetes.io/is-default-class"
"""The annotation that makes a class the one of claims that name none."""


class TopologySelectorLabelRequirement(Model):
    key: str = always(str)
    values: tuple[str, ...] = always(tuple)


class TopologySelectorTerm(Model):
    atomic: ClassVar[bool] = True
    match_label_expressions: tuple[TopologySelectorLabelRequirement, ...] = ()


class StorageClass(KubeObject):
    api_version: Literal["storage.k8s.io/v1"] = always(lambda: "storage.k8s.io/v1")
    kind: Literal["StorageClass"] = always(lambda: "StorageClass")
    provisioner: str = always(str)
    parameters: dict[str, str] = EMPTY
    reclaim_policy: str | None = None
    mount_options: tuple[str, ...] = ()
    allow_volume_expansion: bool | None = None
    volume_binding_mode: str | None = None
    allowed_topologies: tuple[TopologySelectorTerm, ...] = ()


def allows(storage_class: StorageClass, labels: Mapping[str, str]) -> bool:
    """Say whether volumes of the class may be made on a node with these labels.

    Kubernetes' MatchTopologySelectorTerms: any term will do, and an empty one takes no node.
    """
    terms = storage_class.allowed_topologies
    return not terms or any(
        bool(term.match_label_expressions)
        and all(labels.get(need.key) in need.values for need in term.match_label_expressions)
        for term in terms
    )


def default_class(classes: Iterable[StorageClass]) -> StorageClass | None:
    """Return the class of claims without one: the newest marked as default, then by name."""
    marked = [each for each in classes if each.metadata.annotations.get(DEFAULT_CLASS) == "true"]
    by_name = sorted(marked, key=lambda each: each.metadata.name)
    return max(by_name, key=lambda each: each.metadata.creation_timestamp or "", default=None)
