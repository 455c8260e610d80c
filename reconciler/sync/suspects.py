"""Which objects the next plan has to look at, because something happened to them.

Held by the loop, told of each change that may concern its source. It says what is news; what to do
about it is the planner's.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from reconciler.core.clock import Clock
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.pod import Pod
from reconciler.sync.casualties import controller_of, doom
from reconciler.sync.comparison import Comparison
from reconciler.sync.identity import source_of
from reconciler.sync.inventory import Inventory
from reconciler.sync.patience import Patience
from reconciler.sync.steering import SyncOptions
from reconciler.sync.target import Target


class Suspects:
    """The keys to look at, those of objects that must be gone first, and those that wait."""

    def __init__(self, options: SyncOptions, inventory: Inventory, comparison: Comparison) -> None:
        self._source = options.name
        self._patience = Patience(options.care.progress_deadline)
        self._inventory = inventory
        self._comparison = comparison
        self.changed: dict[ObjectKey, None] = {}
        self.awaiting: tuple[ObjectKey, ...] = ()
        self.waiting: tuple[ObjectKey, ...] = ()
        """What is written later, when what it waits for is healthy."""

    @property
    def keys(self) -> tuple[ObjectKey, ...]:
        """What changed or had to be awaited since the last plan."""
        return (*self.changed, *self.awaiting)

    def take(self) -> dict[ObjectKey, None]:
        """Return what to plan now, and start anew."""
        taken, self.changed = self.changed, {}
        if self.waiting:  # they are planned together, or their order would be lost
            taken |= dict.fromkeys((*self.waiting, *self.awaiting))
        return taken

    def await_deletion(self, keys: Collection[ObjectKey], *, besides: bool) -> None:
        """Wait for something to be gone before `keys` can be written, `besides` what waits."""
        kept = self.awaiting if besides else ()
        self.awaiting = tuple(dict.fromkeys((*kept, *keys)))
        self._inventory.awaiting(self.awaiting)

    def tick(self, target: Target, live: Mapping[ObjectKey, KubeObject], clock: Clock) -> float:
        """Take in what time alone changes; return in how many seconds to come again, or 0."""
        settled, soon = target.settle(clock.monotonic())
        if self.waiting:
            self.changed.update(dict.fromkeys(settled))
        waits = (soon, target.give_up(live, clock.now(), self._patience))
        return min((each for each in waits if each), default=0.0)

    def hear(
        self, target: Target, key: ObjectKey, old: KubeObject | None, new: KubeObject | None
    ) -> bool:
        """Take in a change; return whether it may matter to the target."""
        news = False
        if new is None and self.awaiting:
            self.changed.update(dict.fromkeys(self.awaiting))
            self.await_deletion((), besides=False)
            news = True
        if isinstance(new, Pod):
            news |= _doomed(target, new)
        if key in target.desired:
            news |= target.see(key, new)
            if isinstance(new, Pod) and target.made(new):
                news |= target.doomed(key, doom(new))
            if self._comparison.concerns(key, old, new):
                self.changed[key] = None
                news = True
        elif new is None:
            self._comparison.gone(key)
        elif source_of(new) == self._source:
            self.changed[key] = None
            news = True
        if news and self.waiting:
            self.changed[key] = None
        return news


def _doomed(target: Target, pod: Pod) -> bool:
    """Judge a controller by a pod of its that cannot heal."""
    owner = controller_of(pod)
    if owner is None or owner not in target.unhealthy or not target.reaches(owner, pod):
        return False
    return target.doomed(owner, doom(pod))
