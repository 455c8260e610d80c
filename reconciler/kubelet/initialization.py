"""Which containers of a pod are due: init containers one by one, then all the others. Pure.

Kubernetes' computeInitContainerActions: an init container is due when the one before it ended
well; a sidecar (restartable init container) holds back what follows until it has started, and is
then kept running. All of it begins anew in a new sandbox, unless a container proper was started
there, which proves that the init containers were done.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.kubelet import roster
from reconciler.kubelet.labels import PodContainer
from reconciler.kubelet.observed import Observed
from reconciler.kubelet.restart import should_restart
from reconciler.kubelet.roster import Member
from reconciler.model.pod import Pod


@dataclass(frozen=True, slots=True)
class Due:
    """The containers to be kept running now; `initialized` when the containers proper are."""

    members: tuple[Member, ...]
    initialized: bool


def due(pod: Pod, observed: Observed, sandbox: PodContainer) -> Due:
    """Return what shall run in the sandbox now, besides ephemeral containers."""
    initial = roster.initial(pod)
    sidecars = tuple(each for each in initial if each.is_sidecar)
    everything = Due((*sidecars, *roster.main(pod)), initialized=True)
    if any(observed.trace(each.name, sandbox) for each in roster.main(pod)):
        return everything
    at = _reached(initial, observed, sandbox)
    kept = tuple(each for each in initial[:at] if each.is_sidecar)
    if at == len(initial):
        return everything
    return Due((*kept, initial[at]), initialized=False)


def _reached(initial: tuple[Member, ...], observed: Observed, sandbox: PodContainer) -> int:
    """Return the place of the init container that the pod waits for; their number when of none."""
    traces = [observed.trace(each.name, sandbox) for each in initial]
    last = max((place for place, trace in enumerate(traces) if trace is not None), default=-1)
    if last < 0:
        return 0
    trace = traces[last]
    done = trace is not None and _is_done(initial[last], trace, observed)
    return last + 1 if done else last


def _is_done(member: Member, trace: PodContainer, observed: Observed) -> bool:
    if member.is_sidecar:
        return observed.is_started(member, trace)
    return trace.exited and trace.state.exit_code == 0


def is_finished(pod: Pod, observed: Observed) -> bool:
    """Tell whether the pod has nothing left to run: what still does, sidecars, is to be stopped."""
    if any(_failed_for_good(pod, each, observed) for each in roster.initial(pod)):
        return True
    return all(_ended_for_good(pod, each, observed) for each in roster.main(pod))


def _failed_for_good(pod: Pod, member: Member, observed: Observed) -> bool:
    latest = observed.latest(member.name)
    return (
        member.runs_to_its_end
        and latest is not None
        and latest.exited
        and latest.state.exit_code != 0
        and not should_restart(pod, member, latest)
    )


def _ended_for_good(pod: Pod, member: Member, observed: Observed) -> bool:
    latest = observed.latest(member.name)
    return latest is not None and latest.exited and not should_restart(pod, member, latest)
