"""Supervision: one TaskGroup runs every part; the first failure ends all, in order.

`app.py` is the only caller. A part is a coroutine that runs until cancelled; one that returns
or raises is a fault of the program and stops it, so that a supervisor outside starts it afresh
(law 6: a restart is always safe).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping

from reconciler.core.errors import ReconcilerError

Part = Callable[[], Awaitable[None]]


class PartEnded(ReconcilerError):
    """A part that should run for ever returned."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{name} ended although nobody stopped it")
        self.name = name


async def supervise(parts: Mapping[str, Part], stop: asyncio.Event) -> None:
    """Run all `parts` side by side until `stop` is set or one of them fails.

    Raises the failures as an `ExceptionGroup`; returns after `stop` when all have ended.
    """
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(_forever(name, part), name=name) for name, part in parts.items()]
        await stop.wait()
        for task in reversed(tasks):
            task.cancel()


async def _forever(name: str, part: Part) -> None:
    await part()
    raise PartEnded(name)


def leaves(group: ExceptionGroup | None) -> Iterable[Exception]:
    """Yield the errors in a group of what parts raised, and in the groups within it."""
    for error in group.exceptions if group else ():
        if isinstance(error, ExceptionGroup):
            yield from leaves(error)
        else:
            yield error
