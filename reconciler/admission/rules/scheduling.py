"""Rules of affinity, tolerations and topology spread."""

from __future__ import annotations

from reconciler.admission.errors import (
    Errors,
    GoValue,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from reconciler.admission.rules import names
from reconciler.admission.rules.meta import label_name
from reconciler.admission.rules.selectors import label_selector, node_selector, node_selector_term
from reconciler.model.scheduling import (
    Affinity,
    NodeAffinity,
    PodAffinity,
    PodAffinityTerm,
    PodAntiAffinity,
    Toleration,
    TopologySpreadConstraint,
)
from reconciler.model.selector import LabelSelector

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
_WEIGHT = "must be in the range 1-100"
_WEIGHT_MAX = 100
_NO_SELECTOR = "must not be specified when labelSelector is not set"
_IN_BOTH = "exists in both matchLabelKeys and labelSelector"


def affinity(held: Affinity, path: str) -> Errors:
    """ValidateAffinity."""
    if held.node_affinity is not None:
        yield from _node_affinity(held.node_affinity, f"{path}.nodeAffinity")
    if held.pod_affinity is not None:
        yield from _pod_affinity(held.pod_affinity, f"{path}.podAffinity")
    if held.pod_anti_affinity is not None:
        yield from _pod_affinity(held.pod_anti_affinity, f"{path}.podAntiAffinity")


def _node_affinity(held: NodeAffinity, path: str) -> Errors:
    if held.required_during_scheduling_ignored_during_execution is not None:
        selector = held.required_during_scheduling_ignored_during_execution
        yield from node_selector(selector, f"{path}.{_REQUIRED}")
    for index, term in enumerate(held.preferred_during_scheduling_ignored_during_execution):
        where = f"{path}.{_PREFERRED}[{index}]"
        yield from _weight(term.weight, where)
        yield from node_selector_term(term.preference, f"{where}.preference")


def _weight(weight: int, path: str) -> Errors:
    if not 1 <= weight <= _WEIGHT_MAX:
        yield invalid(f"{path}.weight", weight, _WEIGHT)


def _pod_affinity(held: PodAffinity | PodAntiAffinity, path: str) -> Errors:
    for index, term in enumerate(held.required_during_scheduling_ignored_during_execution):
        yield from _pod_term(term, f"{path}.{_REQUIRED}[{index}]")
    for index, weighted in enumerate(held.preferred_during_scheduling_ignored_during_execution):
        where = f"{path}.{_PREFERRED}[{index}]"
        yield from _weight(weighted.weight, where)
        yield from _pod_term(weighted.pod_affinity_term, f"{where}.podAffinityTerm")


def _pod_term(term: PodAffinityTerm, path: str) -> Errors:
    yield from label_selector(term.label_selector, f"{path}.labelSelector")
    yield from label_selector(term.namespace_selector, f"{path}.namespaceSelector")
    for namespace in term.namespaces:
        yield from names.each(f"{path}.namespace", namespace, names.dns_label(namespace))
    yield from _label_keys(term, path)
    if not term.topology_key:
        yield required(f"{path}.topologyKey", "can not be empty")
    yield from label_name(term.topology_key, f"{path}.topologyKey")


def _label_keys(term: PodAffinityTerm, path: str) -> Errors:
    """ValidateMatchLabelKeysAndMismatchLabelKeys.

    A pod's selector has the keys as expressions by then: a second mention is the user's own.
    """
    yield from _keys(term.match_label_keys, term.label_selector, f"{path}.matchLabelKeys")
    yield from _keys(term.mismatch_label_keys, term.label_selector, f"{path}.mismatchLabelKeys")
    selector = term.label_selector
    seen = set(selector.match_labels) if selector is not None else set()
    for expression in selector.match_expressions if selector is not None else ():
        if expression.key in term.match_label_keys and expression.key in seen:
            where = f"{path}[{term.match_label_keys.index(expression.key)}]"
            yield invalid(where, expression.key, _IN_BOTH)
        seen.add(expression.key)
    for index, key in enumerate(term.match_label_keys):
        if key in term.mismatch_label_keys:
            text = "exists in both matchLabelKeys and mismatchLabelKeys"
            yield invalid(f"{path}.matchLabelKeys[{index}]", key, text)


def _keys(keys: tuple[str, ...], selector: LabelSelector | None, path: str) -> Errors:
    """ValidateLabelKeys."""
    if keys and selector is None:
        yield forbidden(path, _NO_SELECTOR)
        return
    for index, key in enumerate(keys):
        yield from label_name(key, f"{path}[{index}]")


def tolerations(held: tuple[Toleration, ...], path: str) -> Errors:
    """ValidateTolerations."""
    for index, toleration in enumerate(held):
        yield from _toleration(toleration, f"{path}[{index}]")


def _toleration(held: Toleration, path: str) -> Errors:
    if held.key:
        yield from label_name(held.key, f"{path}.key")
    elif held.operator != "Exists":
        text = (
            "operator must be Exists when `key` is empty, which means "
            '"match all values and all keys"'
        )
        yield invalid(f"{path}.operator", held.operator, text)
    if held.toleration_seconds is not None and held.effect != "NoExecute":
        text = "effect must be 'NoExecute' when `tolerationSeconds` is set"
        yield invalid(f"{path}.effect", held.effect, text)
    yield from _toleration_operator(held, f"{path}.operator")
    if held.effect and held.effect not in EFFECTS:
        yield not_supported(f"{path}.effect", held.effect, EFFECTS)


def _toleration_operator(held: Toleration, path: str) -> Errors:
    match held.operator:
        case "Equal" | "":
            if messages := names.label_value(held.value):
                yield invalid(path, held.value, ";".join(messages))
        case "Exists":
            if held.value:
                shown = GoValue("core.Toleration{...}")
                yield invalid(path, shown, "value must be empty when `operator` is 'Exists'")
        case _:
            yield not_supported(path, held.operator, ("Equal", "Exists"))


def topology_spread(held: tuple[TopologySpreadConstraint, ...], path: str) -> Errors:
    """ValidateTopologySpreadConstraints."""
    for index, constraint in enumerate(held):
        where = f"{path}[{index}]"
        yield from _spread(constraint, where)
        pair = (constraint.topology_key, constraint.when_unsatisfiable)
        if any(pair == (o.topology_key, o.when_unsatisfiable) for o in held[index + 1 :]):
            shown = f"{{{pair[0]}, {pair[1]}}}"
            yield duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", shown)
        yield from _min_domains(constraint, f"{where}.minDomains")
        yield from _spread_keys(constraint, f"{where}.matchLabelKeys")
        yield from label_selector(constraint.label_selector, f"{where}.labelSelector")


def _spread(constraint: TopologySpreadConstraint, path: str) -> Errors:
    if constraint.max_skew <= 0:
        yield invalid(f"{path}.maxSkew", constraint.max_skew, "must be greater than zero")
    if not constraint.topology_key:
        yield required(f"{path}.topologyKey", "can not be empty")
    else:
        yield from label_name(constraint.topology_key, f"{path}.topologyKey")
    choices = ("DoNotSchedule", "ScheduleAnyway")
    if constraint.when_unsatisfiable not in choices:
        where = f"{path}.whenUnsatisfiable"
        yield not_supported(where, constraint.when_unsatisfiable, choices)
    for field, value in (
        ("nodeAffinityPolicy", constraint.node_affinity_policy),
        ("nodeTaintsPolicy", constraint.node_taints_policy),
    ):
        if value is not None and value not in ("Honor", "Ignore"):
            yield not_supported(f"{path}.{field}", value, ("Honor", "Ignore"))


def _spread_keys(constraint: TopologySpreadConstraint, path: str) -> Errors:
    """ValidateMatchLabelKeysInTopologySpread."""
    selector = constraint.label_selector
    if constraint.match_label_keys and selector is None:
        yield forbidden(path, _NO_SELECTOR)
    known = selector or LabelSelector()
    taken = {*known.match_labels, *(item.key for item in known.match_expressions)}
    for index, key in enumerate(constraint.match_label_keys):
        yield from label_name(key, f"{path}[{index}]")
        if key in taken:
            yield invalid(f"{path}[{index}]", key, _IN_BOTH)


def _min_domains(constraint: TopologySpreadConstraint, path: str) -> Errors:
    if constraint.min_domains is None:
        return
    if constraint.min_domains <= 0:
        yield invalid(path, constraint.min_domains, "must be greater than zero")
    if constraint.when_unsatisfiable != "DoNotSchedule":
        text = (
            "can only use minDomains if whenUnsatisfiable=DoNotSchedule, "
            f"not {constraint.when_unsatisfiable}"
        )
        yield invalid(path, constraint.min_domains, text)
