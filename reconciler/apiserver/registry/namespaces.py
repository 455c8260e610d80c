"""Namespaces: phase, the finalizer `kubernetes`, and deletion in two steps."""

from __future__ import annotations

from datetime import datetime

from reconciler.apiserver.registry import errors
from reconciler.apiserver.registry.deletion import DeleteOptions, Verdict
from reconciler.apiserver.registry.strategy import Strategy
from reconciler.model.namespace import Namespace, NamespaceStatus
from reconciler.model.time import format_time

FINALIZER = "kubernetes"
IMMORTAL = ("default", "kube-system", "kube-public")
FIRST = ("default", "kube-system", "kube-public", "kube-node-lease")
"""Namespaces that exist from the first start."""

NAME_LABEL = "kubernetes.io/metadata.name"


class NamespaceStrategy(Strategy[Namespace]):
    """The rules of namespaces."""

    def for_create(self, new: Namespace) -> Namespace:
        """Start as Active, held by the finalizer of the namespace controller."""
        finalizers = new.spec.finalizers
        if FINALIZER not in finalizers:
            finalizers = (*finalizers, FINALIZER)
        named = _labelled(new)
        return named.replace(
            spec=named.spec.replace(finalizers=finalizers), status=NamespaceStatus(phase="Active")
        )

    def for_update(self, new: Namespace, old: Namespace) -> Namespace:
        """Keep finalizers, which only the finalize subresource changes, and the status."""
        return _labelled(new).replace(spec=old.spec, status=old.status)

    def for_subresource(self, subresource: str, new: Namespace, old: Namespace) -> Namespace:
        """Let `finalize` set the finalizers, which no other write does."""
        if subresource == "finalize":
            return old.replace(spec=new.spec)
        return super().for_subresource(subresource, new, old)

    def decide(
        self,
        obj: Namespace,
        options: DeleteOptions,  # noqa: ARG002 - a namespace's dependents are its content
        now: datetime,
    ) -> Verdict[Namespace]:
        """Mark the namespace Terminating; it goes when its controller has emptied it."""
        name = obj.metadata.name
        if name in IMMORTAL:
            raise errors.forbidden(self.resource, name, "this namespace may not be deleted")
        if obj.metadata.deletion_timestamp is None:
            obj = obj.replace(
                metadata=obj.metadata.replace(deletion_timestamp=format_time(now)),
                status=obj.status.replace(phase="Terminating"),
            )
        return Verdict(obj, gone=self.is_released(obj))

    def is_released(self, obj: Namespace) -> bool:
        """Say whether a deleted namespace is empty and held by nobody."""
        held = obj.spec.finalizers or obj.metadata.finalizers
        return obj.metadata.deletion_timestamp is not None and not held


def _labelled(obj: Namespace) -> Namespace:
    meta = obj.metadata
    if meta.labels.get(NAME_LABEL) == meta.name:
        return obj
    return obj.replace(metadata=meta.replace(labels={**meta.labels, NAME_LABEL: meta.name}))
