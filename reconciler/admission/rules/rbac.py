"""Rules of roles and their bindings (rbac.authorization.k8s.io/v1)."""

from __future__ import annotations

from reconciler.admission.errors import Errors, GoValue, go_quote, invalid, not_supported, required
from reconciler.admission.rules import names
from reconciler.admission.rules.meta import validate_meta
from reconciler.admission.rules.selectors import label_selector
from reconciler.model.rbac import (
    GROUP,
    ClusterRole,
    ClusterRoleBinding,
    PolicyRule,
    Role,
    RoleBinding,
    RoleRef,
    Subject,
)

_Binding = RoleBinding | ClusterRoleBinding


def role(obj: Role) -> Errors:
    """ValidateRole."""
    yield from validate_meta(obj, names.path_segment)
    for index, rule in enumerate(obj.rules or ()):
        yield from _rule(rule, f"rules[{index}]", namespaced=True)


def cluster_role(obj: ClusterRole) -> Errors:
    """ValidateClusterRole."""
    yield from validate_meta(obj, names.path_segment, namespaced=False)
    for index, rule in enumerate(obj.rules or ()):
        yield from _rule(rule, f"rules[{index}]", namespaced=False)
    if obj.aggregation_rule is None:
        return
    path = "aggregationRule.clusterRoleSelectors"
    if not obj.aggregation_rule.cluster_role_selectors:
        text = "at least one clusterRoleSelector required if aggregationRule is non-nil"
        yield required(path, text)
    for index, selector in enumerate(obj.aggregation_rule.cluster_role_selectors):
        yield from label_selector(selector, f"{path}[{index}]")


def _rule(rule: PolicyRule, path: str, *, namespaced: bool) -> Errors:
    """ValidatePolicyRule: a rule is about resources or about paths, and a role's never of paths."""
    if not rule.verbs:
        yield required(f"{path}.verbs", "verbs must contain at least one value")
    if rule.non_resource_urls:
        where, shown = f"{path}.nonResourceURLs", rule.non_resource_urls
        if namespaced:
            yield invalid(where, shown, "namespaced rules cannot apply to non-resource URLs")
        if rule.api_groups or rule.resources or rule.resource_names:
            text = "rules cannot apply to both regular resources and non-resource URLs"
            yield invalid(where, shown, text)
        return
    if not rule.api_groups:
        yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
    if not rule.resources:
        yield required(f"{path}.resources", "resource rules must supply at least one resource")


def role_binding(obj: RoleBinding) -> Errors:
    """ValidateRoleBinding."""
    yield from validate_meta(obj, names.path_segment)
    yield from _role_ref(obj.role_ref, ("Role", "ClusterRole"))
    for index, subject in enumerate(obj.subjects):
        yield from _subject(subject, f"subjects[{index}]", namespaced=True)


def cluster_role_binding(obj: ClusterRoleBinding) -> Errors:
    """ValidateClusterRoleBinding."""
    yield from validate_meta(obj, names.path_segment, namespaced=False)
    yield from _role_ref(obj.role_ref, ("ClusterRole",))
    for index, subject in enumerate(obj.subjects):
        yield from _subject(subject, f"subjects[{index}]", namespaced=False)


def _role_ref(ref: RoleRef, kinds: tuple[str, ...]) -> Errors:
    if ref.api_group != GROUP:
        yield not_supported("roleRef.apiGroup", ref.api_group, (GROUP,))
    if ref.kind not in kinds:
        yield not_supported("roleRef.kind", ref.kind, kinds)
    if not ref.name:
        yield required("roleRef.name")
    else:
        yield from names.each("roleRef.name", ref.name, names.path_segment(ref.name))


def _subject(subject: Subject, path: str, *, namespaced: bool) -> Errors:
    """ValidateRoleBindingSubject."""
    if not subject.name:
        yield required(f"{path}.name")
    match subject.kind:
        case "ServiceAccount":
            if subject.name:
                messages = names.dns_subdomain(subject.name)
                yield from names.each(f"{path}.name", subject.name, messages)
            if subject.api_group:
                yield not_supported(f"{path}.apiGroup", subject.api_group, ("",))
            if not namespaced and not subject.namespace:
                yield required(f"{path}.namespace")
        case "User" | "Group":
            if subject.api_group != GROUP:
                yield not_supported(f"{path}.apiGroup", subject.api_group, (GROUP,))
        case _:
            kinds = ("ServiceAccount", "User", "Group")
            yield not_supported(f"{path}.kind", subject.kind, kinds)


def binding_update(new: _Binding, old: _Binding) -> Errors:
    """ValidateRoleBindingUpdate: what a binding grants cannot change, only to whom."""
    if new.role_ref != old.role_ref:
        ref = new.role_ref
        members = (("APIGroup", ref.api_group), ("Kind", ref.kind), ("Name", ref.name))
        shown = ", ".join(f"{name}:{go_quote(value)}" for name, value in members)
        yield invalid("roleRef", GoValue(f"rbac.RoleRef{{{shown}}}"), "cannot change roleRef")
