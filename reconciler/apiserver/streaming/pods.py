"""The pod and container that a stream is for, with the refusals of kube-apiserver and kubelet."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.apiserver.registry.errors import StatusError, bad_request
from reconciler.model.pod import Pod
from reconciler.model.podstatus import ContainerStatus

_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


def container_of(pod: Pod, asked: str) -> str:
    """Return the container's name: the one asked for, or the only one. Raises `StatusError`."""
    name = pod.metadata.name
    if asked:
        if asked not in _names(pod):
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(pod.spec.containers) == 1:
        return pod.spec.containers[0].name
    preferred = pod.metadata.annotations.get(_DEFAULT_CONTAINER, "")
    if preferred in [each.name for each in pod.spec.containers]:
        return preferred
    choices = " ".join(each.name for each in pod.spec.containers)
    text = f"a container name must be specified for pod {name}, choose one of: [{choices}]"
    first = " ".join(each.name for each in pod.spec.init_containers)
    raise bad_request(text + (f" or one of the init containers: [{first}]" if first else ""))


def _names(pod: Pod) -> list[str]:
    spec = pod.spec
    everything = (*spec.containers, *spec.init_containers, *spec.ephemeral_containers)
    return [each.name for each in everything]


def require_host(pod: Pod) -> None:
    """Raise `StatusError` when the pod is on no node."""
    if not pod.spec.node_name:
        raise bad_request(f"pod {pod.metadata.name} does not have a host assigned")


def running_id(pod: Pod, container: str) -> str:
    """Return the id of a container that runs. Raises `StatusError`."""
    status = _status(pod, container)
    if status is None or status.state.running is None:
        raise StatusError(500, "InternalError", f'container not found ("{container}")')
    return status.container_id


def logged_id(pod: Pod, container: str, *, previous: bool) -> str:
    """Return the id of the container whose log is meant: kubelet's validateContainerLogStatus."""
    where = f'container "{container}" in pod "{pod.metadata.name}"'
    status = _status(pod, container)
    if status is None:
        raise bad_request(f"{where} is not available")
    last, state = status.last_state.terminated, status.state
    if previous:
        if last is None or not last.container_id:
            raise bad_request(f"previous terminated {where} not found")
        return last.container_id
    if state.running is not None:
        return status.container_id
    for each in (state.terminated, last):
        if each is not None and each.container_id:
            return each.container_id
    if state.terminated is not None:
        raise bad_request(f"{where} is terminated")
    reason = state.waiting.reason if state.waiting is not None else ""
    raise bad_request(f"{where} is waiting to start{_waits_for(reason)}")


def _waits_for(reason: str) -> str:
    if not reason:
        return " - no logs yet"
    words = {
        "ErrImagePull": "image can't be pulled",
        "ImagePullBackOff": "trying and failing to pull image",
    }
    return f": {words.get(reason, reason)}"


def _status(pod: Pod, container: str) -> ContainerStatus | None:
    return next((each for each in _statuses(pod) if each.name == container), None)


def _statuses(pod: Pod) -> Iterator[ContainerStatus]:
    status = pod.status
    yield from status.container_statuses
    yield from status.init_container_statuses
    yield from status.ephemeral_container_statuses
