"""Threads for blocking calls: bounded, in order, and no hindrance at the end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from reconciler.kubelet.threads import DaemonThreads


async def test_results_and_errors_come_back() -> None:
    threads = DaemonThreads(2, "test")
    assert await threads.run(lambda: 1 + 1) == 2
    with pytest.raises(ZeroDivisionError):
        await threads.run(lambda: 1 // 0)
    threads.close()


async def test_no_more_than_its_size_run_at_a_time() -> None:
    threads = DaemonThreads(3, "test")
    gate, lock = threading.Event(), threading.Lock()
    seen: set[int] = set()
    arrived = threading.Semaphore(0)

    def call() -> None:
        with lock:
            seen.add(threading.get_ident())
        arrived.release()
        gate.wait(10)

    calls = [asyncio.create_task(threads.run(call)) for _ in range(9)]
    for _ in range(3):
        assert await asyncio.to_thread(arrived.acquire, timeout=10)
    assert not arrived.acquire(blocking=False)
    gate.set()
    await asyncio.gather(*calls)
    assert len(seen) == 3
    threads.close()


async def test_one_after_another_needs_one_thread() -> None:
    threads = DaemonThreads(8, "test")
    idents = {await threads.run(threading.get_ident) for _ in range(20)}
    assert len(idents) == 1
    threads.close()


async def test_an_answer_nobody_waits_for_is_dropped() -> None:
    threads = DaemonThreads(1, "test")
    gate = threading.Event()
    first = asyncio.create_task(threads.run(lambda: gate.wait(10)))
    second = asyncio.create_task(threads.run(lambda: pytest.fail("nobody waits")))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.gather(second, return_exceptions=True)
    gate.set()
    assert await first
    assert await threads.run(lambda: "next") == "next"
    threads.close()


def test_a_call_that_hangs_does_not_keep_the_program() -> None:
    program = """
import asyncio, threading
from reconciler.kubelet.threads import DaemonThreads
async def main():
    threads = DaemonThreads(1, "test")
    try:
        await asyncio.wait_for(threads.run(threading.Event().wait), 0.01)
    except TimeoutError:
        print("abandoned")
asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=True
    )
    assert (done.stdout, done.stderr) == ("abandoned\n", "")
