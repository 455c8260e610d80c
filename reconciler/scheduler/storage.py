"""The scheduler's look at claims, volumes and classes. Called by `loop.py`; writes nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from reconciler.client.informer import Informer
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.pod import Pod
from reconciler.model.podstatus import TERMINAL
from reconciler.model.storage import PersistentVolume
from reconciler.model.storageclass import StorageClass
from reconciler.model.volumebinding import claims_of_pod
from reconciler.scheduler.volumes import NONE, PodVolumes, World, volumes_of

_BY_CLAIM = "claim"


@dataclass(frozen=True, slots=True)
class Storage:
    """The live copies; run by whoever made them."""

    claims: Informer[PersistentVolumeClaim]
    volumes: Informer[PersistentVolume]
    classes: Informer[StorageClass]

    def informers(self) -> Iterable[Informer[Any]]:
        """Yield all of them."""
        yield from (self.claims, self.volumes, self.classes)

    def watch(self, pods: Informer[Pod], changed: Callable[[], None]) -> None:
        """Call `changed` whenever a waiting pod may fit after all."""
        pods.add_index(_BY_CLAIM, _claims)
        for informer in self.informers():
            informer.subscribe(lambda *_: changed())

    def of(self, pod: Pod, pods: Informer[Pod], placed_on: Callable[[str], str]) -> PodVolumes:
        """Return what the pod's claims mean; `placed_on` knows bindings that `pods` lacks yet."""
        names = claims_of_pod(pod)
        if not names:
            return NONE
        namespace = pod.metadata.namespace
        found = {name: self.claims.get(name, namespace) for name in names}
        world = World(
            claims={name: claim for name, claim in found.items() if claim is not None},
            volumes=self.volumes.items(),
            classes={each.metadata.name: each for each in self.classes.items()},
            used=frozenset(name for name in names if _used(pod, name, pods, placed_on)),
        )
        return volumes_of(pod, world)


def _claims(pod: Pod) -> Iterable[str]:
    return (f"{pod.metadata.namespace}/{name}" for name in claims_of_pod(pod))


def _used(pod: Pod, name: str, pods: Informer[Pod], placed_on: Callable[[str], str]) -> bool:
    """Say whether another pod with a node, which has not ended, uses the claim."""
    users = pods.by_index(_BY_CLAIM, f"{pod.metadata.namespace}/{name}")
    return any(
        user.metadata.uid != pod.metadata.uid
        and (user.spec.node_name or placed_on(user.metadata.uid))
        and user.status.phase not in TERMINAL
        for user in users
    )
