"""Pods: phase and quality of service at birth, graceful deletion, binding."""

from __future__ import annotations

from reconciler.admission.rules.ephemeral import ephemeral_update
from reconciler.apiserver.registry import errors, podadmission
from reconciler.apiserver.registry.apparmor import with_app_armor
from reconciler.apiserver.registry.deletion import DeleteOptions
from reconciler.apiserver.registry.labelkeys import with_label_keys
from reconciler.apiserver.registry.podadmission import NotAdmitted
from reconciler.apiserver.registry.priorityclasses import Priorities
from reconciler.apiserver.registry.strategy import Strategy
from reconciler.model.pod import Pod
from reconciler.model.podstatus import PodCondition, PodStatus, disrupted, with_condition
from reconciler.model.qos import qos_class

EPHEMERAL = "ephemeralcontainers"


class PodStrategy(Strategy[Pod]):
    """The rules of pods; `priorities` are the PriorityClasses that there are."""

    def __init__(self, priorities: Priorities) -> None:
        super().__init__(Pod)
        self._priorities = priorities

    def for_create(self, new: Pod) -> Pod:
        """Start the pod as Pending, with its quality of service and what admission adds."""
        try:
            spec = podadmission.for_create(new.spec, self._priorities())
        except NotAdmitted as error:
            raise errors.forbidden(self.resource, new.metadata.name, str(error)) from error
        spec = with_label_keys(spec, new.metadata.labels)
        gated = (_gated(new.metadata.creation_timestamp),) if spec.scheduling_gates else ()
        status = PodStatus(phase="Pending", qos_class=qos_class(spec), conditions=gated)
        return with_app_armor(new.replace(spec=spec, status=status))

    self_checked = frozenset({EPHEMERAL})

    def for_subresource(self, subresource: str, new: Pod, old: Pod) -> Pod:
        """Return `old` with the status, or with the ephemeral containers, of `new`."""
        if subresource != EPHEMERAL:
            return super().for_subresource(subresource, new, old)
        added = new.spec.ephemeral_containers
        changed = old.replace(
            metadata=old.metadata.replace(managed_fields=new.metadata.managed_fields),
            spec=old.spec.replace(ephemeral_containers=added),
        )
        if added == old.spec.ephemeral_containers:
            return old
        faults = ephemeral_update(changed, old)
        if faults:
            raise errors.invalid(self.resource, old.metadata.name, faults)
        return changed

    def for_update(self, new: Pod, old: Pod) -> Pod:
        """Keep the status, and the priority that admission gave."""
        kept = super().for_update(new, old)
        spec = podadmission.for_update(kept.spec, old.spec)
        spec = with_label_keys(spec, old.metadata.labels)
        return kept if spec is kept.spec else kept.replace(spec=spec)

    def grace(self, obj: Pod, options: DeleteOptions) -> int | None:
        """Return CheckGracefulDelete's period: none for a pod that runs nowhere, or has ended."""
        if not obj.spec.node_name or obj.status.phase in ("Failed", "Succeeded"):
            return 0
        period = options.grace_period_seconds
        if period is None:
            period = obj.spec.termination_grace_period_seconds or 0
        return 1 if period < 0 else period


def bound(pod: Pod, node: str, now: str) -> Pod:
    """Return `pod` assigned to `node`, with the condition PodScheduled."""
    condition = PodCondition(type="PodScheduled", status="True", last_transition_time=now)
    return pod.replace(
        spec=pod.spec.replace(node_name=node), status=with_condition(pod.status, condition)
    )


def evicted(pod: Pod, now: str) -> Pod:
    """Return `pod` with the condition that says it is about to be evicted."""
    status = disrupted(pod.status, "EvictionByEvictionAPI", "Eviction API: evicting", now)
    return pod.replace(status=status)


def _gated(now: str | None) -> PodCondition:
    return PodCondition(
        type="PodScheduled",
        status="False",
        last_transition_time=now,
        reason="SchedulingGated",
        message="Scheduling is blocked due to non-empty scheduling gates",
    )
