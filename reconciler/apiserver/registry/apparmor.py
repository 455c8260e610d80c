"""AppArmor in the old and the new way: annotations and fields say the same. Pure.

Called by the pod strategy. Follows Kubernetes' applyAppArmorVersionSkew: what only one of the two
says is written into the other; where both speak, validation has the word.
"""

from __future__ import annotations

from typing import TypeVar

from reconciler.model.container import Container
from reconciler.model.pod import Pod
from reconciler.model.security import AppArmorProfile, SecurityContext

C = TypeVar("C", bound=Container)

_PREFIX = "container.apparmor.security.beta.kubernetes.io/"
_DEFAULT, _UNCONFINED, _LOCAL = "runtime/default", "unconfined", "localhost/"
_NAMES = {"RuntimeDefault": _DEFAULT, "Unconfined": _UNCONFINED}


def with_app_armor(pod: Pod) -> Pod:
    """Return a new pod with profiles in both places."""
    shared = pod.spec.security_context.app_armor_profile if pod.spec.security_context else None
    notes = dict(pod.metadata.annotations)
    if shared is None and not any(map(_own, _all(pod))) and not _told(notes):
        return pod
    for container in _all(pod):
        key, profile = f"{_PREFIX}{container.name}", _own(container) or shared
        if key not in notes and profile is not None:
            notes[key] = _annotation(profile)
    given = pod.metadata.annotations

    def completed(containers: tuple[Container, ...]) -> tuple[Container, ...]:
        notes_of = ((each, given.get(f"{_PREFIX}{each.name}")) for each in containers)
        return tuple(_completed(each, note, shared) for each, note in notes_of)

    spec = pod.spec.replace(
        containers=completed(pod.spec.containers),
        init_containers=completed(pod.spec.init_containers),
    )
    return pod.replace(metadata=pod.metadata.replace(annotations=notes), spec=spec)


def _all(pod: Pod) -> tuple[Container, ...]:
    return (*pod.spec.init_containers, *pod.spec.containers)


def _own(container: Container) -> AppArmorProfile | None:
    context = container.security_context
    return context.app_armor_profile if context is not None else None


def _told(notes: dict[str, str]) -> bool:
    return any(key.startswith(_PREFIX) for key in notes)


def _annotation(profile: AppArmorProfile) -> str:
    return _NAMES.get(profile.type, f"{_LOCAL}{profile.localhost_profile or ''}")


def _completed(container: C, note: str | None, shared: AppArmorProfile | None) -> C:
    """Return the container with the profile of its annotation, unless it is the pod's anyway."""
    found = _profile(note) if note is not None and _own(container) is None else None
    if found is None or found == shared:
        return container
    context = container.security_context or SecurityContext()
    return container.replace(security_context=context.replace(app_armor_profile=found))


def _profile(note: str) -> AppArmorProfile | None:
    """Return the field of an annotation's value; None for a value that means nothing."""
    if note == _DEFAULT:
        return AppArmorProfile(type="RuntimeDefault")
    if note == _UNCONFINED:
        return AppArmorProfile(type="Unconfined")
    name = note.removeprefix(_LOCAL)
    if note.startswith(_LOCAL) and name.strip() == name and name:
        return AppArmorProfile(type="Localhost", localhost_profile=name)
    return None
