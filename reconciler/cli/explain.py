"""`reconciler explain POD|CONTAINER`: from what runs back to the line and commit that ask for it.

It reads the daemon's store and the source, and touches neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rich.console import Console

from reconciler.cli.place import Place, Unreadable, at, followed, objects_of, reading
from reconciler.cli.reading import World, open_world
from reconciler.core.errors import ReconcilerError
from reconciler.model.gitops import Revision
from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.settings import Settings
from reconciler.sync.health import health
from reconciler.sync.identity import manager_of, source_of

_PARTS = 6
_ID_LENGTH = 6
_SHORT = 12


class NotFound(ReconcilerError):
    """No pod has the name, and no container the name or ID."""


@dataclass(frozen=True, slots=True)
class Found:
    """What was asked for: a pod, and one of its containers when that was named ("" else)."""

    pod: Pod
    container: str = ""


def run_explain(settings: Settings, console: Console, wanted: str) -> int:
    """Print where `wanted` comes from; return 0. Raises `NotFound`, `StoreUnavailable`."""
    with open_world(settings) as world:
        found = find(world.all(Pod), wanted)
        declared = owner_of(found.pod, world)
        source = source_of(declared)
        asked = asked_by(declared, world.all(Revision))
        place = followed(objects_of(world), source, settings) if source else None
    lines = [f"pod {found.pod.metadata.namespace}/{found.pod.metadata.name}: {_state(found.pod)}"]
    lines += [f"container {found.container}: {_image(found)}"] if found.container else []
    if declared is not found.pod:
        lines.append(f"made by {declared.key}")
    if place is not None:
        field = _image_field(found, declared)
        places = [at(place, asked.spec.commit), place] if asked and asked.spec.commit else [place]
        lines += asyncio.run(_origin(declared, field, source, places, settings))
    lines.append(_commit(asked) if source else "no source declares it: it was made by hand")
    for line in lines:
        console.print(line, soft_wrap=True, highlight=False, markup=False)
    return 0


def find(pods: Sequence[Pod], wanted: str) -> Found:
    """Return what `wanted` names: [namespace/]pod, a container's Docker name, or its ID's start."""
    parts = wanted.split("_")
    if wanted.startswith("k8s_") and len(parts) == _PARTS:
        _, container, name, namespace, uid, _ = parts
        for pod in pods:
            if (pod.metadata.uid, pod.metadata.name) == (uid, name):
                return Found(pod, "" if container == "POD" else container)
        raise NotFound(f"pod {namespace}/{name} of container {wanted} is gone")
    namespace, _, name = wanted.rpartition("/")
    named = [
        pod
        for pod in pods
        if pod.metadata.name == name and namespace in ("", pod.metadata.namespace)
    ]
    if len(named) == 1:
        return Found(named[0])
    if named:
        places = ", ".join(sorted(pod.metadata.namespace for pod in named))
        raise NotFound(f"pod {name} is in several namespaces ({places}): say NAMESPACE/{name}")
    return _by_id(pods, wanted)


def _by_id(pods: Iterable[Pod], wanted: str) -> Found:
    if len(wanted) >= _ID_LENGTH:
        for pod in pods:
            for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
                if status.container_id.removeprefix("docker://").startswith(wanted):
                    return Found(pod, status.name)
    raise NotFound(f"no pod is named {wanted!r}, and no container has that name or ID")


def owner_of(pod: Pod, world: World) -> KubeObject:
    """Return the declared object behind a pod: its controller, or the pod itself."""
    owners = {each.uid for each in pod.metadata.owner_references if each.controller}
    for controller in world.all(ReplicationController):
        if controller.metadata.uid in owners:
            return controller
    return pod


def asked_by(obj: KubeObject, revisions: Iterable[Revision]) -> Revision | None:
    """Return the revision that last changed what its source applied of `obj`.

    That is the newest one planned before the time that managedFields has for the source's manager;
    None when it is no longer remembered.
    """
    source = source_of(obj)
    times = [
        entry.time
        for entry in obj.metadata.managed_fields
        if entry.manager == manager_of(source) and entry.operation == "Apply" and entry.time
    ]
    if not times:
        return None
    planned = [
        (step.time, revision.spec.sequence, revision)
        for revision in revisions
        if revision.spec.source == source
        for step in revision.status.steps
        if step.phase == "Planned" and step.time and step.time <= max(times)
    ]
    return max(planned, key=lambda each: each[:2])[2] if planned else None


async def _origin(
    declared: KubeObject, field: str, source: str, places: Sequence[Place], settings: Settings
) -> list[str]:
    """Return where the object, and one field of it, is asked for: the first place that says so.

    That is the commit that asked for it; the newest revision may be a rejected one, or say it on
    another line. A server need not give the commit away: then the newest has to do.
    """
    told: list[str] = []
    for place in places:
        try:
            async with reading(place, settings) as read:
                if found := read.desired.objects.get(declared.key):
                    where = f"in source {source} ({place.spec.location})"
                    lines = [f"declared at {found.place} {where}"]
                    image = f"its image at {read.asked.spot(found, field)}"
                    return [*lines, image] if field else lines
            told = [f"declared in source {source}, but no longer at its newest revision"]
        except (Unreadable, ReconcilerError) as error:
            told = [f"declared in source {source}, which cannot be read now: {error}"]
    return told


def _image_field(found: Found, declared: KubeObject) -> str:
    """Return the field of the declared object that has the container's image, "" without one."""
    if not found.container:
        return ""
    spec = "spec" if declared is found.pod else "spec.template.spec"
    first = any(each.name == found.container for each in found.pod.spec.init_containers)
    return f"{spec}.{'initContainers' if first else 'containers'}[{found.container}].image"


def _commit(revision: Revision | None) -> str:
    if revision is None:
        return "asked for by a revision that is no longer remembered"
    spec = revision.spec
    title = spec.message.partition("\n")[0]
    what = f"commit {spec.commit[:_SHORT]}" if spec.commit else f"revision {spec.revision[:_SHORT]}"
    return f"asked for by {what} {spec.author} {spec.time or ''} {title}".rstrip()


def _state(pod: Pod) -> str:
    found = health(pod)
    return f"{found.state} {found.reason}".rstrip()


def _image(found: Found) -> str:
    spec = found.pod.spec
    containers = (*spec.init_containers, *spec.containers)
    return next((each.image for each in containers if each.name == found.container), "")
