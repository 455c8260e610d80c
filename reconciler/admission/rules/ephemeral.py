"""Rules of ephemeral containers: what a pod that runs may be given for debugging. Pure.

Called by the registry for the subresource `ephemeralcontainers`; nothing else may set them.
"""

from __future__ import annotations

from reconciler.admission.errors import Errors, FieldError, duplicate, forbidden, not_found
from reconciler.admission.rules.container import container_common, trimmed_images
from reconciler.admission.rules.volume import named_volumes
from reconciler.model.container import Container, EphemeralContainer
from reconciler.model.pod import Pod, PodSpec

_PATH = "spec.ephemeralContainers"
_NEVER = "cannot be set for an Ephemeral Container"
_FORBIDDEN = (
    ("ports", "ports"), ("resources", "resources"), ("resize_policy", "resizePolicy"),
    ("restart_policy", "restartPolicy"), ("liveness_probe", "livenessProbe"),
    ("readiness_probe", "readinessProbe"), ("startup_probe", "startupProbe"),
    ("lifecycle", "lifecycle"),
)  # fmt: skip
_PLAIN = Container()


def ephemeral_update(new: Pod, old: Pod) -> tuple[FieldError, ...]:
    """ValidatePodEphemeralContainersUpdate: those that are there stay as they are."""
    return (*_containers(new.spec), *_changes(new.spec, old.spec))


def _containers(spec: PodSpec) -> Errors:
    """ValidateEphemeralContainers."""
    others = {each.name for each in (*spec.containers, *spec.init_containers)}
    volumes, seen = named_volumes(spec.volumes, sound=True), set(others)
    for index, each in enumerate(spec.ephemeral_containers):
        path = f"{_PATH}[{index}]"
        yield from container_common(each, volumes, path)
        if each.name in seen:
            yield duplicate(f"{path}.name", each.name)
        seen.add(each.name)
        if each.target_container_name and each.target_container_name not in others:
            yield not_found(f"{path}.targetContainerName", each.target_container_name)
        yield from _never(each, path)
    yield from trimmed_images(spec.ephemeral_containers, _PATH)


def _never(container: EphemeralContainer, path: str) -> Errors:
    for attribute, field in _FORBIDDEN:
        if getattr(container, attribute) != getattr(_PLAIN, attribute):
            yield forbidden(f"{path}.{field}", _NEVER)
    for index, mount in enumerate(container.volume_mounts):
        if mount.sub_path:
            yield forbidden(f"{path}.volumeMounts[{index}].subPath", _NEVER)
        if mount.sub_path_expr:
            yield forbidden(f"{path}.volumeMounts[{index}].subPathExpr", _NEVER)


def _changes(new: PodSpec, old: PodSpec) -> Errors:
    present = {each.name: each for each in new.ephemeral_containers}
    for before in old.ephemeral_containers:
        after = present.get(before.name)
        if after is None:
            text = f'existing ephemeral containers "{before.name}" may not be removed\n'
            yield forbidden(_PATH, text)
        elif after != before:
            text = f'existing ephemeral containers "{before.name}" may not be changed\n'
            yield forbidden(_PATH, text)
