"""Rules of Namespaces, Nodes, ServiceAccounts, and the kinds of our own group."""

from __future__ import annotations

import re

from reconciler.admission.errors import (
    Errors,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from reconciler.admission.podsecurity.policy import label_faults
from reconciler.admission.rules import names
from reconciler.admission.rules.meta import kube_finalizer, label_name, validate_meta
from reconciler.admission.rules.resources import amount
from reconciler.admission.rules.scheduling import EFFECTS
from reconciler.model.account import ServiceAccount
from reconciler.model.gitops import ProxyState, Revision, Source
from reconciler.model.imagepull import ImagePull
from reconciler.model.namespace import Namespace
from reconciler.model.node import Node, Taint

_DURATION = re.compile(r"([0-9]+(\.[0-9]+)?(ms|s|m|h))+")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_VARIABLE_KINDS = ("ConfigMap", "Secret")
_ALLOWABLE = ("hostNamespaces", "hostPorts", "nodePorts", "privileged", "roleBindings")


def namespace(obj: Namespace) -> Errors:
    """ValidateNamespace."""
    yield from validate_meta(obj, names.dns_label, namespaced=False)
    for finalizer in obj.spec.finalizers:
        yield from label_name(finalizer, "spec.finalizers")
        yield from kube_finalizer(finalizer, "spec.finalizers")
    yield from security_labels(obj)


def security_labels(obj: Namespace, old: Namespace | None = None) -> Errors:
    """Pod Security labels must name a level and a version; what was wrong before may stay."""
    known = tuple(label_faults(old.metadata.labels)) if old is not None else ()
    for label, value, why in label_faults(obj.metadata.labels):
        if (label, value, why) not in known:
            yield invalid(f"metadata.labels[{label}]", value, why)


def node(obj: Node) -> Errors:
    """ValidateNode."""
    yield from validate_meta(obj, namespaced=False)
    seen: set[tuple[str, str]] = set()
    for index, taint in enumerate(obj.spec.taints):
        path = f"spec.taints[{index}]"
        yield from _taint(taint, path)
        if (taint.key, taint.effect) in seen:
            yield duplicate(path, f"{taint.key}:{taint.effect}")
        seen.add((taint.key, taint.effect))
    for field, amounts in (
        ("capacity", obj.status.capacity),
        ("allocatable", obj.status.allocatable),
    ):
        for name, value in amounts.items():
            yield from amount(name, value, f"status.{field}[{name}]")
    for index, text in enumerate(obj.spec.pod_cidrs):
        yield from names.each(f"spec.podCIDRs[{index}]", text, names.cidr(text))


def _taint(taint: Taint, path: str) -> Errors:
    yield from label_name(taint.key, f"{path}.key")
    yield from names.each(f"{path}.value", taint.value, names.label_value(taint.value))
    if taint.effect not in EFFECTS:
        where = f"{path}.effect"
        yield not_supported(where, taint.effect, EFFECTS) if taint.effect else required(where)


def service_account(obj: ServiceAccount) -> Errors:
    """ValidateServiceAccount."""
    return validate_meta(obj)


def source(obj: Source) -> Errors:
    """A Source has either a URL or a directory, and durations that can be read."""
    yield from validate_meta(obj, namespaced=False)
    spec = obj.spec
    if not spec.url and not spec.path:
        yield required("spec", "must specify one of: `url` or `path`")
    elif spec.url and spec.path:
        yield forbidden("spec.path", "may not be specified when `url` is not empty")
    for field, value in (("interval", spec.interval), ("timeout", spec.timeout)):
        if value and not _DURATION.fullmatch(value):
            yield invalid(f"spec.{field}", value, "must be a duration such as 10s or 2m")
    yield from names.each("spec.subPath", spec.sub_path, names.descending_path(spec.sub_path))
    yield from _bounds(obj)
    yield from _host_access(obj)
    yield from _variables(obj)


def _host_access(obj: Source) -> Errors:
    """What opens the host is a known word, or an absolute path without a step back."""
    for index, word in enumerate(obj.spec.allow):
        if word not in _ALLOWABLE:
            yield not_supported(f"spec.allow[{index}]", word, _ALLOWABLE)
    for index, path in enumerate(obj.spec.host_paths):
        if not path.startswith("/") or ".." in path.split("/"):
            detail = "must be an absolute path without `..`"
            yield invalid(f"spec.hostPaths[{index}]", path, detail)


def _bounds(obj: Source) -> Errors:
    """A source lives in a namespace that it may write to."""
    spec = obj.spec
    for index, name in enumerate(spec.namespaces):
        yield from names.each(f"spec.namespaces[{index}]", name, names.dns_label(name))
    if spec.namespace:
        yield from names.each("spec.namespace", spec.namespace, names.dns_label(spec.namespace))
        if spec.namespaces and spec.namespace not in spec.namespaces:
            yield not_supported("spec.namespace", spec.namespace, spec.namespaces)
    if spec.secret_ref is not None and not spec.secret_ref.name:
        yield required("spec.secretRef.name")
    if spec.verify is not None and not spec.verify.secret_ref.name:
        yield required("spec.verify.secretRef.name")


def _variables(obj: Source) -> Errors:
    """Variables have names as a shell's, and come from ConfigMaps and Secrets."""
    for name in obj.spec.substitute:
        if not _VARIABLE.fullmatch(name):
            detail = "a variable's name has letters, digits and underscores, and no digit first"
            yield invalid(f"spec.substitute[{name}]", name, detail)
    for index, reference in enumerate(obj.spec.substitute_from):
        path = f"spec.substituteFrom[{index}]"
        if reference.kind not in _VARIABLE_KINDS:
            yield not_supported(f"{path}.kind", reference.kind, _VARIABLE_KINDS)
        if not reference.name:
            yield required(f"{path}.name")


def revision(obj: Revision) -> Errors:
    """A Revision belongs to a source."""
    yield from validate_meta(obj, namespaced=False)
    if not obj.spec.source:
        yield required("spec.source")


def image_pull(obj: ImagePull) -> Errors:
    """An ImagePull is for one node, and each of its images has a name."""
    yield from validate_meta(obj, namespaced=False)
    if not obj.spec.node_name:
        yield required("spec.nodeName")
    for number, wanted in enumerate(obj.spec.images):
        if not wanted.image:
            yield required(f"spec.images[{number}].image")


def proxy_state(obj: ProxyState) -> Errors:
    """A ProxyState is named for its node."""
    return validate_meta(obj, namespaced=False)
