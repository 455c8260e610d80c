"""Shared moments: never early, at most a tick late, one waking for all that fall into one tick."""

from __future__ import annotations

import asyncio
from typing import Any

from reconciler.core.ticks import TICK, Ticks


def test_a_wait_ends_at_most_a_tick_late_and_with_the_others_of_its_tick(virtual: Any) -> None:
    ended: list[tuple[float, float]] = []

    async def wait(ticks: Ticks, moment: float) -> None:
        await ticks.until(moment)
        ended.append((moment, virtual.time()))

    async def scene() -> None:
        ticks = Ticks()
        await asyncio.gather(*(wait(ticks, number / 100) for number in range(200)))

    virtual.run_until_complete(scene())
    assert len(ended) == 200
    assert all(moment < end <= moment + TICK + 1e-6 for moment, end in ended)
    assert len({end for _moment, end in ended}) == 40


def test_a_wait_that_was_given_up_keeps_nobody_from_theirs(virtual: Any) -> None:
    async def scene() -> None:
        ticks = Ticks()
        given_up = asyncio.ensure_future(ticks.until(1.0))
        given_up.cancel()
        await ticks.until(1.0)

    virtual.run_until_complete(scene())
