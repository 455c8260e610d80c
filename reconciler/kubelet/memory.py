"""What the kubelet keeps in mind of a pod between two looks at it.

Called by `worker.py`. Nothing here is needed for correctness: after a crash it is found again, or
missed only as a delay.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from reconciler.core.clock import Clock
from reconciler.kubelet.containerstatus import Waiting
from reconciler.kubelet.observed import Stopping
from reconciler.model.pod import Pod

_NOTICED = timedelta(seconds=1)
"""What a wall clock is corrected by in passing is less."""


@dataclass(slots=True)
class Memory:
    """What is on no container's label.

    `written`: the object as we wrote it last. `stopping` and `messages` (last words) go by
    container id; `waiting`, `held` (not before) and `failures` (in a row) by container name.
    `let_go_by`: the end of the wait for the proxies. `files`, `volumes`: the pod may have folders.
    `deleted`: its object is deleted, though the informer may not have heard. `unsettled`: why the
    engine could not do or say what it was asked; "" when it could. `offset`: the wall clock's
    to the monotonic one.
    """

    written: Pod | None = None
    stopping: dict[str, Stopping] = field(default_factory=dict)
    waiting: dict[str, Waiting] = field(default_factory=dict)
    held: dict[str, datetime] = field(default_factory=dict)
    failures: dict[str, int] = field(default_factory=dict)
    messages: dict[str, str] = field(default_factory=dict)
    let_go_by: datetime | None = None
    files: bool = True
    volumes: bool = True
    deleted: bool = False
    unsettled: str = ""
    offset: timedelta | None = None

    def follow(self, clock: Clock) -> bool:
        """Move the moments along when the wall clock was set, and say whether it was.

        They stand for waits, as Kubernetes measures them: on a clock that nobody sets.
        """
        offset = clock.now() - datetime.fromtimestamp(clock.monotonic(), UTC)
        jump = timedelta() if self.offset is None else offset - self.offset
        self.offset = offset
        if abs(jump) < _NOTICED:
            return False
        self.held = {name: at + jump for name, at in self.held.items()}
        self.stopping = {name: each.moved(jump) for name, each in self.stopping.items()}
        if self.let_go_by is not None:
            self.let_go_by += jump
        return True
