"""The table of resources: one row for each kind that this server has, and its look-ups.

Called by admission, the registry, the REST face and sync. A new kind is a row here.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model import gitops, lease, rbac
from reconciler.model.account import LimitRange, ResourceQuota, ServiceAccount
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.endpointslice import GROUP as DISCOVERY_GROUP
from reconciler.model.endpointslice import EndpointSlice
from reconciler.model.event import Event
from reconciler.model.eventsv1 import GROUP as EVENTS_GROUP
from reconciler.model.eventsv1 import Event as EventV1
from reconciler.model.imagepull import ImagePull
from reconciler.model.lease import Lease
from reconciler.model.meta import KubeObject
from reconciler.model.namespace import Namespace
from reconciler.model.node import Node
from reconciler.model.pod import Pod, PodTemplate
from reconciler.model.priorityclass import GROUP as SCHEDULING_GROUP
from reconciler.model.priorityclass import PriorityClass
from reconciler.model.rbac import ClusterRole, ClusterRoleBinding, Role, RoleBinding
from reconciler.model.replication import ReplicationController
from reconciler.model.service import Endpoints, Service
from reconciler.model.storage import PersistentVolume
from reconciler.model.storageclass import GROUP as STORAGE_GROUP
from reconciler.model.storageclass import StorageClass


@dataclass(frozen=True, slots=True)
class Resource:
    """One kind: its names in URLs and manifests, its scope, its class.

    `status` says that the status is a subresource, which only status writes change.
    """

    model: type[KubeObject]
    kind: str
    plural: str
    singular: str
    short: tuple[str, ...] = ()
    namespaced: bool = True
    status: bool = False
    group: str = ""
    version: str = "v1"
    categories: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """The `apiVersion` of manifests: "v1", or "group/version"."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def key_kind(self) -> str:
        """The kind as an `ObjectKey` has it: qualified by its group outside core."""
        return f"{self.kind}.{self.group}" if self.group else self.kind

    @property
    def qualified(self) -> str:
        """The plural as messages have it: qualified by its group outside core."""
        return f"{self.plural}.{self.group}" if self.group else self.plural


def _core(
    model: type[KubeObject],
    plural: str,
    *short: str,
    namespaced: bool = True,
    status: bool = False,
    categories: tuple[str, ...] = (),
) -> Resource:
    kind = model.__name__
    return Resource(model, kind, plural, kind.lower(), short, namespaced, status,
                    categories=categories)  # fmt: skip


def _in_group(
    model: type[KubeObject], plural: str, group: str, *, namespaced: bool = True
) -> Resource:
    kind = model.__name__
    return Resource(model, kind, plural, kind.lower(), namespaced=namespaced, group=group)


def _gitops(model: type[KubeObject], plural: str, *short: str) -> Resource:
    kind = model.__name__
    return Resource(model, kind, plural, kind.lower(), short, namespaced=False, status=True,
                    group=gitops.GROUP, version="v1alpha1")  # fmt: skip


RESOURCES: tuple[Resource, ...] = (
    _core(ConfigMap, "configmaps", "cm"),
    _core(Endpoints, "endpoints", "ep"),
    _core(Event, "events", "ev"),
    _core(LimitRange, "limitranges", "limits"),
    _core(Namespace, "namespaces", "ns", namespaced=False, status=True),
    _core(Node, "nodes", "no", namespaced=False, status=True),
    _core(PersistentVolumeClaim, "persistentvolumeclaims", "pvc", status=True),
    _core(PersistentVolume, "persistentvolumes", "pv", namespaced=False, status=True),
    _core(Pod, "pods", "po", status=True, categories=("all",)),
    _core(PodTemplate, "podtemplates"),
    _core(ReplicationController, "replicationcontrollers", "rc", status=True, categories=("all",)),
    _core(ResourceQuota, "resourcequotas", "quota", status=True),
    _core(Secret, "secrets"),
    _core(ServiceAccount, "serviceaccounts", "sa"),
    _core(Service, "services", "svc", status=True, categories=("all",)),
    Resource(
        StorageClass,
        "StorageClass",
        "storageclasses",
        "storageclass",
        ("sc",),
        namespaced=False,
        group=STORAGE_GROUP,
    ),
    _in_group(EndpointSlice, "endpointslices", DISCOVERY_GROUP),
    Resource(
        PriorityClass,
        "PriorityClass",
        "priorityclasses",
        "priorityclass",
        ("pc",),
        namespaced=False,
        group=SCHEDULING_GROUP,
    ),
    _gitops(ImagePull, "imagepulls"),
    _in_group(Lease, "leases", lease.GROUP),
    _in_group(ClusterRoleBinding, "clusterrolebindings", rbac.GROUP, namespaced=False),
    _in_group(ClusterRole, "clusterroles", rbac.GROUP, namespaced=False),
    _in_group(RoleBinding, "rolebindings", rbac.GROUP),
    _in_group(Role, "roles", rbac.GROUP),
    Resource(EventV1, "Event", "events", "event", ("ev",), group=EVENTS_GROUP),
    _gitops(gitops.ProxyState, "proxystates"),
    _gitops(gitops.Revision, "revisions"),
    _gitops(gitops.Source, "sources"),
)

_BY_GVK = {(r.api_version, r.kind): r for r in RESOURCES}
_BY_KEY_KIND = {r.key_kind: r for r in RESOURCES}
_BY_MODEL = {r.model: r for r in RESOURCES}
_BY_PLURAL = {(r.group, r.version, r.plural): r for r in RESOURCES}
API_VERSIONS: frozenset[str] = frozenset(r.api_version for r in RESOURCES)


def by_gvk(api_version: str, kind: str) -> Resource | None:
    """Return the resource that a manifest's `apiVersion` and `kind` name, if there is one."""
    return _BY_GVK.get((api_version, kind))


def by_key_kind(key_kind: str) -> Resource | None:
    """Return the resource of an `ObjectKey.kind`, if there is one."""
    return _BY_KEY_KIND.get(key_kind)


def by_plural(group: str, version: str, plural: str) -> Resource | None:
    """Return the resource that a URL names, if there is one; `group` is empty for core."""
    return _BY_PLURAL.get((group, version, plural))


def of(model: type[KubeObject]) -> Resource:
    """Return the resource of a model class; raises `KeyError` for a class without a row."""
    return _BY_MODEL[model]


def of_object(obj: KubeObject) -> Resource:
    """Return the resource of an object; raises `KeyError` when its class has no row."""
    return _BY_MODEL[type(obj)]
