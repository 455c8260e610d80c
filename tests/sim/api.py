"""How processes reach the API: the daemon in itself, agents of other nodes over a network.

Both are the real `LocalClient`; in between are the faults of a watch (late, cut, lost, twice) and,
for agents, of requests: refused before they had an effect, or answered into nothing after it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any

from reconciler.apiserver.registry.registry import Registry
from reconciler.client.local import LocalClient
from reconciler.client.protocol import ApiError, Expired, ObjectList, Propagation, WatchEvent
from reconciler.model import kinds
from tests.sim.faults import Fault
from tests.sim.loop import PART, Process

Take = Callable[[str, int], Fault | None]


class WatchedClient(LocalClient):
    """The daemon's own client. `deleting(part, kind, ...)` hears of each deletion asked for."""

    def __init__(
        self,
        registry: Registry,
        take: Take,
        lag: Callable[[], float],
        deleting: Callable[[str, type[Any], str, str, int | None], None],
        seen: Callable[[object, type[Any], int], None],
    ) -> None:
        super().__init__(registry)
        self._take, self._lag, self._deleting, self._seen = take, lag, deleting, seen

    async def watch(
        self, kind: type[Any], namespace: str = "", *, resource_version: str
    ) -> AsyncIterator[WatchEvent[Any]]:
        point, watcher = f"watch.{kinds.of(kind).key_kind}", object()
        self._seen(watcher, kind, int(resource_version))
        async for event in super().watch(kind, namespace, resource_version=resource_version):
            self._seen(watcher, kind, int(event.object.metadata.resource_version))
            if lag := self._lag():
                await asyncio.sleep(lag)
            fault = self._take(point, 0)
            effect = fault.effect if fault else ""
            if effect == "cut":
                raise Expired("a fault of the simulation")
            if fault and effect == "late":
                await asyncio.sleep(fault.seconds)
            if effect == "lose":
                continue
            yield event
            if effect == "twice":
                yield event

    async def delete(
        self,
        kind: type[Any],
        name: str,
        namespace: str = "",
        *,
        uid: str = "",
        grace_period_seconds: int | None = None,
        propagation: Propagation | None = None,
    ) -> None:
        self._deleting(PART.get(), kind, name, namespace, grace_period_seconds)
        await super().delete(
            kind,
            name,
            namespace,
            uid=uid,
            grace_period_seconds=grace_period_seconds,
            propagation=propagation,
        )


class Wire:
    """The network between agents and the daemon; what is under way when the daemon dies fails."""

    def __init__(self) -> None:
        self.served: tuple[Process, LocalClient] | None = None
        self._answers: dict[asyncio.Future[Any], Process] = {}
        self._watches: list[tuple[asyncio.Queue[Any], Process]] = []

    def cut(self) -> None:
        """The daemon is gone: every caller hears of it."""
        self.served = None
        answers, self._answers = self._answers, {}
        for answer, caller in answers.items():
            if not answer.done() and caller.alive:
                caller.context.copy().run(answer.set_exception, unavailable())
        watches, self._watches = self._watches, []
        for queue, caller in watches:
            caller.context.copy().run(queue.put_nowait, None)

    def expect(self, answer: asyncio.Future[Any], caller: Process) -> None:
        self._answers[answer] = caller

    def arrived(self, answer: asyncio.Future[Any]) -> bool:
        return self._answers.pop(answer, None) is not None

    def watch(self, queue: asyncio.Queue[Any], caller: Process) -> None:
        self._watches.append((queue, caller))


class RemoteClient:
    """`Client` for the agent of one node."""

    def __init__(self, wire: Wire, node: int, process: Process, random: Random, take: Take) -> None:
        self._wire, self._node, self._process = wire, node, process
        self._random, self._take = random, take
        self._loop = asyncio.get_running_loop()

    async def _ask(self, verb: str, ask: Callable[[LocalClient], Awaitable[Any]]) -> Any:
        fault = self._take(f"api.{verb}", self._node)
        await asyncio.sleep(self._random.expovariate(500))
        if self._wire.served is None or (fault and fault.effect == "refuse"):
            raise unavailable()
        daemon, client = self._wire.served
        answer = self._loop.create_future()
        self._wire.expect(answer, self._process)
        part = PART.get()

        async def serve() -> None:
            PART.set(part)
            result: Any = None
            error: ApiError | None = None
            try:
                result = await ask(client)
            except ApiError as raised:
                error = raised
            if fault and fault.effect == "lost":
                error = unavailable()
            if self._wire.arrived(answer) and self._process.alive:
                self._process.context.copy().run(_answer, answer, result, error)

        self._loop.create_task(serve(), context=daemon.context.copy())
        return await answer

    async def get(self, kind: type[Any], name: str, namespace: str = "") -> Any:
        return await self._ask("get", lambda client: client.get(kind, name, namespace))

    async def list(
        self, kind: type[Any], namespace: str = "", *, label_selector: str = ""
    ) -> ObjectList[Any]:
        return await self._ask(
            "list", lambda client: client.list(kind, namespace, label_selector=label_selector)
        )

    async def watch(
        self, kind: type[Any], namespace: str = "", *, resource_version: str
    ) -> AsyncIterator[WatchEvent[Any]]:
        if self._wire.served is None:
            raise unavailable()
        daemon, client = self._wire.served
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self._wire.watch(queue, self._process)

        async def pump() -> None:
            try:
                async for event in client.watch(kind, namespace, resource_version=resource_version):
                    self._process.context.copy().run(queue.put_nowait, event)
            except ApiError as error:
                self._process.context.copy().run(queue.put_nowait, error)

        task = self._loop.create_task(pump(), context=daemon.context.copy())
        try:
            while True:
                event = await queue.get()
                if event is None:
                    raise unavailable()
                if isinstance(event, ApiError):
                    raise event
                yield event
        finally:
            task.cancel()

    async def create(self, obj: Any, *, manager: str = "") -> Any:
        return await self._ask("create", lambda client: client.create(obj, manager=manager))

    async def update(self, obj: Any, *, subresource: str = "", manager: str = "") -> Any:
        return await self._ask(
            "update",
            lambda client: client.update(obj, subresource=subresource, manager=manager),
        )

    async def delete(self, kind: type[Any], name: str, namespace: str = "", **options: Any) -> None:
        await self._ask("delete", lambda client: client.delete(kind, name, namespace, **options))


def unavailable() -> ApiError:
    return ApiError(503, "ServiceUnavailable", "connection refused")


def _answer(future: asyncio.Future[Any], result: Any, error: ApiError | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
