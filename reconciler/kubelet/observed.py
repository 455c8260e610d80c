"""A pod as it is on its host: what the planner and the status are made from. Pure data.

Filled in by `worker.py` from the container cache, the probes, the hooks and its memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from reconciler.kubelet.labels import PodContainer
from reconciler.kubelet.podadmit import Rejection
from reconciler.kubelet.roster import Member


@dataclass(frozen=True, slots=True)
class Stopping:
    """A container that is being stopped since `since`, and dies at `deadline`.

    `signalled` is when it got its stop signal; None: its preStop hook runs, or its turn has not
    come. Once `killed`, `deadline` is when to kill again, should it live on.
    """

    since: datetime
    deadline: datetime
    signalled: datetime | None = None
    killed: bool = False

    def moved(self, by: timedelta) -> Stopping:
        """Return the same on a clock that was set by so much."""
        signalled = self.signalled + by if self.signalled is not None else None
        return Stopping(self.since + by, self.deadline + by, signalled, self.killed)


@dataclass(frozen=True, slots=True)
class Condemned:
    """Why a running container must be restarted, and its grace where the cause has its own."""

    message: str
    grace: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """The pod as it is on this host.

    `sandboxes` and `containers` are in order of attempts. `linked`: the live sandbox has its
    network. By container id: `stopping`, `condemned`, `hooks` (a lifecycle hook of it runs),
    `started` (verdicts of startup probes). `held` goes by container name ("POD" for the sandbox):
    a failed start is not tried before that time. `let_go` is the end of the wait for the proxies
    to let go of a pod that leaves its services; None: they have. `files`: it has folders.
    `outdated`: its volumes may not hold what they should; `volumes`: it may have some at all.
    `rejection`: this host cannot run the pod, of which nothing was made.
    """

    sandboxes: tuple[PodContainer, ...] = ()
    containers: tuple[PodContainer, ...] = ()
    linked: bool = True
    stopping: Mapping[str, Stopping] = field(default_factory=dict)
    condemned: Mapping[str, Condemned] = field(default_factory=dict)
    hooks: frozenset[str] = frozenset()
    started: Mapping[str, bool] = field(default_factory=dict)
    held: Mapping[str, datetime] = field(default_factory=dict)
    let_go: datetime | None = None
    files: bool = True
    outdated: bool = False
    volumes: bool = False
    rejection: Rejection | None = None

    @property
    def live(self) -> PodContainer | None:
        """The newest running sandbox."""
        return next((box for box in reversed(self.sandboxes) if box.running), None)

    @property
    def running(self) -> tuple[PodContainer, ...]:
        """The containers that run, without sandboxes."""
        return tuple(container for container in self.containers if container.running)

    def waits_for_proxies(self, now: datetime) -> datetime | None:
        """Return until when nothing of the pod gets its signal, for services still send to it."""
        return self.let_go if self.let_go is not None and now < self.let_go else None

    def latest(self, name: str) -> PodContainer | None:
        """Return the newest container of that name, one that runs before any that does not."""
        named = [c for c in reversed(self.containers) if c.name == name]
        return next((c for c in named if c.running), named[0] if named else None)

    def trace(self, name: str, sandbox: PodContainer | None) -> PodContainer | None:
        """Return the newest container of that name if it was started in that sandbox."""
        latest = self.latest(name)
        if latest is None or sandbox is None or latest.state.phase == "created":
            return None
        return latest if latest.sandbox == sandbox.id else None

    def is_started(self, member: Member, found: PodContainer) -> bool:
        """Tell whether a container runs, its postStart hook is over and its startup probe won."""
        if not found.running or (found.id in self.hooks and found.id not in self.stopping):
            return False
        return self.started.get(found.id, member.container.startup_probe is None)
