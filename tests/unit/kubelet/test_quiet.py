"""While nothing happens the engine is asked no more than the listing that heals lost events."""

from __future__ import annotations

import asyncio
import inspect
from collections import Counter
from pathlib import Path
from typing import Any

from reconciler.core.clock import Clock
from reconciler.kubelet.fake import FakeRuntime
from tests.unit.kubelet.node import IMAGE, Node, ready

PODS = 20
RELISTS = 4


class Counted:
    """An engine that counts by name what it is asked."""

    def __init__(self, runtime: FakeRuntime) -> None:
        self._runtime = runtime
        self.asked: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._runtime, name)
        if not inspect.iscoroutinefunction(found):
            return found

        def ask(*given: Any, **more: Any) -> Any:
            self.asked[name] += 1
            return found(*given, **more)

        return ask


def test_many_pods_are_not_polled_faster_than_the_relist(
    virtual: Any, clock: Clock, tmp_path: Path
) -> None:
    runtime = Counted(FakeRuntime(clock, (IMAGE,)))
    node = Node(clock, tmp_path, runtime)

    async def scene() -> None:
        await node.registry.start()
        await node.start()
        for number in range(PODS):
            await node.create(f"web-{number}")
        for number in range(PODS):
            await node.until(ready, f"web-{number}")
        await asyncio.sleep(10)
        runtime.asked.clear()
        await asyncio.sleep(RELISTS * node.options.relist)
        asked = dict(runtime.asked)
        await node.stop()
        await runtime.close()
        assert asked["list"] >= RELISTS - 1
        assert max(asked.values()) <= RELISTS + 1, asked  # of each pod it would be PODS times that

    virtual.run_until_complete(scene())
