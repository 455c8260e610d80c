"""Validation of new objects: every rule that one breaks, in Kubernetes' order and words.

Called by `admit`, by `update` and by the registry. Pure; each concept has a module of its own in
`rules/`, in which a rule is a small function that yields errors.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from reconciler.admission.errors import Errors, FieldError
from reconciler.admission.rules.claim import claim
from reconciler.admission.rules.cluster import (
    image_pull,
    namespace,
    node,
    proxy_state,
    revision,
    service_account,
    source,
)
from reconciler.admission.rules.config import config_map, secret
from reconciler.admission.rules.endpoints import endpoints
from reconciler.admission.rules.endpointslice import endpoint_slice
from reconciler.admission.rules.event import event, event_v1
from reconciler.admission.rules.lease import lease
from reconciler.admission.rules.pod import pod, pod_template
from reconciler.admission.rules.priorityclass import priority_class
from reconciler.admission.rules.quota import limit_range, resource_quota
from reconciler.admission.rules.rbac import cluster_role, cluster_role_binding, role, role_binding
from reconciler.admission.rules.replication import replication_controller
from reconciler.admission.rules.service import service
from reconciler.admission.rules.storage import persistent_volume
from reconciler.admission.rules.storageclass import storage_class
from reconciler.model.account import LimitRange, ResourceQuota, ServiceAccount
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.event import Event
from reconciler.model.eventsv1 import Event as EventV1
from reconciler.model.gitops import ProxyState, Revision, Source
from reconciler.model.imagepull import ImagePull
from reconciler.model.lease import Lease
from reconciler.model.meta import KubeObject
from reconciler.model.namespace import Namespace
from reconciler.model.node import Node
from reconciler.model.pod import Pod, PodTemplate
from reconciler.model.priorityclass import PriorityClass
from reconciler.model.rbac import ClusterRole, ClusterRoleBinding, Role, RoleBinding
from reconciler.model.replication import ReplicationController
from reconciler.model.service import Endpoints, Service
from reconciler.model.storage import PersistentVolume
from reconciler.model.storageclass import StorageClass

_RULES: dict[type[KubeObject], Callable[[Any], Errors]] = {
    ConfigMap: config_map,
    EndpointSlice: endpoint_slice,
    Endpoints: endpoints,
    Event: event,
    EventV1: event_v1,
    ImagePull: image_pull,
    ClusterRole: cluster_role,
    ClusterRoleBinding: cluster_role_binding,
    Lease: lease,
    LimitRange: limit_range,
    Namespace: namespace,
    Node: node,
    PersistentVolume: persistent_volume,
    PersistentVolumeClaim: claim,
    Pod: pod,
    PodTemplate: pod_template,
    PriorityClass: priority_class,
    ProxyState: proxy_state,
    ReplicationController: replication_controller,
    ResourceQuota: resource_quota,
    Revision: revision,
    Role: role,
    RoleBinding: role_binding,
    Secret: secret,
    Service: service,
    ServiceAccount: service_account,
    Source: source,
    StorageClass: storage_class,
}


def validate(obj: KubeObject) -> tuple[FieldError, ...]:
    """Return what is wrong with a new, defaulted object; nothing when it may be created."""
    return tuple(_RULES[type(obj)](obj))
