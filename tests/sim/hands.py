"""People with kubectl, who fight Git or do what is their own business. Called by `deeds.py`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from reconciler.client.protocol import ApiError, Client, Propagation
from reconciler.controlplane import ControlPlane
from reconciler.model.config import ConfigMap
from reconciler.model.meta import KubeObject, ObjectMeta
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.model.retirement import REMOVE_AT, UNDELETED, is_retired
from reconciler.model.service import Endpoints, Service, ServicePort, ServiceSpec
from reconciler.sync.live import followed_kinds
from tests.sim.manifests import GONE
from tests.sim.world import World

OWN = "by-hand"
"""The name of an object that somebody made and nobody else may touch."""

_KUBECTL = "kubectl"
_PATIENCE = 20.0
_KINDS: dict[str, type[KubeObject]] = {
    "delete-pod": Pod,
    "label-pod": Pod,
    "delete-service": Service,
    "edit-config": ConfigMap,
    "delete-endpoints": Endpoints,
    "delete-controller": ReplicationController,
    "scale": ReplicationController,
    "edit-image": ReplicationController,
    "delete-waiting": ReplicationController,
    "hold-config": ConfigMap,
    "hold-controller": ReplicationController,
}
_HOLD = "example.com/hold"
"""The finalizer of somebody who takes it off again after a while."""

_HELD = 20.0


async def make_own(world: World) -> None:
    """Make the object that must outlive everything, as soon as the daemon serves."""
    made = ConfigMap(metadata=ObjectMeta(name=OWN, namespace="default"))
    while True:
        try:
            if await ask(world, lambda plane: plane.client.create(made, manager=_KUBECTL)):
                return
        except ApiError as error:
            if error.reason == "AlreadyExists":
                return
        await asyncio.sleep(3)


async def ask(world: World, request: Callable[[ControlPlane], Any]) -> Any:
    """Have the daemon serve a request; one that is away, or dies meanwhile, answers None."""
    process, plane = world.processes.running.get(0), world.processes.plane
    if process is None or plane is None:
        return None
    task = world.loop.create_task(request(plane), context=process.context.copy())
    done, _ = await asyncio.wait({task}, timeout=_PATIENCE)
    return next(iter(done)).result() if done else None


async def act(world: World, word: str, pick: int) -> None:
    """Do what `word` says to the object that `pick` chooses."""
    if word == "flush-rules":
        for host in world.hosts:
            host.kernel, host.kernel_foreign = set(), True
        return
    try:
        await ask(world, lambda plane: _act(world, plane, word, pick))
        if word.startswith("hold"):
            await _release(world, _KINDS[word])
    except ApiError as error:
        world.trace.note(f"by hand: {error.reason}")


async def _act(world: World, plane: ControlPlane, word: str, pick: int) -> None:
    match word:
        case "make-config":
            made = ConfigMap(metadata=ObjectMeta(name=f"made-{pick}", namespace="default"))
            await plane.client.create(made, manager=_KUBECTL)
        case "make-service":
            await plane.client.create(_service(pick), manager=_KUBECTL)
        case "undelete":
            await _undelete(plane)
        case _:
            await _change(world, plane, word, pick)


async def _change(world: World, plane: ControlPlane, word: str, pick: int) -> None:
    kind = _KINDS[word]
    found = [each for each in plane.registry.list(kind) if each.metadata.name != OWN]
    if word == "label-pod":  # one that nobody owns any more has to run by itself
        found = [pod for pod in found if _is_sound(pod)]
    if not found:
        return
    chosen = found[pick % len(found)]
    if word.startswith("delete"):
        await _delete(world, plane.client, chosen, waiting=word == "delete-waiting")
    elif word.startswith("hold"):
        held = chosen.metadata.replace(finalizers=(*chosen.metadata.finalizers, _HOLD))
        await plane.client.update(chosen.replace(metadata=held), manager=_KUBECTL)
        await _delete(world, plane.client, chosen)
    else:
        await plane.client.update(_edited(chosen, word, pick), manager=_KUBECTL)


def _is_sound(pod: Pod) -> bool:
    """Tell whether a pod was made without any of the faults that an `App` may have."""
    container = pod.spec.containers[0]
    probe = container.readiness_probe
    asked = probe.exec.command if probe is not None and probe.exec is not None else ()
    return container.image != GONE and "false" not in (*(container.command or ()), *asked)


async def _delete(
    world: World, client: Client, chosen: KubeObject, *, waiting: bool = False
) -> None:
    meta = chosen.metadata
    if world.laws.always_declared is not None:
        world.laws.always_declared.discard((chosen.kind, meta.namespace, meta.name))
    propagation: Propagation = "Foreground" if waiting else "Background"  # as kubectl asks for
    await client.delete(type(chosen), meta.name, meta.namespace, propagation=propagation)


def _service(pick: int) -> Service:
    return Service(
        metadata=ObjectMeta(name=f"made-{pick}", namespace="default"),
        spec=ServiceSpec(type="NodePort", ports=(ServicePort(port=80),)),
    )


async def _undelete(plane: ControlPlane) -> None:
    """Bring back everything that rests, as `reconciler undelete --all` does."""
    for kind in followed_kinds():
        for obj in plane.registry.list(kind):
            if is_retired(obj):
                notes = dict(obj.metadata.annotations)
                del notes[REMOVE_AT]
                meta = obj.metadata.replace(annotations={**notes, UNDELETED: "by hand"})
                await plane.client.update(obj.replace(metadata=meta), manager=_KUBECTL)


async def _release(world: World, kind: type[KubeObject]) -> None:
    """Take the finalizer off again; whoever put it there does not give up."""
    await asyncio.sleep(_HELD)
    while True:
        try:
            await ask(world, lambda plane: _let_go(plane, kind))
        except ApiError:
            await asyncio.sleep(3)
            continue
        if _is_free(world, kind):
            return
        await asyncio.sleep(3)


async def _let_go(plane: ControlPlane, kind: type[KubeObject]) -> None:
    for obj in plane.registry.list(kind):
        rest = tuple(each for each in obj.metadata.finalizers if each != _HOLD)
        if rest != obj.metadata.finalizers:
            freed = obj.replace(metadata=obj.metadata.replace(finalizers=rest))
            await plane.client.update(freed, manager=_KUBECTL)


def _is_free(world: World, kind: type[KubeObject]) -> bool:
    plane = world.processes.plane
    return plane is not None and not any(
        _HOLD in obj.metadata.finalizers for obj in plane.registry.list(kind)
    )


def _edited(obj: Any, word: str, pick: int) -> Any:
    match word:
        case "scale":
            return obj.replace(spec=obj.spec.replace(replicas=pick))
        case "label-pod":
            labels = {**obj.metadata.labels, "app": "lost"}
            return obj.replace(metadata=obj.metadata.replace(labels=labels))
        case "edit-image":
            template = obj.spec.template
            main = template.spec.containers[0].replace(image="app:3")
            changed = template.replace(spec=template.spec.replace(containers=(main,)))
            return obj.replace(spec=obj.spec.replace(template=changed))
        case _:
            return obj.replace(data={"value": "by hand"})
