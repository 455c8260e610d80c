"""What is accepted, and yet likely a mistake: the warnings of Kubernetes' strategies.

Called by the REST face for what it creates or changes; the text goes into Warning headers. Pure.
"""

from __future__ import annotations

from base64 import b64decode
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from reconciler.admission import addresswarnings as addresses
from reconciler.admission.errors import go_quote
from reconciler.model import quantity
from reconciler.model.config import Secret
from reconciler.model.container import Container
from reconciler.model.gitops import Source
from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod, PodSpec, PodTemplate
from reconciler.model.replication import ReplicationController
from reconciler.model.service import Service
from reconciler.model.sourcewords import (
    ON_FAILURE,
    ON_FAILURE_ANNOTATION,
    PAUSE_ANNOTATION,
    is_window,
    pause_windows,
)
from reconciler.model.storage import PersistentVolume

Warnings = Iterator[str]

_DEPRECATED_VOLUMES = {
    "git_repo": "gitRepo: deprecated in v1.11",
    "glusterfs": "glusterfs: deprecated in v1.25, non-functional in v1.26+",
    "rbd": "rbd: deprecated in v1.28, non-functional in v1.31+",
    "cephfs": "cephfs: deprecated in v1.28, non-functional in v1.31+",
}
_OLD_HINTS = "service.kubernetes.io/topology-aware-hints"
_TOPOLOGY_MODE = "service.kubernetes.io/topology-mode"
_PEM = b"-----BEGIN "
_BYTES = ("memory", "ephemeral-storage")


def warnings(obj: KubeObject) -> tuple[str, ...]:
    """Return what the writer of a valid object is to be told."""
    rule = _RULES.get(type(obj))
    return tuple(rule(obj)) if rule is not None else ()


def doubled_owners(obj: KubeObject) -> tuple[str, ...]:
    """Return what is told of owners that are given twice, of whom the server keeps one."""
    uids = Counter(owner.uid for owner in obj.metadata.owner_references)
    twice = sorted(uid for uid, times in uids.items() if times > 1)
    if not twice:
        return ()
    text = (
        ".metadata.ownerReferences contains duplicate entries; API server dedups owner references"
        " in 1.20+, and may reject such requests as early as 1.24; please fix your requests;"
        f" duplicate UID(s) observed: {', '.join(twice)}"
    )
    return (text,)


def _pod(pod: Pod) -> Warnings:
    yield from _spec(pod.spec, "spec")


def _template(obj: PodTemplate) -> Warnings:
    yield from _spec(obj.template.spec, "template.spec")


def _controller(obj: ReplicationController) -> Warnings:
    if obj.spec.template is not None:
        yield from _spec(obj.spec.template.spec, "spec.template.spec")


def _source(source: Source) -> Warnings:
    """Words on a Source that mean nothing: what they ask for does not happen."""
    notes = source.metadata.annotations
    for window in pause_windows(notes.get(PAUSE_ANNOTATION, "")):
        if not is_window(window):
            yield (
                f"metadata.annotations[{PAUSE_ANNOTATION}]: {go_quote(window)} is no window and "
                "pauses nothing: 22:00-06:00, or Fri-Sun 18:00-08:00, in UTC"
            )
    word = notes.get(ON_FAILURE_ANNOTATION)
    if word is not None and word not in ON_FAILURE:
        known = " or ".join(ON_FAILURE)
        yield (
            f"metadata.annotations[{ON_FAILURE_ANNOTATION}]: {go_quote(word)} says nothing: {known}"
        )


def _spec(spec: PodSpec, path: str) -> Warnings:
    for index, volume in enumerate(spec.volumes):
        for field, text in _DEPRECATED_VOLUMES.items():
            if getattr(volume, field) is not None:
                yield f"{path}.volumes[{index}].{text}"
    for index, secret in enumerate(spec.image_pull_secrets):
        if not secret.name:
            yield f'{path}.imagePullSecrets[{index}].name: invalid empty name ""'
    lists = (("initContainers", spec.init_containers), ("containers", spec.containers))
    for name, containers in lists:
        for index, container in enumerate(containers):
            yield from _container(container, f"{path}.{name}[{index}]")
    yield from _ports(spec, path)


def _container(container: Container, path: str) -> Warnings:
    resources = container.resources
    for kind, amounts in (("limits", resources.limits), ("requests", resources.requests)):
        for name in sorted(set(amounts) & set(_BYTES)):
            if quantity.to_milli(amounts[name]) % 1000:
                text = f"fractional byte value {go_quote(amounts[name])} is invalid"
                yield f"{path}.resources.{kind}[{name}]: {text}, must be an integer"
    seen: set[str] = set()
    for index, variable in enumerate(container.env):
        if variable.name in seen:
            text = f"hides previous definition of {go_quote(variable.name)}"
            yield f"{path}.env[{index}]: {text}, which may be dropped when using apply"
        seen.add(variable.name)


def _ports(spec: PodSpec, path: str) -> Warnings:
    """Yield a warning for each port that two of the containers open."""
    seen: dict[tuple[int, str], str] = {}
    for index, container in enumerate(spec.containers):
        for number, port in enumerate(container.ports):
            place = f"{path}.containers[{index}].ports[{number}]"
            key = (port.container_port, port.protocol)
            if key in seen:
                yield f"{place}: duplicate port definition with {seen[key]}"
            else:
                seen[key] = place


def _secret(secret: Secret) -> Warnings:
    if secret.type != "kubernetes.io/tls":
        return
    if _PEM not in b64decode(secret.data.get("tls.crt", "")):
        yield "tls: failed to find any PEM data in certificate input"


def _volume(volume: PersistentVolume) -> Warnings:
    if volume.spec.persistent_volume_reclaim_policy == "Recycle":
        yield (
            "spec.persistentVolumeReclaimPolicy: The Recycle reclaim policy is deprecated."
            " Instead, the recommended approach is to use dynamic provisioning."
        )


def _service(service: Service) -> Warnings:
    """GetWarningsForService."""
    if _OLD_HINTS in service.metadata.annotations:
        yield f"annotation {_OLD_HINTS} is deprecated, please use {_TOPOLOGY_MODE} instead"
    yield from _topology(service)
    spec = service.spec
    if spec.cluster_ip not in ("", "None"):
        for index, text in enumerate(spec.cluster_ips):
            yield from addresses.ip(text, f"spec.clusterIPs[{index}]")
    for index, text in enumerate(spec.external_ips):
        yield from addresses.ip(text, f"spec.externalIPs[{index}]")
    if spec.load_balancer_ip:
        yield from addresses.ip(spec.load_balancer_ip, "spec.loadBalancerIP")
    for index, text in enumerate(spec.load_balancer_source_ranges):
        yield from addresses.cidr(text, f"spec.loadBalancerSourceRanges[{index}]")
    if spec.type == "ExternalName" and spec.external_ips:
        yield 'spec.externalIPs is ignored when spec.type is "ExternalName"'
    if spec.type != "ExternalName" and spec.external_name:
        yield 'spec.externalName is ignored when spec.type is not "ExternalName"'


def _topology(service: Service) -> Warnings:
    """Tell what Kubernetes does silently with a mode that nothing here acts on."""
    annotations = service.metadata.annotations
    mode = annotations.get(_TOPOLOGY_MODE, annotations.get(_OLD_HINTS, ""))
    if mode in ("Auto", "auto"):
        yield (
            f'annotation {_TOPOLOGY_MODE}: "{mode}" has no effect here: endpoints of all zones get'
            " connections; to keep to the client's zone set spec.trafficDistribution: PreferClose"
        )


_RULES: dict[type[KubeObject], Callable[[Any], Warnings]] = {
    PersistentVolume: _volume,
    Pod: _pod,
    PodTemplate: _template,
    ReplicationController: _controller,
    Secret: _secret,
    Service: _service,
    Source: _source,
}
