"""The table of strategies: which rules each kind has. A kind without a row is a plain one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.apiserver.registry.allocation import Pick
from reconciler.apiserver.registry.endpointslices import EndpointSliceStrategy
from reconciler.apiserver.registry.namespaces import NamespaceStrategy
from reconciler.apiserver.registry.nodes import NodeStrategy
from reconciler.apiserver.registry.pods import PodStrategy
from reconciler.apiserver.registry.priorityclasses import Priorities, PriorityClassStrategy
from reconciler.apiserver.registry.services import ServiceStrategy
from reconciler.apiserver.registry.settings import RegistrySettings
from reconciler.apiserver.registry.storage import ClaimStrategy, Classes, VolumeStrategy
from reconciler.apiserver.registry.strategy import Strategy
from reconciler.apiserver.registry.workloads import (
    OWN_KINDS,
    OwnStrategy,
    PodTemplateStrategy,
    ReplicationControllerStrategy,
)
from reconciler.model import kinds
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.meta import KubeObject
from reconciler.model.namespace import Namespace
from reconciler.model.node import Node
from reconciler.model.pod import Pod, PodTemplate
from reconciler.model.priorityclass import PriorityClass
from reconciler.model.replication import ReplicationController
from reconciler.model.service import Service
from reconciler.model.storage import PersistentVolume

Strategies = dict[type[KubeObject], Strategy[Any]]


def build(
    settings: RegistrySettings,
    pick: Pick,
    classes: Classes,
    priorities: Priorities,
    now: Callable[[], str],
) -> Strategies:
    """Return the strategy of every kind."""
    table: Strategies = {resource.model: Strategy(resource.model) for resource in kinds.RESOURCES}
    table |= {model: OwnStrategy(model) for model in OWN_KINDS}
    table |= {
        EndpointSlice: EndpointSliceStrategy(EndpointSlice),
        Namespace: NamespaceStrategy(Namespace),
        Node: NodeStrategy(Node),
        PersistentVolume: VolumeStrategy(now),
        PersistentVolumeClaim: ClaimStrategy(classes),
        Pod: PodStrategy(priorities),
        PodTemplate: PodTemplateStrategy(PodTemplate),
        PriorityClass: PriorityClassStrategy(priorities),
        ReplicationController: ReplicationControllerStrategy(ReplicationController),
        Service: ServiceStrategy(settings, pick),
    }
    return table
