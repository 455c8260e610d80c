"""What may change in a pod that exists: almost nothing but its images."""

from __future__ import annotations

from typing import Any

from reconciler.admission.errors import Errors, forbidden, invalid
from reconciler.admission.rules.container import trimmed_images
from reconciler.model.container import Container
from reconciler.model.pod import Pod, PodSpec
from reconciler.model.scheduling import Toleration

_CHANGEABLE = (
    "pod updates may not change fields other than `spec.containers[*].image`,"
    "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only "
    "additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set "
    "to 1 if it was previously negative)"
)


def pod_update(new: Pod, old: Pod) -> Errors:
    """ValidatePodUpdate."""
    before, after = old.spec, new.spec
    for field, held, were in (
        ("containers", after.containers, before.containers),
        ("initContainers", after.init_containers, before.init_containers),
    ):
        if len(held) != len(were):
            yield forbidden(f"spec.{field}", "pod updates may not add or remove containers")
            return
        yield from trimmed_images(held, f"spec.{field}")
    yield from _deadline(after.active_deadline_seconds, before.active_deadline_seconds)
    yield from _tolerations(after.tolerations, before.tolerations)
    yield from _gates(after, before)
    mutable = _with_changeable_of(before, after)
    fields = PodSpec.model_fields
    changed = [name for name in fields if getattr(mutable, name) != getattr(after, name)]
    if changed:
        listed = "\n".join(f"  spec.{fields[name].alias or name}" for name in changed)
        yield forbidden("spec", f"{_CHANGEABLE}\n{listed}\n")


def _with_changeable_of(before: PodSpec, after: PodSpec) -> PodSpec:
    """Return the old spec with what may change taken from the new one."""
    grace = before.termination_grace_period_seconds
    if grace is not None and grace < 0 and after.termination_grace_period_seconds == 1:
        grace = 1
    return before.replace(
        **_of_gated(before, after),
        containers=_with_images(before.containers, after.containers),
        init_containers=_with_images(before.init_containers, after.init_containers),
        active_deadline_seconds=after.active_deadline_seconds,
        tolerations=after.tolerations,
        scheduling_gates=after.scheduling_gates,
        termination_grace_period_seconds=grace,
    )


def _of_gated(before: PodSpec, after: PodSpec) -> dict[str, Any]:
    """A pod that waits at a gate may still be told more closely where to run."""
    changes: dict[str, Any] = {}
    if not before.scheduling_gates:
        return changes
    if before.node_selector.items() <= after.node_selector.items():
        changes["node_selector"] = after.node_selector
    if before.affinity is None or before.affinity.node_affinity is None:
        changes["affinity"] = after.affinity
    return changes


def _with_images(
    before: tuple[Container, ...], after: tuple[Container, ...]
) -> tuple[Container, ...]:
    return tuple(old.replace(image=new.image) for old, new in zip(before, after, strict=True))


def _deadline(after: int | None, before: int | None) -> Errors:
    path = "spec.activeDeadlineSeconds"
    if before is None:
        return
    if after is None:
        yield invalid(path, None, "must not update from a positive integer to nil value")
    elif after > before:
        yield invalid(path, after, "must be less than or equal to previous value")


def _tolerations(after: tuple[Toleration, ...], before: tuple[Toleration, ...]) -> Errors:
    kept = {item.replace(toleration_seconds=None).to_json() for item in after}
    if any(item.replace(toleration_seconds=None).to_json() not in kept for item in before):
        text = "existing toleration can not be modified except its tolerationSeconds"
        yield forbidden("spec.tolerations", text)


def _gates(after: PodSpec, before: PodSpec) -> Errors:
    known = {gate.name for gate in before.scheduling_gates}
    for index, gate in enumerate(after.scheduling_gates):
        if gate.name not in known:
            text = f"only deletion is allowed, but found new scheduling gate '{gate.name}'"
            yield forbidden(f"spec.schedulingGates[{index}].name", text)
