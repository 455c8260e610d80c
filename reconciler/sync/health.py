"""Whether a live object does what it was declared for, and why not. Pure.

Called by the loop, which ends a revision with it, and by `reconciler status`. It reads the status
that controllers and the kubelet write, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.inplace import outdated_containers
from reconciler.model.meta import KubeObject
from reconciler.model.namespace import Namespace
from reconciler.model.pod import Pod, PodSpec
from reconciler.model.podstatus import LIVENESS_UNPROVEN, ContainerStatus
from reconciler.model.replication import ReplicationController, ReplicationControllerCondition
from reconciler.model.storage import PersistentVolume
from reconciler.model.volumebinding import SELECTED_NODE
from reconciler.sync.hooks import is_hook


class State(StrEnum):
    """`Failed` may still heal; it says that waiting alone is not expected to help."""

    HEALTHY = "Healthy"
    PROGRESSING = "Progressing"
    FAILED = "Failed"


@dataclass(frozen=True, slots=True)
class Health:
    """A state, and for people what is waited for or wrong."""

    state: State
    reason: str = ""


HEALTHY = Health(State.HEALTHY)


def health(obj: KubeObject) -> Health:
    """Return the health of one object; a kind that cannot be ill is always healthy."""
    ends = isinstance(obj, Namespace) and obj.status.phase == "Terminating"
    if obj.metadata.deletion_timestamp or ends:
        return Health(State.PROGRESSING, "is being deleted")
    match obj:
        case ReplicationController():
            return _replication(obj)
        case Pod():
            return _pod(obj)
        case PersistentVolumeClaim():
            return _claim(obj)
        case PersistentVolume() if obj.status.phase == "Failed":
            return Health(State.FAILED, _sentence(obj.status.reason, obj.status.message))
        case _:
            return HEALTHY


def _claim(claim: PersistentVolumeClaim) -> Health:
    """A claim that waits for its first consumer is as it shall be; others wait for their volume."""
    if claim.status.phase == "Lost":
        return Health(State.FAILED, "its volume is lost")
    spec, notes = claim.spec, claim.metadata.annotations
    asked = bool(spec.volume_name) or spec.storage_class_name == "" or SELECTED_NODE in notes
    if asked and claim.status.phase != "Bound":
        return Health(State.PROGRESSING, "is not bound to a volume")
    return HEALTHY


def _replication(controller: ReplicationController) -> Health:
    status, wanted = controller.status, wanted_replicas(controller)
    rollout = _condition(controller, "Progressing")
    if status.observed_generation < controller.metadata.generation:
        return Health(State.PROGRESSING, "its controller has not seen the change yet")
    if rollout is not None and rollout.reason == "ProgressDeadlineExceeded":
        return Health(State.FAILED, f"{rollout.reason}: {rollout.message}".rstrip(": "))
    failure = _condition(controller, "ReplicaFailure")
    if failure is not None and failure.status == "True":
        return Health(State.PROGRESSING, f"{failure.reason}: {failure.message}")
    if rollout is not None and rollout.reason != "RolloutComplete":
        return Health(State.PROGRESSING, rollout.message or rollout.reason)
    if status.ready_replicas != wanted or status.replicas != wanted:
        return Health(State.PROGRESSING, f"{status.ready_replicas} of {wanted} ready")
    return HEALTHY


def settles(obj: KubeObject) -> bool:
    """Return whether a healthy object has to stay so for a moment before it counts.

    A container without a readiness probe is ready as soon as it is started, and may end at once.
    """
    match obj:
        case ReplicationController() if obj.spec.template is not None:
            return wanted_replicas(obj) > 0 and not _is_probed(obj.spec.template.spec)
        case Pod() if obj.status.phase != "Succeeded":
            return not _is_probed(obj.spec)
        case _:
            return False


def _is_probed(spec: PodSpec) -> bool:
    return all(each.readiness_probe is not None for each in spec.containers)


def wanted_replicas(controller: ReplicationController) -> int:
    """Return the pods a controller wants; Kubernetes' default is one."""
    return 1 if controller.spec.replicas is None else controller.spec.replicas


def _condition(
    controller: ReplicationController, kind: str
) -> ReplicationControllerCondition | None:
    for condition in controller.status.conditions:
        if condition.type == kind:
            return condition
    return None


def _pod(pod: Pod) -> Health:
    if pod.status.phase == "Succeeded":
        return HEALTHY
    if pod.status.phase == "Failed":
        return Health(State.FAILED, _sentence(pod.status.reason, pod.status.message) or "failed")
    if outdated := outdated_containers(pod):
        return Health(State.PROGRESSING, f"container {outdated[0]}: runs its former image yet")
    if not is_ready(pod):
        why = "; ".join(waiting_reasons(pod)) or "is not ready"
    elif is_hook(pod):
        why = "the hook has not ended yet"
    else:
        why = next((c.message for c in pod.status.conditions if c.type == LIVENESS_UNPROVEN), "")
    return Health(State.PROGRESSING, why) if why else HEALTHY


def is_ready(pod: Pod) -> bool:
    """Return whether the pod's Ready condition holds and nobody deletes it."""
    ready = any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
    return ready and not pod.metadata.deletion_timestamp


def waiting_reasons(pod: Pod) -> tuple[str, ...]:
    """Return what keeps a pod from being ready, each once, the nearest cause first."""
    status = pod.status
    reasons = [
        _sentence(c.reason, c.message)
        for c in status.conditions
        if c.type == "PodScheduled" and c.status == "False"
    ]
    for each in (*status.init_container_statuses, *status.container_statuses):
        reasons += _container_reasons(each)
    return tuple(dict.fromkeys(reason for reason in reasons if reason))


def _container_reasons(status: ContainerStatus) -> list[str]:
    waiting, ended = status.state.waiting, status.state.terminated
    if waiting is not None:
        what = _sentence(waiting.reason, waiting.message)
        last = status.last_state.terminated
        tail = f" (exit code {last.exit_code} before)" if last is not None else ""
        return [f"container {status.name}: {what}{tail}"] if what else []
    if ended is not None and not status.ready and ended.exit_code:
        what = _sentence(ended.reason, ended.message)
        return [f"container {status.name}: exit code {ended.exit_code} {what}".rstrip()]
    if status.state.running is not None and not status.ready:
        return [f"container {status.name}: runs, not ready yet"]
    return []


def _sentence(reason: str, message: str) -> str:
    return f"{reason}: {message}" if reason and message else reason or message
