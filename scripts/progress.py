"""What the demo shows while it waits: one line a workload, ready and wanted, and what it waits for.

Called by demo.py. Reads the running daemon's store and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.table import Table
from rich.text import Text

from reconciler.cli.reading import NoStore, World, open_world
from reconciler.cli.status import Workload, workloads
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.settings import Settings
from reconciler.store.protocol import StoreUnavailable


class Progress:
    """A view of the daemon's store, which may not be there yet. Build it by `watch`."""

    def __init__(self, state_dir: Path, stack: ExitStack) -> None:
        self._settings = Settings(state_dir=state_dir)
        self._stack = stack
        self._world: World | None = None

    def workloads(self) -> list[Workload]:
        """Return the workloads as of now; none as long as the daemon keeps no store."""
        try:
            if self._world is None:
                self._world = self._stack.enter_context(open_world(self._settings))
            self._world.refresh()
        except (NoStore, StoreUnavailable):
            return []
        return workloads(self._world.all(ReplicationController), self._world.all(Pod))


@contextmanager
def watch(state_dir: Path) -> Iterator[Progress]:
    """Open the view of the daemon that keeps its state there."""
    with ExitStack() as stack:
        yield Progress(state_dir, stack)


def complete(shown: Sequence[Workload]) -> bool:
    """Return whether there are workloads and nothing of them is missing."""
    return bool(shown) and all(each.ready >= each.wanted for each in shown)


def table(shown: Sequence[Workload]) -> Table:
    """Return the lines to show."""
    lines = Table.grid(padding=(0, 2))
    for each in shown:
        done = each.ready >= each.wanted
        mark = Text("✓", "green") if done else Text("…", "yellow")
        why = next(iter(each.reasons), "its pods are being created")
        count = f"{each.ready}/{each.wanted}"
        name = f"{each.key.namespace}/{each.key.name}"
        lines.add_row(mark, name, count, Text("ready" if done else f"waits for {why}"))
    if not shown:
        lines.add_row(Text("…", "yellow"), "waits for the daemon to read the repository")
    return lines
