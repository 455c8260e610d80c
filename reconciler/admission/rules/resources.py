"""Rules of resource names and amounts."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from reconciler.admission.errors import Errors, GoValue, forbidden, invalid, required
from reconciler.admission.rules import names
from reconciler.model import quantity
from reconciler.model.container import ResourceRequirements

CONTAINER_RESOURCES = frozenset(("cpu", "memory", "ephemeral-storage"))
QUOTA_RESOURCES = CONTAINER_RESOURCES | {
    "requests.cpu", "requests.memory", "requests.storage", "requests.ephemeral-storage",
    "limits.cpu", "limits.memory", "limits.ephemeral-storage", "pods", "resourcequotas",
    "services", "replicationcontrollers", "secrets", "persistentvolumeclaims", "configmaps",
    "services.nodeports", "services.loadbalancers",
}  # fmt: skip
STANDARD_RESOURCES = QUOTA_RESOURCES | {"storage"}
INTEGER_RESOURCES = frozenset((
    "pods", "resourcequotas", "services", "replicationcontrollers", "secrets", "configmaps",
    "persistentvolumeclaims", "services.nodeports", "services.loadbalancers",
))  # fmt: skip
_HUGEPAGES = "hugepages-"


def is_hugepage(name: str) -> bool:
    """Say whether the resource is a size of huge pages."""
    return name.startswith(_HUGEPAGES)


def is_native(name: str) -> bool:
    """Say whether the resource is Kubernetes' own, and not an extended one."""
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    """IsExtendedResourceName."""
    if is_native(name) or name.startswith("requests."):
        return False
    return not names.qualified_name(f"requests.{name}")


def resource_name(name: str, path: str) -> Errors:
    """ValidateResourceName: a qualified name, and a standard one when it has no prefix."""
    messages = names.qualified_name(name)
    yield from names.each(path, GoValue(name), messages)
    standard = name in STANDARD_RESOURCES or name.startswith((_HUGEPAGES, "requests.hugepages-"))
    if not messages and "/" not in name and not standard:
        yield invalid(path, GoValue(name), "must be a standard resource type or fully qualified")


def container_resource_name(name: str, path: str) -> Errors:
    """ValidateContainerResourceName."""
    if name in CONTAINER_RESOURCES:
        return
    yield from resource_name(name, path)
    if "/" not in name:
        if not is_hugepage(name):
            yield invalid(path, GoValue(name), "must be a standard resource for containers")
    elif not is_native(name) and not is_extended(name):
        yield invalid(path, GoValue(name), "doesn't follow extended resource name standard")


def amount(name: str, value: str, path: str) -> Errors:
    """ValidateResourceQuantityValue: not negative; whole for what is counted."""
    parsed = quantity.parse(value).value
    if parsed < 0:
        yield invalid(path, value, "must be greater than or equal to 0")
    if (name in INTEGER_RESOURCES or is_extended(name)) and parsed != parsed.to_integral_value():
        shown = GoValue(f'resource.Quantity{{s:"{value}"}}')
        yield invalid(path, shown, "must be an integer")


def requirements(held: ResourceRequirements, path: str) -> Errors:
    """ValidateContainerResourceRequirements."""
    if not held.limits and not held.requests:
        return
    for name, value in held.limits.items():
        if not _sound(name, value):
            yield from _limit(name, value, f"{path}.limits[{name}]")
    for name, value in held.requests.items():
        if not _sound(name, value):
            yield from _limit(name, value, f"{path}.requests[{name}]")
        if held.limits.get(name) != value:
            yield from _against_limit(name, value, held.limits, path)
    both = held.limits.keys() | held.requests.keys()
    if any(is_hugepage(name) for name in both) and not both & {"cpu", "memory"}:
        yield forbidden(path, "HugePages require cpu or memory")


@lru_cache(maxsize=4096)
def _sound(name: str, value: str) -> bool:
    """Say whether an amount breaks no rule; the same few come again and again."""
    return not any(True for _ in _limit(name, value, ""))


def _limit(name: str, value: str, path: str) -> Errors:
    yield from container_resource_name(name, path)
    yield from amount(name, value, path)
    if is_hugepage(name):
        yield from _huge_page_amount(name, value, path)


def _huge_page_amount(name: str, value: str, path: str) -> Errors:
    try:
        page = quantity.parse(name.removeprefix(_HUGEPAGES)).value
    except quantity.QuantityError:
        yield invalid(path, GoValue(name), "invalid page size")
        return
    held = quantity.parse(value).value
    if page <= 0 or held <= 0 or held % page:
        yield invalid(path, value, f"{value} is not positive integer multiple of {name}")


def _against_limit(name: str, value: str, limits: Mapping[str, str], path: str) -> Errors:
    overcommits = is_native(name) and not is_hugepage(name)
    limit = limits.get(name)
    if limit is None:
        if not overcommits:
            text = "Limit must be set for non overcommitable resources"
            yield required(f"{path}.limits", text)
        return
    order = quantity.compare(value, limit)
    if order and not overcommits:
        yield invalid(f"{path}.requests", value, f"must be equal to {name} limit of {limit}")
    elif order > 0:
        text = f"must be less than or equal to {name} limit of {limit}"
        yield invalid(f"{path}.requests", value, text)
