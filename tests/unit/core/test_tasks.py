from __future__ import annotations

import asyncio

import pytest

from reconciler.core.tasks import PartEnded, supervise


def test_stop_ends_every_part(virtual):
    ended: list[str] = []

    async def part(name: str) -> None:
        try:
            await asyncio.sleep(1e9)
        finally:
            ended.append(name)

    async def scenario() -> None:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(5, stop.set)
        await supervise({"a": lambda: part("a"), "b": lambda: part("b")}, stop)

    virtual.run_until_complete(scenario())
    assert sorted(ended) == ["a", "b"]


def test_a_part_that_returns_is_a_fault_that_names_it(virtual):
    async def forever() -> None:
        await asyncio.sleep(1e9)

    async def short() -> None:
        await asyncio.sleep(1)

    with pytest.raises(ExceptionGroup) as caught:
        virtual.run_until_complete(supervise({"long": forever, "short": short}, asyncio.Event()))
    assert caught.group_contains(PartEnded, match="^short ended")
