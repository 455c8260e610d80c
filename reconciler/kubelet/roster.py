"""The containers of a pod with the part that each plays in it. Pure.

Read by the planner, the status and all who look a container of a pod up by its name.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import Enum

from reconciler.model.container import Container
from reconciler.model.pod import Pod


class Role(Enum):
    """What a container is in its pod; the value is its list in the pod's spec."""

    INIT = "initContainers"
    MAIN = "containers"
    EPHEMERAL = "ephemeralContainers"


@dataclass(frozen=True, slots=True)
class Member:
    """A container of a pod, and its place there."""

    container: Container
    role: Role

    @property
    def name(self) -> str:
        """The container's name."""
        return self.container.name

    @property
    def is_sidecar(self) -> bool:
        """Whether it is an init container that runs as long as the pod (restartPolicy Always)."""
        return self.role is Role.INIT and self.container.restart_policy == "Always"

    @property
    def runs_to_its_end(self) -> bool:
        """Whether it is an init container that others wait for the end of."""
        return self.role is Role.INIT and not self.is_sidecar

    @property
    def field_path(self) -> str:
        """Its path in the pod, as Kubernetes' events have it."""
        return f"spec.{self.role.value}{{{self.name}}}"


def members(pod: Pod) -> tuple[Member, ...]:
    """Return all containers of a pod, in the order in which they may start."""
    return (*initial(pod), *main(pod), *ephemeral(pod))


def initial(pod: Pod) -> tuple[Member, ...]:
    """Return the init containers, sidecars among them, in their order."""
    return tuple(Member(container, Role.INIT) for container in pod.spec.init_containers)


def main(pod: Pod) -> tuple[Member, ...]:
    """Return the containers proper."""
    return tuple(Member(container, Role.MAIN) for container in pod.spec.containers)


def ephemeral(pod: Pod) -> tuple[Member, ...]:
    """Return the ephemeral containers."""
    return tuple(Member(container, Role.EPHEMERAL) for container in pod.spec.ephemeral_containers)


def member(pod: Pod, name: str) -> Member | None:
    """Return the container of that name."""
    return next((each for each in members(pod) if each.name == name), None)


def spec_hash(container: Container) -> str:
    """Return the hash of the fields that may change in a pod: Kubernetes' HashContainer."""
    text = json.dumps([container.name, container.image])
    return hashlib.sha256(text.encode()).hexdigest()[:16]
