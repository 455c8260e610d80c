"""Rules of PriorityClasses."""

from __future__ import annotations

from reconciler.admission.errors import Errors, forbidden, invalid, not_supported, required
from reconciler.admission.rules.meta import validate_meta
from reconciler.model.priorityclass import (
    HIGHEST_OF_USERS,
    SYSTEM_CLASSES,
    SYSTEM_PREFIX,
    PriorityClass,
)

POLICIES = ("Never", "PreemptLowerPriority")


def priority_class(obj: PriorityClass) -> Errors:
    """ValidatePriorityClass."""
    yield from validate_meta(obj, namespaced=False)
    if obj.metadata.name.startswith(SYSTEM_PREFIX):
        wrong = _not_the_systems(obj)
        if wrong:
            reserved = f"priority class names with '{SYSTEM_PREFIX}' prefix are reserved for"
            yield forbidden("metadata.name", f"{reserved} system use only. error: {wrong}")
    elif obj.value > HIGHEST_OF_USERS:
        highest = f"maximum allowed value of a user defined priority is {HIGHEST_OF_USERS}"
        yield forbidden("value", highest)
    yield from preemption_policy(obj.preemption_policy, "preemptionPolicy")


def _not_the_systems(obj: PriorityClass) -> str:
    """IsKnownSystemPriorityClass: return in what the class is not one of the system's."""
    name = obj.metadata.name
    known = next((each for each in SYSTEM_CLASSES if each.metadata.name == name), None)
    if known is None:
        return f"{name} is not a known system priority class"
    if obj.value != known.value:
        return f"value of {name} PriorityClass must be {known.value}"
    return f"globalDefault of {name} PriorityClass must be false" if obj.global_default else ""


def preemption_policy(policy: str | None, path: str) -> Errors:
    """ValidatePreemptionPolicy."""
    if policy is not None and policy not in POLICIES:
        yield not_supported(path, policy, POLICIES) if policy else required(path)


def priority_class_update(new: PriorityClass, old: PriorityClass) -> Errors:
    """ValidatePriorityClassUpdate: what pods were given may not change."""
    if new.value != old.value:
        yield forbidden("value", "may not be changed in an update.")
    if new.preemption_policy != old.preemption_policy:
        yield invalid("preemptionPolicy", new.preemption_policy, "field is immutable")
