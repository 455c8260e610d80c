"""What the kubelet tells users: Kubernetes' events of a pod, in Kubernetes' words.

Called by `worker.py` and the prober. An event never fails its cause.
"""

from __future__ import annotations

from typing import Protocol

import structlog

from reconciler.kubelet import roster
from reconciler.kubelet.hooks import When
from reconciler.kubelet.images import Pulled
from reconciler.kubelet.podspec import pod_key
from reconciler.kubelet.prober import Kind
from reconciler.kubelet.runtime import Image
from reconciler.kubelet.starter import StartFailed
from reconciler.kubelet.status import is_ready
from reconciler.model.container import Container
from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod


class Recorder(Protocol):
    """Writes events; `client/events.py` has the real one."""

    def event(
        self, about: KubeObject, kind: str, reason: str, message: str, *, field_path: str = ""
    ) -> None:
        """`kind` is "Normal" or "Warning". Returns at once."""
        ...


class Narrator:
    """The kubelet's events."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._log = structlog.get_logger(component="kubelet")

    def readiness(self, before: Pod, after: Pod) -> None:
        """The pod's condition Ready changed; logged only, as Kubernetes has no event for it."""
        ready = is_ready(after.status)
        if ready != is_ready(before.status):
            meta = after.metadata
            event = "pod.ready" if ready else "pod.unready"
            self._log.info(event, kind="Pod", namespace=meta.namespace, name=meta.name)

    def pulled(self, pod: Pod, container: Container, image: Image, pull: Pulled | None) -> None:
        """A container's image is here, and where it came from; told before what may fail."""
        name = container.image
        words = f'Container image "{name}" already present on machine'
        if pull is not None:
            took = f"{pull.seconds:.3f}s ({pull.waited:.3f}s including waiting)"
            words = f'Successfully pulled image "{name}" in {took}. Image size: {image.size} bytes.'
        self._of(pod, container.name, "Normal", "Pulled", words)

    def created(self, pod: Pod, container: Container) -> None:
        """The engine has made a container."""
        self._of(pod, container.name, "Normal", "Created", f"Created container {container.name}")

    def started(self, pod: Pod, container: Container) -> None:
        """A container runs."""
        self._of(pod, container.name, "Normal", "Started", f"Started container {container.name}")

    def failed(self, pod: Pod, name: str, error: StartFailed) -> None:
        """A start failed."""
        if error.reason in ("FailedMount", "FailedCreatePodSandBox"):
            self._recorder.event(pod, "Warning", error.reason, error.message)
        elif error.reason == "ImagePullBackOff":
            self._of(pod, name, "Normal", "BackOff", error.message)
            self._of(pod, name, "Warning", "Failed", "Error: ImagePullBackOff")
        elif error.reason == "ErrImagePull":
            member = roster.member(pod, name)
            image = member.container.image if member is not None else ""
            words = f'Failed to pull image "{image}": {error.message}'
            self._of(pod, name, "Warning", "Failed", words)
            self._of(pod, name, "Warning", "Failed", "Error: ErrImagePull")
        elif error.reason in ("ErrImageNeverPull", "ImageInspectError", "InvalidImageName"):
            reason = "InspectFailed" if error.reason != "ErrImageNeverPull" else error.reason
            self._of(pod, name, "Warning", reason, error.message)
            self._of(pod, name, "Warning", "Failed", f"Error: {error.reason}")
        else:
            self._of(pod, name, "Warning", "Failed", f"Error: {error.message or error.reason}")

    def pulling(self, pod: Pod, name: str, message: str) -> None:
        """An image is being pulled, and how far that is."""
        self._of(pod, name, "Normal", "Pulling", message)

    def no_pull_secrets(self, pod: Pod, names: list[str]) -> None:
        """Some imagePullSecrets are not there."""
        words = (
            f"Unable to retrieve some image pull secrets ({', '.join(names)}); "
            "attempting to pull the image may not succeed."
        )
        self._recorder.event(pod, "Warning", "FailedToRetrieveImagePullSecret", words)

    def variables_skipped(self, pod: Pod, message: str) -> None:
        """Some keys of envFrom are no names of variables."""
        self._recorder.event(pod, "Warning", "InvalidEnvironmentVariableNames", message)

    def dns_cut(self, pod: Pod, message: str) -> None:
        """A resolver has more servers or search domains than the C library takes."""
        self._recorder.event(pod, "Warning", "DNSConfigForming", message)

    def rejected(self, pod: Pod, reason: str, message: str) -> None:
        """This host cannot run the pod at all."""
        self._recorder.event(pod, "Warning", reason, message)

    def overdue(self, pod: Pod) -> None:
        """A pod failed because its activeDeadlineSeconds were over."""
        self._recorder.event(pod, "Normal", pod.status.reason, pod.status.message)

    def stopping(self, pod: Pod, name: str, message: str) -> None:
        """A container is stopped."""
        self._of(pod, name, "Normal", "Killing", message)

    def backing_off(self, pod: Pod, name: str) -> None:
        """A container that ends again and again waits for its restart."""
        words = f"Back-off restarting failed container {name} in pod {pod_key(pod)}"
        self._of(pod, name, "Warning", "BackOff", words)

    def sandbox_changed(self, pod: Pod) -> None:
        """The sandbox died; the pod starts anew."""
        words = "Pod sandbox changed, it will be killed and re-created."
        self._recorder.event(pod, "Normal", "SandboxChanged", words)

    def unhealthy(self, pod: Pod, name: str, kind: Kind, message: str) -> None:
        """A probe failed, or could not be tried: `message` says which, and why."""
        self._of(pod, name, "Warning", "Unhealthy", f"{kind} probe {message}")

    def hook_failed(self, pod: Pod, name: str, when: When, why: str) -> None:
        """A lifecycle hook failed."""
        self._of(pod, name, "Warning", f"Failed{when}Hook", f"{when}Hook failed: {why}")

    def _of(self, pod: Pod, name: str, kind: str, reason: str, message: str) -> None:
        member = roster.member(pod, name)
        path = member.field_path if member is not None else ""
        self._recorder.event(pod, kind, reason, message, field_path=path)
