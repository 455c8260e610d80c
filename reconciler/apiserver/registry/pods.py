"""Pods: phase and quality of service at birth, graceful deletion, binding."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.apiserver.registry.deletion import DeleteOptions
from reconciler.apiserver.registry.strategy import Strategy
from reconciler.model.container import Container
from reconciler.model.pod import Pod, PodSpec
from reconciler.model.podstatus import PodCondition, PodStatus

_QUALITY_RESOURCES = ("cpu", "memory")


class PodStrategy(Strategy[Pod]):
    """The rules of pods."""

    def for_create(self, new: Pod) -> Pod:
        """Start the pod as Pending, with its quality of service."""
        return new.replace(status=PodStatus(phase="Pending", qos_class=quality(new.spec)))

    def for_status(self, new: Pod, old: Pod) -> Pod:
        """Take the new status; the quality of service never changes."""
        if not new.status.qos_class and old.status.qos_class:
            new = new.replace(status=new.status.replace(qos_class=old.status.qos_class))
        return super().for_status(new, old)

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
    others = tuple(item for item in pod.status.conditions if item.type != condition.type)
    return pod.replace(
        spec=pod.spec.replace(node_name=node),
        status=pod.status.replace(conditions=(*others, condition)),
    )


def quality(spec: PodSpec) -> str:
    """Return the QoS class: Guaranteed, Burstable or BestEffort (qos.GetPodQOS)."""
    containers: tuple[Container, ...] = (*spec.init_containers, *spec.containers)
    requests = _named(container.resources.requests for container in containers)
    limits = _named(container.resources.limits for container in containers)
    if not requests and not limits:
        return "BestEffort"
    return "Guaranteed" if all(map(_guaranteed, containers)) else "Burstable"


def _named(maps: Iterable[Mapping[str, str]]) -> bool:
    return any(_positive(amounts, name) for amounts in maps for name in _QUALITY_RESOURCES)


def _positive(amounts: Mapping[str, str], name: str) -> bool:
    return amounts.get(name, "0") != "0"


def _guaranteed(container: Container) -> bool:
    requests, limits = container.resources.requests, container.resources.limits
    return all(
        _positive(limits, name) and requests.get(name, limits[name]) == limits[name]
        for name in _QUALITY_RESOURCES
    )
