"""How a container of ours is named and labelled, and read back after a crash. Pure.

The labels are the ones that Docker tools know from Kubernetes, and a few of ours for what a pod's
object does not say. Together they are all the state that the kubelet needs to find its pods again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from reconciler.kubelet import launcher
from reconciler.kubelet.runtime import Container

# Its value is the scope: whose containers these are, see `KubeletOptions.scope`.
MANAGED = "reconciler.dev/managed"
SCOPE = "reconciler"
POD_NAME = "io.kubernetes.pod.name"
POD_NAMESPACE = "io.kubernetes.pod.namespace"
POD_UID = "io.kubernetes.pod.uid"
CONTAINER_NAME = "io.kubernetes.container.name"
TYPE = "io.kubernetes.docker.type"
SANDBOX_ID = "io.kubernetes.sandbox.id"
ATTEMPT = "reconciler.dev/attempt"
SPEC_HASH = "reconciler.dev/spec-hash"
ADDRESS = "reconciler.dev/pod-ip"
BACKOFF = "reconciler.dev/backoff-seconds"
# The container has secret variables, which its launcher gives to what runs in it.
LAUNCHED = "reconciler.dev/launched"
# Mount paths, separated by colons, whose wish to be read-only to the last mount was not met.
NOT_RECURSIVE = "reconciler.dev/not-recursive"
SANDBOX = "POD"
# Beside container names and the sandbox: what is held back of a pod's volumes.
VOLUMES = "VOLUMES"


class PodKey(NamedTuple):
    """One incarnation of a pod."""

    namespace: str
    name: str
    uid: str

    def __str__(self) -> str:
        return f"{self.name}_{self.namespace}({self.uid})"


@dataclass(frozen=True)
class PodContainer:
    """A container of ours with its labels read."""

    state: Container

    @property
    def id(self) -> str:
        """The engine's id."""
        return self.state.id

    @cached_property
    def pod(self) -> PodKey:
        """The pod that it belongs to."""
        labels = self.state.labels
        return PodKey(
            labels.get(POD_NAMESPACE, ""), labels.get(POD_NAME, ""), labels.get(POD_UID, "")
        )

    @property
    def name(self) -> str:
        """The container's name in its pod; "POD" for the sandbox."""
        return self.state.labels.get(CONTAINER_NAME, "")

    @property
    def is_sandbox(self) -> bool:
        """Whether it is the pod's sandbox."""
        return self.state.labels.get(TYPE) == "podsandbox"

    @cached_property
    def attempt(self) -> int:
        """0 for the first one of that name, then 1, 2, ..."""
        return int(self.state.labels.get(ATTEMPT, "0"))

    @property
    def sandbox(self) -> str:
        """The id of the sandbox that it was started in."""
        return self.state.labels.get(SANDBOX_ID, "")

    @property
    def spec_hash(self) -> str:
        """The hash of the container's part of the pod's spec."""
        return self.state.labels.get(SPEC_HASH, "")

    @property
    def address(self) -> str:
        """A sandbox's pod IP; empty in the host's network."""
        return self.state.labels.get(ADDRESS, "")

    @property
    def backoff(self) -> float:
        """The back-off in seconds that its next restart has to wait."""
        return float(self.state.labels.get(BACKOFF, "0"))

    def argv(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """Return how to run a command inside so that it has all of the container's variables."""
        launched = self.state.labels.get(LAUNCHED) == "true"
        return (*launcher.ENTRYPOINT, *command) if launched else command

    @property
    def not_recursive(self) -> frozenset[str]:
        """The mount paths that could not be had read-only to the last mount below them."""
        return frozenset(filter(None, self.state.labels.get(NOT_RECURSIVE, "").split(":")))

    @property
    def running(self) -> bool:
        """Whether it runs."""
        return self.state.phase == "running"

    @property
    def exited(self) -> bool:
        """Whether it ran to its end, or could not be started."""
        return self.state.phase == "exited"

    @property
    def ended(self) -> datetime:
        """When it ended; its creation when that is unknown."""
        return self.state.finished or self.state.created


def container_name(pod: PodKey, container: str, attempt: int) -> str:
    """Return the engine's name of a container: Kubernetes' own scheme."""
    return f"k8s_{container}_{pod.name}_{pod.namespace}_{pod.uid}_{attempt}"


def sandbox_labels(pod: PodKey, attempt: int, address: str) -> dict[str, str]:
    """Return the labels of a pod's sandbox."""
    return {
        **_common(pod, SANDBOX, attempt),
        TYPE: "podsandbox",
        **({ADDRESS: address} if address else {}),
    }


def container_labels(
    pod: PodKey, container: str, attempt: int, *, sandbox: str, spec_hash: str, backoff: float
) -> dict[str, str]:
    """Return the labels of a container of a pod."""
    return {
        **_common(pod, container, attempt),
        TYPE: "container",
        SANDBOX_ID: sandbox,
        SPEC_HASH: spec_hash,
        BACKOFF: f"{backoff:g}",
    }


def _common(pod: PodKey, container: str, attempt: int) -> dict[str, str]:
    return {
        POD_NAME: pod.name,
        POD_NAMESPACE: pod.namespace,
        POD_UID: pod.uid,
        CONTAINER_NAME: container,
        ATTEMPT: str(attempt),
    }
