"""An engine that goes away or fails at any step of a pod: the pod says why, nothing is doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.kubelet.runtime import ContainerSpec, RuntimeFailure, RuntimeUnavailable
from reconciler.model.pod import Pod
from tests.unit.kubelet.node import Node, ready, waits

GONE, UNWELL = "Docker does not answer: refused", "the engine is unwell"
# In the order in which a start makes them: those of the sandbox, the image, the container.
STEPS = [("create", 1), ("start", 1), ("inspect", 1), ("image", 1), ("create", 2), ("start", 2)]


def strike(node: Node, call: str, number: int, fail: Callable[[], None]) -> None:
    """Let `fail` happen before that call of that name, and before all that follow."""
    original, made = getattr(node.runtime, call), list[int]()

    async def struck(*arguments: Any, **options: Any) -> Any:
        made.append(1)
        if len(made) >= number:
            fail()
        return await original(*arguments, **options)

    setattr(node.runtime, call, struck)


def why(pod: Pod) -> str:
    waiting = [status.state.waiting for status in pod.status.container_statuses]
    return waiting[0].message if waiting and waiting[0] else ""


@pytest.mark.parametrize(("call", "number"), STEPS)
def test_an_engine_that_goes_away_during_a_start(
    node: Node, play: Any, call: str, number: int
) -> None:
    async def scene() -> None:
        here = [True]

        def leave() -> None:
            node.runtime.away = here[0]

        await asyncio.sleep(1)  # the kubelet has begun
        node.kubelet._images.forget()
        strike(node, call, number, leave)
        await node.create()
        pod = await node.until(lambda pod: GONE in why(pod), limit=20)
        assert pod.status.phase == "Pending"
        here[0] = node.runtime.away = False
        await node.until(ready, limit=61)
        assert [c.phase for c in await node.containers()] == ["running"] * 2

    play(scene())


@pytest.mark.parametrize(("call", "number"), STEPS)
def test_an_engine_that_fails_during_a_start(node: Node, play: Any, call: str, number: int) -> None:
    async def scene() -> None:
        unwell = [True]

        def fail() -> None:
            if unwell[0]:
                raise RuntimeFailure(UNWELL)

        await asyncio.sleep(1)
        node.kubelet._images.forget()
        strike(node, call, number, fail)
        await node.create()
        await node.until(lambda pod: UNWELL in why(pod), limit=20)
        unwell[0] = False
        await node.until(ready, limit=61)
        assert [c.phase for c in await node.containers()].count("running") == 2

    play(scene())


@pytest.mark.parametrize("call", ["signal", "remove"])
def test_an_engine_that_is_away_for_a_while_leaves_nothing_of_a_deleted_pod(
    node: Node, play: Any, call: str
) -> None:
    async def scene() -> None:
        await node.create()
        await node.until(ready)
        here = [True]

        def leave() -> None:
            node.runtime.away = here[0]

        strike(node, call, 1, leave)
        await node.client.delete(Pod, "web", "default")
        await asyncio.sleep(20)
        assert await node.pod() is not None
        here[0] = node.runtime.away = False
        await node.until_gone(limit=61)
        assert await node.containers() == []
        assert node.network.attached == {}

    play(scene())


def test_a_pod_that_runs_says_nothing_of_an_engine_that_is_away(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create()
        before = await node.until(ready)
        node.runtime.away = True
        await asyncio.sleep(400)  # relists and all
        assert await node.pod() == before
        node.runtime.away = False
        await asyncio.sleep(400)
        assert await node.pod() == before

    play(scene())


def test_a_pod_whose_start_the_engine_left_open_says_why_it_waits(node: Node, play: Any) -> None:
    """The engine went away in the middle of a start: whether the container runs is not known."""

    async def scene() -> None:
        start = node.runtime.start
        node.runtime.start = _gone_in_the_second(node)
        await node.create()
        pod = await node.until(lambda p: waits(p) and why(p))
        assert (waits(pod), why(pod)) == ("ContainerCreating", GONE)
        node.runtime.start = start
        node.runtime.away = False
        await node.until(ready)
        assert len(await node.containers()) == 2

    play(scene())


def _gone_in_the_second(node: Node) -> Any:
    begun, original = list[str](), node.runtime.start

    async def start(container: str) -> None:
        begun.append(container)
        node.runtime.away = len(begun) == 2
        await original(container)

    return start


def test_what_an_absent_engine_holds_up_is_done_when_it_is_back(node: Node, play: Any) -> None:
    async def scene() -> None:
        node.runtime.away = True
        await node.create()
        await asyncio.sleep(60)
        assert not ready(await node.until(lambda p: p.status.phase == "Pending"))
        node.runtime.away = False
        await node.until(ready, limit=61)
        assert len(await node.containers()) == 2

    play(scene())


def test_what_a_lost_answer_left_is_removed_by_its_id(node: Node, play: Any) -> None:
    """A removal that the engine does late would take the next container of that name with it."""

    async def scene() -> None:
        create, remove, removed = node.runtime.create, node.runtime.remove, list[str]()

        async def answer_lost(spec: ContainerSpec) -> str:
            await create(spec)
            node.runtime.create = create
            raise RuntimeUnavailable("the answer is lost")

        async def watched(container: str) -> None:
            removed.append(container)
            await remove(container)

        node.runtime.create, node.runtime.remove = answer_lost, watched
        await node.create()
        await node.until(ready)
        assert [len(each) for each in removed] == [64]
        assert [c.phase for c in await node.containers()] == ["running"] * 2

    play(scene())
