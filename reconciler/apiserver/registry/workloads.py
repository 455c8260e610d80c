"""Kinds that differ in switches alone: ReplicationControllers, templates, our own group."""

from __future__ import annotations

from reconciler.apiserver.registry.strategy import Strategy
from reconciler.model.gitops import ProxyState, Revision, Source
from reconciler.model.imagepull import ImagePull
from reconciler.model.meta import KubeObject
from reconciler.model.pod import PodTemplate
from reconciler.model.replication import ReplicationController


class ReplicationControllerStrategy(Strategy[ReplicationController]):
    """The rules of ReplicationControllers: core/v1 orphans their pods unless told otherwise."""

    generation = True
    orphan_by_default = True

    def for_subresource(
        self, subresource: str, new: ReplicationController, old: ReplicationController
    ) -> ReplicationController:
        """Let `scale` change the replicas: its writer gives nothing else that is new."""
        if subresource == "scale":
            return self.for_update(new, old)
        return super().for_subresource(subresource, new, old)


class PodTemplateStrategy(Strategy[PodTemplate]):
    """The rules of PodTemplates."""

    generation = True

    def same_spec(self, new: PodTemplate, old: PodTemplate) -> bool:
        """Compare the templates."""
        return new.template == old.template


class OwnStrategy(Strategy[KubeObject]):
    """The rules of our own group: those of a custom resource with a status subresource."""

    generation = True
    status_keeps_metadata = True

    def same_spec(self, new: KubeObject, old: KubeObject) -> bool:
        """Compare the specs; ProxyState has none."""
        return bool(getattr(new, "spec", None) == getattr(old, "spec", None))


OWN_KINDS: tuple[type[KubeObject], ...] = (Source, Revision, ProxyState, ImagePull)
