"""Rules of ResourceQuotas and LimitRanges."""

from __future__ import annotations

from reconciler.admission.errors import (
    Errors,
    GoValue,
    duplicate,
    forbidden,
    invalid,
    required,
)
from reconciler.admission.rules import names
from reconciler.admission.rules.meta import validate_meta
from reconciler.admission.rules.resources import (
    QUOTA_RESOURCES,
    amount,
    container_resource_name,
    resource_name,
)
from reconciler.model import quantity
from reconciler.model.account import (
    LimitRange,
    LimitRangeItem,
    ResourceQuota,
    ResourceQuotaSpec,
    ScopedResourceSelectorRequirement,
)

SCOPES = (
    "Terminating", "NotTerminating", "BestEffort", "NotBestEffort", "PriorityClass",
    "CrossNamespacePodAffinity",
)  # fmt: skip
LIMIT_TYPES = ("Pod", "Container", "PersistentVolumeClaim")
_COMPUTE = frozenset((
    "pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory",
))  # fmt: skip
_CONFLICTS = ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"})
_EXISTS_ONLY = frozenset(SCOPES) - {"PriorityClass"}


def resource_quota(obj: ResourceQuota) -> Errors:
    """ValidateResourceQuota."""
    yield from validate_meta(obj)
    for name, value in obj.spec.hard.items():
        where = f"spec.hard[{name}]"
        yield from resource_name(name, where)
        if "/" not in name and name not in QUOTA_RESOURCES and "hugepages-" not in name:
            yield invalid(where, GoValue(name), "must be a standard resource for quota")
        yield from amount(name, value, where)
    yield from _scopes(obj.spec)
    for item in obj.spec.scope_selector.match_expressions if obj.spec.scope_selector else ():
        yield from _scope_requirement(item, obj.spec)


def _scopes(spec: ResourceQuotaSpec) -> Errors:
    path = "spec.scopes"
    shown = GoValue(f"[]core.ResourceQuotaScope{{{', '.join(spec.scopes)}}}")
    for scope in spec.scopes:
        if scope not in SCOPES:
            yield invalid(path, shown, "unsupported scope")
        for name in spec.hard:
            if not _scope_fits(scope, name):
                yield invalid(path, shown, "unsupported scope applied to resource")
    for conflict in _CONFLICTS:
        if conflict <= set(spec.scopes):
            yield invalid(path, shown, "conflicting scopes")


def _scope_fits(scope: str, name: str) -> bool:
    if scope not in SCOPES:
        return True
    return name == "pods" if scope == "BestEffort" else name in _COMPUTE


def _scope_requirement(item: ScopedResourceSelectorRequirement, spec: ResourceQuotaSpec) -> Errors:
    path, scope = "spec.scopeSelector.matchExpressions", item.scope_name
    if scope not in SCOPES:
        yield invalid(f"{path}.scopeName", scope, "unsupported scope")
    if any(not _scope_fits(scope, name) for name in spec.hard):
        yield invalid(
            path, GoValue("core.ScopeSelector{...}"), "unsupported scope applied to resource"
        )
    if scope in _EXISTS_ONLY and item.operator != "Exists":
        text = "must be 'Exist' when scope is any of " + ", ".join(sorted(_EXISTS_ONLY))
        yield invalid(f"{path}.operator", item.operator, text)
    match item.operator:
        case "In" | "NotIn":
            if not item.values:
                text = "must be at least one value when `operator` is 'In' or 'NotIn'"
                yield required(f"{path}.values", f"{text} for scope selector")
        case "Exists" | "DoesNotExist":
            if item.values:
                text = "must be no value when `operator` is 'Exist' or 'DoesNotExist'"
                yield invalid(f"{path}.values", item.values, f"{text} for scope selector")
        case _:
            yield invalid(f"{path}.operator", item.operator, "not a valid selector operator")


def limit_range(obj: LimitRange) -> Errors:
    """ValidateLimitRange."""
    yield from validate_meta(obj)
    seen: set[str] = set()
    for index, item in enumerate(obj.spec.limits):
        path = f"spec.limits[{index}]"
        yield from _limit_type(item.type, f"{path}.type")
        if item.type in seen:
            yield duplicate(f"{path}.type", item.type)
        seen.add(item.type)
        yield from _limit_names(item, path)
        for name in sorted({*item.max, *item.min, *item.default, *item.default_request,
                            *item.max_limit_request_ratio}):  # fmt: skip
            yield from _limit_order(item, name, path)


def _limit_type(name: str, path: str) -> Errors:
    messages = names.qualified_name(name)
    yield from names.each(path, name, messages)
    if not messages and "/" not in name and name not in LIMIT_TYPES:
        yield invalid(path, name, "must be a standard limit type or fully qualified")


def _limit_names(item: LimitRangeItem, path: str) -> Errors:
    groups = [("max", item.max), ("min", item.min)]
    if item.type == "Pod":
        for field, held in (("default", item.default), ("defaultRequest", item.default_request)):
            if held:
                yield forbidden(f"{path}.{field}", "may not be specified when `type` is 'Pod'")
    else:
        groups += [("default", item.default), ("defaultRequest", item.default_request)]
    groups.append(("maxLimitRequestRatio", item.max_limit_request_ratio))
    rule = container_resource_name if item.type in ("Pod", "Container") else resource_name
    for field, amounts in groups:
        for name in amounts:
            yield from rule(name, f"{path}.{field}[{name}]")
    if item.type == "PersistentVolumeClaim" and "storage" not in {*item.min, *item.max}:
        text = "either minimum or maximum storage value is required, but neither was provided"
        yield required(path, text)


def _shown(value: str) -> GoValue:
    return GoValue(f'resource.Quantity{{s:"{value}"}}')


def _limit_order(item: LimitRangeItem, name: str, path: str) -> Errors:
    """What is less must not be more: min, default request, default, max."""
    least, most = item.min.get(name), item.max.get(name)
    default, request = item.default.get(name), item.default_request.get(name)
    for field, shown, low, low_word, high, high_word in (
        ("min", least, least, "min value", most, "max value"),
        ("defaultRequest", request, least, "min value", request, "default request value"),
        ("defaultRequest", request, request, "default request value", most, "max value"),
        ("defaultRequest", request, request, "default request value", default,
         "default limit value"),
        ("default", default, least, "min value", default, "default value"),
        ("default", default, default, "default value", most, "max value"),
    ):  # fmt: skip
        if low is not None and high is not None and quantity.compare(low, high) > 0:
            text = f"{low_word} {low} is greater than {high_word} {high}"
            yield invalid(f"{path}.{field}[{name}]", _shown(shown or ""), text)
    ratio = item.max_limit_request_ratio.get(name)
    if ratio is not None and quantity.parse(ratio).value < 1:
        where = f"{path}.maxLimitRequestRatio[{name}]"
        yield invalid(where, _shown(ratio), f"ratio {ratio} is less than 1")
