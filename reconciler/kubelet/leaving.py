"""Which pods leave their services before something in them is stopped on purpose. Pure.

Called by `worker.py` and by the status. A pod that is deleted says so by itself; one that rests, or
of which a container is to run by another definition, comes back, and leaves by not being ready.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.kubelet import roster
from reconciler.kubelet.labels import PodContainer
from reconciler.kubelet.roster import Member, spec_hash
from reconciler.model.pod import Pod
from reconciler.model.retirement import is_stopped


def leaves(pod: Pod, containers: Iterable[PodContainer]) -> bool:
    """Tell whether the pod shall get no new connections for what is about to be done to it."""
    if pod.metadata.deletion_timestamp is not None or is_stopped(pod):
        return True
    members = {each.name: each for each in (*roster.initial(pod), *roster.main(pod))}
    return any(
        each.running and each.name in members and is_outdated(members[each.name], each)
        for each in containers
    )


def is_outdated(member: Member, running: PodContainer) -> bool:
    """Tell whether a container has to be restarted, for its definition is another one by now."""
    return not member.runs_to_its_end and running.spec_hash != spec_hash(member.container)
