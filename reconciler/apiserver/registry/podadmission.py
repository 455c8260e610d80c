"""What Kubernetes' built-in admission plug-ins put into every pod. Pure.

Called by the pod strategy before validation: RuntimeClass, Priority, DefaultTolerationSeconds.
They are no defaults of the manifest: a pod's template never has them.
"""

from __future__ import annotations

from collections.abc import Sequence

from reconciler.model.node import NOT_READY, UNREACHABLE
from reconciler.model.pod import PodSpec
from reconciler.model.priorityclass import PriorityClass, default_priority
from reconciler.model.scheduling import Toleration

_PREEMPTION = "PreemptLowerPriority"
_SECONDS = 300
_TOLERATIONS = {
    taint: Toleration(key=taint, operator="Exists", effect="NoExecute", toleration_seconds=_SECONDS)
    for taint in (NOT_READY, UNREACHABLE)
}


class NotAdmitted(ValueError):
    """The pod asks for a priority or runtime that it cannot have; the message is Kubernetes'."""


def for_create(spec: PodSpec, classes: Sequence[PriorityClass] = ()) -> PodSpec:
    """Return the spec of a new pod with priority and tolerations; raises `NotAdmitted`.

    `classes` are the PriorityClasses that there are.
    """
    _check_runtime_class(spec)
    chosen = _priority_class(spec.priority_class_name, classes)
    priority = chosen.value if chosen is not None else 0
    policy = chosen.preemption_policy if chosen is not None else None
    policy = policy or _PREEMPTION
    if spec.priority is not None and spec.priority != priority:
        raise NotAdmitted(
            f"the integer value of priority ({spec.priority}) must not be provided in pod spec;"
            f" priority admission controller computed {priority} from the given PriorityClass name"
        )
    if spec.preemption_policy is not None and spec.preemption_policy != policy:
        given = spec.preemption_policy
        raise NotAdmitted(
            f"the string value of PreemptionPolicy ({given}) must not be provided in pod spec;"
            f" priority admission controller computed {policy} from the given PriorityClass name"
        )
    return spec.replace(
        priority_class_name=chosen.metadata.name if chosen is not None else "",
        priority=priority,
        preemption_policy=policy,
        tolerations=_tolerations(spec),
    )


def _priority_class(name: str, classes: Sequence[PriorityClass]) -> PriorityClass | None:
    """Return the class that a pod names, or the default one if there is one (Priority)."""
    if not name:
        return default_priority(classes)
    found = next((each for each in classes if each.metadata.name == name), None)
    if found is None:
        raise NotAdmitted(f"no PriorityClass with name {name} was found")
    return found


def _check_runtime_class(spec: PodSpec) -> None:
    """RuntimeClass: the engine has one runtime and there are no classes, so none is found."""
    if spec.runtime_class_name:
        raise NotAdmitted(f'pod rejected: RuntimeClass "{spec.runtime_class_name}" not found')
    if spec.overhead:
        raise NotAdmitted(
            "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"
        )


def for_update(spec: PodSpec, old: PodSpec) -> PodSpec:
    """Return the spec of an updated pod with what its writer left out of the same."""
    if spec.priority is None and spec.priority_class_name == old.priority_class_name:
        spec = spec.replace(priority=old.priority)
    if spec.preemption_policy is None:
        spec = spec.replace(preemption_policy=old.preemption_policy)
    tolerations = _tolerations(spec)
    return spec if tolerations == spec.tolerations else spec.replace(tolerations=tolerations)


def _tolerations(spec: PodSpec) -> tuple[Toleration, ...]:
    """Return the tolerations with which the pod stays a while where its node does not answer."""
    missing = (
        toleration for taint, toleration in _TOLERATIONS.items() if not _tolerates(spec, taint)
    )
    return (*spec.tolerations, *missing)


def _tolerates(spec: PodSpec, taint: str) -> bool:
    return any(
        toleration.key in ("", taint) and toleration.effect in ("", "NoExecute")
        for toleration in spec.tolerations
    )
