from __future__ import annotations

import asyncio
from random import Random

import pytest

from reconciler.core.errors import Retryable, Terminal
from reconciler.core.queue import Backoff, Controller, Done, Outcome, RequeueAfter, WorkQueue


def test_a_key_added_twice_is_taken_once(virtual):
    async def scenario() -> list[str]:
        queue: WorkQueue[str] = WorkQueue()
        for key in ("a", "b", "a"):
            queue.add(key)
        return [await queue.take(), await queue.take()], len(queue)

    assert virtual.run_until_complete(scenario()) == (["a", "b"], 0)


def test_a_key_added_while_worked_on_runs_once_more_and_never_twice_at_a_time(virtual):
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue()
        queue.add("a")
        await queue.take()
        queue.add("a")
        queue.add("a")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.take(), 1)
        queue.done("a")
        assert await queue.take() == "a"
        queue.done("a")
        assert queue.idle

    virtual.run_until_complete(scenario())


def test_each_key_wakes_one_waiter_and_a_woken_one_that_is_cancelled_wakes_another(virtual):
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue()
        waiters = [asyncio.create_task(queue.take()) for _ in range(4)]
        await asyncio.sleep(1)
        queue.add("a")
        waiters[0].cancel()  # which had been woken
        queue.add("b")
        await asyncio.sleep(1)
        assert [each.done() for each in waiters] == [True, True, True, False]
        assert {waiters[1].result(), waiters[2].result()} == {"a", "b"}
        queue.add("c")
        assert await waiters[3] == "c"

    virtual.run_until_complete(scenario())


def test_of_two_delays_the_soonest_holds_and_the_key_runs_once(virtual):
    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        queue: WorkQueue[str] = WorkQueue()
        queue.add_after("a", 30)
        queue.add_after("a", 5)
        queue.add_after("a", 60)
        assert await queue.take() == "a"
        assert loop.time() == pytest.approx(5)
        queue.done("a")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(queue.take(), 120)

    virtual.run_until_complete(scenario())


async def _run_for(controller: Controller[str], seconds: float) -> None:
    task = asyncio.create_task(controller.run())
    await asyncio.sleep(seconds)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def test_requests_that_sooner_ones_took_the_place_of_do_not_pile_up(virtual):
    async def scenario() -> None:
        queue: WorkQueue[str] = WorkQueue()
        for _ in range(1000):
            queue.add_after("a", 86400)
            queue.add("a")
            queue.done(await queue.take())
        queue.add_after("b", 10)
        queue.add_after("a", 20)
        assert len(queue._delayed) < 100
        assert [await queue.take(), await queue.take()] == ["b", "a"]
        assert asyncio.get_running_loop().time() == 20
        queue.close()

    virtual.run_until_complete(scenario())


def test_retryable_backs_off_exponentially_and_success_resets(virtual):
    times: list[float] = []

    async def reconcile(_key: str) -> Outcome:
        times.append(asyncio.get_running_loop().time())
        if len(times) < 4:
            raise Retryable("not yet")
        return Done()

    controller = Controller("t", reconcile, backoff=Backoff(base=1, jitter=0), random=Random(1))

    async def scenario() -> None:
        controller.queue.add("a")
        await _run_for(controller, 100)

    virtual.run_until_complete(scenario())
    assert times == pytest.approx([0, 1, 3, 7])


def test_outcomes_decide_when_a_key_runs_again(virtual):
    seen: list[tuple[str, float]] = []

    async def reconcile(key: str) -> Outcome:
        seen.append((key, asyncio.get_running_loop().time()))
        if key == "terminal":
            raise Terminal("useless")
        if key == "known" and len(seen) < 4:
            raise Retryable("the cause knows", after=7)
        return RequeueAfter(60) if key == "again" else Done()

    controller = Controller("t", reconcile)

    async def scenario() -> None:
        for key in ("terminal", "again", "known"):
            controller.queue.add(key)
        await _run_for(controller, 61)

    virtual.run_until_complete(scenario())
    assert seen == [("terminal", 0), ("again", 0), ("known", 0), ("known", 7), ("again", 60)]


def test_a_crash_in_one_reconcile_leaves_the_others_working(virtual):
    done: list[str] = []

    async def reconcile(key: str) -> Outcome:
        if key == "bad":
            raise ZeroDivisionError
        done.append(key)
        return Done()

    controller = Controller("t", reconcile)

    async def scenario() -> None:
        controller.queue.add("bad")
        controller.queue.add("good")
        await _run_for(controller, 1)

    virtual.run_until_complete(scenario())
    assert done == ["good"]


def test_backoff_never_exceeds_its_cap_plus_jitter():
    backoff = Backoff(base=0.05, cap=60, jitter=0.1)
    assert max(backoff.delay(n, Random(n)) for n in range(1, 200)) <= 66
