"""How Kubernetes words who breaks a rule: containers by name, the pod, or both. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from reconciler.model.container import Container, EphemeralContainer
from reconciler.model.pod import PodSpec
from reconciler.model.security import SecurityContext

AnyContainer = Container | EphemeralContainer

NO_CONTEXT = SecurityContext()


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule that a pod breaks: what it is about, and who breaks it how."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


def everybody(spec: PodSpec) -> Sequence[AnyContainer]:
    """Return all containers, in the order in which Kubernetes visits them."""
    return (*spec.init_containers, *spec.containers, *spec.ephemeral_containers)


def context(container: AnyContainer) -> SecurityContext:
    """Return a container's security context, an empty one where it gives none."""
    return container.security_context or NO_CONTEXT


def offenders(spec: PodSpec, breaks: Callable[[SecurityContext], bool]) -> list[str]:
    """Return the names of the containers whose context breaks a rule."""
    return [each.name for each in everybody(spec) if breaks(context(each))]


def quoted(values: Iterable[str]) -> str:
    """Return values as Kubernetes lists them."""
    return ", ".join(f'"{value}"' for value in values)


def containers(names: Sequence[str]) -> str:
    """Return `container "a"` or `containers "a", "b"`."""
    return f"container{'s' if len(names) > 1 else ''} {quoted(names)}"


def volumes(names: Sequence[str]) -> str:
    """Return `volume "a"` or `volumes "a", "b"`."""
    return f"volume{'s' if len(names) > 1 else ''} {quoted(names)}"
