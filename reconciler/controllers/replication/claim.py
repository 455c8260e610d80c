"""Which pods belong to a ReplicationController: adopt and release, by Kubernetes' rules. Pure.

Called by `loop.py` before the count or rollout plan, which see the pods claimed here only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reconciler.controllers.podstate import controller_of, is_active, matches
from reconciler.controllers.replication.actions import AdoptPod, ClaimAction, ReleasePod
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController


@dataclass(frozen=True, slots=True)
class Claim:
    """The pods that are the controller's, and what must be written to make that true."""

    owned: tuple[Pod, ...]
    actions: tuple[ClaimAction, ...]


def claim(rc: ReplicationController, candidates: Iterable[Pod]) -> Claim:
    """Follow PodControllerRefManager.ClaimPods over the pods of the controller's namespace.

    A pod of another controller is never touched; one that ends or is being deleted is not
    adopted; a controller that is being deleted neither adopts nor releases. Pods to adopt are not
    in `owned` yet: they are there once the adoption is written.
    """
    owned: list[Pod] = []
    actions: list[ClaimAction] = []
    deleting = rc.metadata.deletion_timestamp is not None
    for pod in sorted(candidates, key=lambda item: item.metadata.name):
        owner = controller_of(pod.metadata)
        matching = matches(rc.spec.selector, pod.metadata.labels)
        if owner is not None:
            if owner.uid != rc.metadata.uid:
                continue
            if matching:
                owned.append(pod)
            elif not deleting and pod.metadata.deletion_timestamp is None:
                actions.append(ReleasePod(pod))
        elif matching and not deleting and is_active(pod):
            actions.append(AdoptPod(pod))
    return Claim(tuple(owned), tuple(actions))
