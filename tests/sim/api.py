"""How processes reach the API: the daemon in itself, agents of other nodes over a network.

Both are the real `LocalClient`; in between are the faults of a watch (late, cut, lost, twice), of
an informer's list (refused, or late and so of a former state) and, for agents, of requests: refused
before they had an effect, answered into nothing after it, or late, when what was read is stale; and
a network that is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any

from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security.accounts import AccountTokens
from reconciler.client.local import LocalClient
from reconciler.client.protocol import ApiError, Expired, ObjectList, Propagation, WatchEvent
from reconciler.model import kinds
from reconciler.model.token import IssuedToken, TokenSpec
from tests.sim.faults import Fault
from tests.sim.laws import Laws
from tests.sim.loop import PART, Process

Take = Callable[[str, int], Fault | None]


class WatchedClient(LocalClient):
    """The daemon's own client. `laws` hear of each deletion asked for, and of what is watched."""

    def __init__(
        self,
        registry: Registry,
        take: Take,
        lag: Callable[[], float],
        laws: Laws,
        tokens: AccountTokens | None,
    ) -> None:
        super().__init__(registry, tokens)
        self._take, self._lag, self._laws = take, lag, laws

    async def list(
        self, kind: type[Any], namespace: str = "", *, label_selector: str = ""
    ) -> ObjectList[Any]:
        found = await super().list(kind, namespace, label_selector=label_selector)
        # Informers alone may be shown a former state: who else lists wants the present one.
        if PART.get() == "informers":
            fault = self._take(f"list.{kinds.of(kind).key_kind}", 0)
            if fault and fault.effect == "refuse":
                raise unavailable()
            if fault:
                await asyncio.sleep(fault.seconds)
        return found

    async def watch(
        self, kind: type[Any], namespace: str = "", *, resource_version: str
    ) -> AsyncIterator[WatchEvent[Any]]:
        name, watcher = kinds.of(kind).key_kind, object()
        self._laws.watched(watcher, kind, int(resource_version))
        async for event in super().watch(kind, namespace, resource_version=resource_version):
            self._laws.watched(watcher, kind, int(event.object.metadata.resource_version))
            if lag := self._lag():
                await asyncio.sleep(lag)
            fault = self._take(f"watch.{name}.{event.type}", 0)
            effect = fault.effect if fault else ""
            if effect == "cut":
                raise Expired("a fault of the simulation")
            if fault and effect == "late":
                await asyncio.sleep(fault.seconds)
                self._laws.disturbed()  # what waited for it begins only now
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
        self._laws.deleting(PART.get(), kind, name, namespace, grace_period_seconds)
        await super().delete(
            kind,
            name,
            namespace,
            uid=uid,
            grace_period_seconds=grace_period_seconds,
            propagation=propagation,
        )


class Wire:
    """The network between agents and the daemon; what is under way when one of them dies fails."""

    def __init__(self) -> None:
        self.served: tuple[Process, LocalClient] | None = None
        self._severed: set[str] = set()
        self._answers: dict[asyncio.Future[Any], Process] = {}
        self._watches: list[tuple[asyncio.Queue[Any], Process]] = []

    def reached_by(self, caller: Process) -> tuple[Process, LocalClient] | None:
        """Return the daemon that `caller` reaches now."""
        return None if caller.name in self._severed else self.served

    def cut(self) -> None:
        """The daemon is gone: every caller hears of it."""
        self.served = None
        self._drop(lambda _caller: True)

    def sever(self, number: int) -> None:
        """Let the agent of a node reach nobody."""
        self._severed.add(f"node{number}")
        self._drop(lambda caller: caller.name in self._severed)

    def mend(self, number: int) -> bool:
        """Undo that; say whether there was anything to undo."""
        severed = f"node{number}" in self._severed
        self._severed.discard(f"node{number}")
        return severed

    def _drop(self, lost: Callable[[Process], bool]) -> None:
        for answer, caller in list(self._answers.items()):
            if lost(caller):
                del self._answers[answer]
                if not answer.done() and caller.alive:
                    caller.context.copy().run(answer.set_exception, unavailable())
        watches, self._watches = self._watches, []
        for queue, caller in watches:
            if lost(caller):
                caller.context.copy().run(queue.put_nowait, None)
            else:
                self._watches.append((queue, caller))

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
        served = self._wire.reached_by(self._process)
        if served is None or (fault and fault.effect == "refuse"):
            raise unavailable()
        daemon, client = served
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
            if fault and fault.effect == "late":
                await asyncio.sleep(fault.seconds)
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
        served = self._wire.reached_by(self._process)
        if served is None:
            raise unavailable()
        daemon, client = served
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

    async def request_token(self, account: str, namespace: str, spec: TokenSpec) -> IssuedToken:
        return await self._ask(
            "token", lambda client: client.request_token(account, namespace, spec)
        )


def unavailable() -> ApiError:
    return ApiError(503, "ServiceUnavailable", "connection refused")


def _answer(future: asyncio.Future[Any], result: Any, error: ApiError | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)
