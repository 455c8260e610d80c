"""The roles and bindings that every cluster has, as Kubernetes documents them. Values only.

Read by `bootstrap.py`, and the node's rules by the node authorizer. Of the documented rules those
are here whose resources this server has.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.apiserver.security.identity import (
    AUTHENTICATED,
    MASTERS,
    MONITORING,
    UNAUTHENTICATED,
)
from reconciler.apiserver.security.rules import FULL_AUTHORITY
from reconciler.model.meta import ObjectMeta
from reconciler.model.rbac import (
    AUTO_UPDATE,
    GROUP,
    AggregationRule,
    ClusterRole,
    ClusterRoleBinding,
    PolicyRule,
    RoleRef,
    Subject,
)
from reconciler.model.selector import LabelSelector

_BOOTSTRAPPED = {"kubernetes.io/bootstrapping": "rbac-defaults"}
_AGGREGATE = f"{GROUP}/aggregate-to-"
_AUTHENTICATION, _AUTHORIZATION = "authentication.k8s.io", "authorization.k8s.io"
_DISCOVERY, _COORDINATION, _STORAGE = "discovery.k8s.io", "coordination.k8s.io", "storage.k8s.io"
_EVENTS = "events.k8s.io"

_READ = ("get", "list", "watch")
_WRITE = ("create", "delete", "deletecollection", "patch", "update")
_BOTH = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")
_REPORT = ("create", "patch", "update")


def _on(verbs: Iterable[str], *resources: str, group: str = "") -> PolicyRule:
    return PolicyRule(verbs=tuple(verbs), api_groups=(group,), resources=resources)


def _paths(*urls: str) -> PolicyRule:
    return PolicyRule(verbs=("get",), non_resource_urls=urls)


_REVIEWS = (
    _on(("create",), "tokenreviews", group=_AUTHENTICATION),
    _on(("create",), "subjectaccessreviews", group=_AUTHORIZATION),
)
_REPORTING = (_on(_REPORT, "events"), _on(_REPORT, "events", group=_EVENTS))

NODE_RULES = (
    *_REVIEWS,
    _on(("create",), "localsubjectaccessreviews", group=_AUTHORIZATION),
    _on(_READ, "services"),
    _on(("create", *_READ), "nodes"),
    _on(("patch", "update"), "nodes/status"),
    _on(("patch", "update"), "nodes"),
    *_REPORTING,
    _on(_READ, "pods"),
    _on(("delete",), "pods"),
    _on(("patch", "update"), "pods/status"),
    _on(("create",), "pods/eviction"),
    _on(("get",), "endpoints"),
    _on(("create", "delete", "get", "patch", "update"), "leases", group=_COORDINATION),
)
"""What every kubelet may do, before it is asked whether an object is of its own node."""

_ADMIN = (
    _on(("create",), "localsubjectaccessreviews", group=_AUTHORIZATION),
    _on(_BOTH, "rolebindings", "roles", group=GROUP),
)
_EDIT = (
    _on(_READ, "pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets",
        "services/proxy"),
    _on(("impersonate",), "serviceaccounts"),
    _on(_WRITE, "pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"),
    _on(("create",), "pods/eviction"),
    _on(_WRITE, "configmaps", "events", "persistentvolumeclaims", "replicationcontrollers",
        "replicationcontrollers/scale", "secrets", "serviceaccounts", "services",
        "services/proxy"),
    _on(("create",), "serviceaccounts/token"),
    _on(_BOTH, "leases", group=_COORDINATION),
)  # fmt: skip
_VIEW = (
    _on(_READ, "configmaps", "endpoints", "persistentvolumeclaims",
        "persistentvolumeclaims/status", "pods", "replicationcontrollers",
        "replicationcontrollers/scale", "serviceaccounts", "services", "services/status"),
    _on(_READ, "bindings", "events", "limitranges", "namespaces/status", "pods/log", "pods/status",
        "replicationcontrollers/status", "resourcequotas", "resourcequotas/status"),
    _on(_READ, "namespaces"),
    _on(_READ, "endpointslices", group=_DISCOVERY),
)  # fmt: skip
_PROXIER = (
    _on(("list", "watch"), "services", "endpoints"),
    _on(_READ, "nodes"),
    *_REPORTING,
    _on(("list", "watch"), "endpointslices", group=_DISCOVERY),
)
_SCHEDULER = (
    *_REPORTING,
    _on(("create",), "leases", group=_COORDINATION),
    _on(_READ, "nodes"),
    _on(("delete", *_READ), "pods"),
    _on(("create",), "bindings", "pods/binding"),
    _on(("patch", "update"), "pods/status"),
    _on(_READ, "replicationcontrollers", "services", "persistentvolumes", "namespaces"),
    _on((*_READ, "patch", "update"), "persistentvolumeclaims"),
    _on(_READ, "storageclasses", group=_STORAGE),
    *_REVIEWS,
)
_PROVISIONER = (
    _on(("create", "delete", *_READ), "persistentvolumes"),
    _on((*_READ, "update"), "persistentvolumeclaims"),
    _on(_READ, "storageclasses", group=_STORAGE),
    _on(_READ, "events"),
    _on(_REPORT, "events"),
)
_HEALTH = ("/healthz", "/livez", "/readyz")
_VERSION = ("/version", "/version/")
_DOCUMENTS = ("/api", "/api/*", "/apis", "/apis/*", "/openapi", "/openapi/*")


def _meta(name: str, aggregated_to: str = "") -> ObjectMeta:
    labels = dict(_BOOTSTRAPPED)
    if aggregated_to:
        labels[_AGGREGATE + aggregated_to] = "true"
    return ObjectMeta(name=name, labels=labels, annotations={AUTO_UPDATE: "true"})


def _role(name: str, *rules: PolicyRule, to: str = "") -> ClusterRole:
    return ClusterRole(metadata=_meta(name, to), rules=rules)


def _sum(name: str, to: str = "") -> ClusterRole:
    """Return a role that its controller fills with the rules of those labelled for it."""
    chosen = LabelSelector(match_labels={_AGGREGATE + name: "true"})
    rule = AggregationRule(cluster_role_selectors=(chosen,))
    return ClusterRole(metadata=_meta(name, to), aggregation_rule=rule)


def _bound(name: str, **subjects: tuple[str, ...]) -> ClusterRoleBinding:
    held = tuple(
        Subject(kind=kind, api_group=GROUP, name=each)
        for kind, names in subjects.items()
        for each in names
    )
    ref = RoleRef(api_group=GROUP, kind="ClusterRole", name=name)
    return ClusterRoleBinding(metadata=_meta(name), subjects=held, role_ref=ref)


ROLES: tuple[ClusterRole, ...] = (
    _role("cluster-admin", *FULL_AUTHORITY),
    _sum("admin"),
    _sum("edit", to="admin"),
    _sum("view", to="edit"),
    _role("system:aggregate-to-admin", *_ADMIN, to="admin"),
    _role("system:aggregate-to-edit", *_EDIT, to="edit"),
    _role("system:aggregate-to-view", *_VIEW, to="view"),
    _role("system:auth-delegator", *_REVIEWS),
    _role(
        "system:basic-user",
        _on(("create",), "selfsubjectaccessreviews", "selfsubjectrulesreviews",
            group=_AUTHORIZATION),
        _on(("create",), "selfsubjectreviews", group=_AUTHENTICATION),
    ),
    _role("system:discovery", _paths(*_DOCUMENTS, *_HEALTH, *_VERSION)),
    _role("system:kube-scheduler", *_SCHEDULER),
    _role(
        "system:monitoring",
        _paths("/metrics", "/metrics/slis", *_HEALTH, *(f"{path}/*" for path in _HEALTH)),
    ),
    _role("system:node", *NODE_RULES),
    _role("system:node-proxier", *_PROXIER),
    _role("system:persistent-volume-provisioner", *_PROVISIONER),
    _role("system:public-info-viewer", _paths(*_HEALTH, *_VERSION)),
)  # fmt: skip

BINDINGS: tuple[ClusterRoleBinding, ...] = (
    _bound("cluster-admin", Group=(MASTERS,)),
    _bound("system:basic-user", Group=(AUTHENTICATED,)),
    _bound("system:discovery", Group=(AUTHENTICATED,)),
    _bound("system:kube-scheduler", User=("system:kube-scheduler",)),
    _bound("system:monitoring", Group=(MONITORING,)),
    _bound("system:node"),
    _bound("system:node-proxier", User=("system:kube-proxy",)),
    _bound("system:public-info-viewer", Group=(AUTHENTICATED, UNAUTHENTICATED)),
)
