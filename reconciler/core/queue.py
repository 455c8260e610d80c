"""A work queue of keys. Controllers put keys in; one runtime takes them out and retries.

Semantics are those of Kubernetes' client-go work queue: a key waits at most once, is never
worked on by two workers at a time, and a key added while it is being worked on runs once more.
Callers must not put object content in: a key only (law 5).
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar, assert_never

import structlog

from reconciler.core.chance import chance
from reconciler.core.errors import Retryable, Terminal

K = TypeVar("K", bound=Hashable)

_STALE = 64
"""Superseded requests that a queue may hold, beside as many as it has live ones."""


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more to do until the next event."""


@dataclass(frozen=True, slots=True)
class RequeueAfter:
    """Reconcile the key again after `seconds`, even when nothing happens."""

    seconds: float


Outcome = Done | RequeueAfter
Reconcile = Callable[[K], Awaitable[Outcome]]


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential back-off: `base * 2**(failures-1)` seconds up to `cap`, plus up to `jitter`."""

    base: float = 0.05
    cap: float = 60.0
    jitter: float = 0.1

    def delay(self, failures: int, random: Random) -> float:
        """Return the wait in seconds before the try after `failures` failures (at least 1)."""
        exponent = min(failures - 1, 32)
        return min(self.cap, self.base * 2.0**exponent) * (1 + self.jitter * random.random())


class WorkQueue(Generic[K]):
    """Keys that wait for a worker; each once, in order of arrival."""

    def __init__(self) -> None:
        self._ready: OrderedDict[K, None] = OrderedDict()
        self._active: set[K] = set()
        self._again: set[K] = set()
        self._delayed: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._sequence = itertools.count()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._ready) + len(self._again)

    @property
    def idle(self) -> bool:
        """True when no key waits to run now or runs; delayed keys do not count."""
        return not self._ready and not self._active and not self._again

    def add(self, key: K) -> None:
        """Ask for `key` to be reconciled as soon as a worker is free."""
        self._due.pop(key, None)
        if key in self._active:
            self._again.add(key)
        elif key not in self._ready:
            self._ready[key] = None
            self._wake_one()

    def add_after(self, key: K, seconds: float) -> None:
        """Ask for `key` in `seconds`; of several requests for one key the soonest holds."""
        if seconds <= 0:
            self.add(key)
            return
        due = asyncio.get_running_loop().time() + seconds
        if self._due.get(key, float("inf")) <= due:
            return
        self._due[key] = due
        heapq.heappush(self._delayed, (due, next(self._sequence), key))
        if len(self._delayed) > 2 * len(self._due) + _STALE:
            self._drop_stale()
        self._arm()

    async def take(self) -> K:
        """Wait for a key and mark it as being worked on; `done` must follow."""
        while not self._ready:
            await self._woken()
        key, _ = self._ready.popitem(last=False)
        self._active.add(key)
        return key

    def done(self, key: K) -> None:
        """End the work on `key`; it runs again when it was added meanwhile."""
        self._active.discard(key)
        if key in self._again:
            self._again.discard(key)
            self.add(key)

    def close(self) -> None:
        """Drop the timer, so that nothing outlives the loop."""
        if self._timer:
            self._timer.cancel()
            self._timer = None

    async def _woken(self) -> None:
        """Wait for a key; one waiter is woken for each, since the others would find nothing."""
        waiter = asyncio.get_running_loop().create_future()
        self._idle.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if not waiter.cancelled() and self._ready:
                self._wake_one()  # it was woken, and another has to take the key
            raise

    def _wake_one(self) -> None:
        while self._idle:
            waiter = self._idle.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _arm(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._delayed:
            self._timer = asyncio.get_running_loop().call_at(self._delayed[0][0], self._fire)

    def _drop_stale(self) -> None:
        """Let go of requests that others took the place of, which may be due in a day only."""
        self._delayed = [each for each in self._delayed if self._due.get(each[2]) == each[0]]
        heapq.heapify(self._delayed)

    def _fire(self) -> None:
        now = asyncio.get_running_loop().time()
        while self._delayed and self._delayed[0][0] <= now:
            due, _, key = heapq.heappop(self._delayed)
            if self._due.get(key) == due:
                self.add(key)
        self._timer = None
        self._arm()


class Controller(Generic[K]):
    """Workers that take keys from a queue and hand them to a reconcile function.

    The only place that interprets `Done`, `RequeueAfter`, `Retryable` and `Terminal`.
    """

    def __init__(
        self,
        name: str,
        reconcile: Reconcile[K],
        *,
        workers: int = 1,
        backoff: Backoff | None = None,
        random: Random | None = None,
    ) -> None:
        self.name = name
        self.queue: WorkQueue[K] = WorkQueue()
        self._reconcile = reconcile
        self._workers = workers
        self._backoff = backoff or Backoff()
        self._random = random or chance()
        self._failures: dict[K, int] = {}
        self._log = structlog.get_logger(component=name)

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._workers):
                    group.create_task(self._work())
        finally:
            self.queue.close()

    async def _work(self) -> None:
        while True:
            key = await self.queue.take()
            try:
                await self._once(key)
            finally:
                self.queue.done(key)
            # A reconcile may never have waited: others get their turn after each.
            await asyncio.sleep(0)

    async def _once(self, key: K) -> None:
        try:
            outcome = await self._reconcile(key)
        except Retryable as error:
            self._retry(key, error.after, str(error))
        except Terminal as error:
            self._failures.pop(key, None)
            self._log.error("reconcile.terminal", key=str(key), reason=str(error))
        except Exception:  # noqa: BLE001 - the loop boundary: logged, then retried
            self._log.exception("reconcile.crashed", key=str(key))
            self._retry(key, None, "unexpected error")
        else:
            self._succeed(key, outcome)

    def _succeed(self, key: K, outcome: Outcome) -> None:
        self._failures.pop(key, None)
        match outcome:
            case Done():
                pass
            case RequeueAfter(seconds):
                self.queue.add_after(key, seconds)
            case _:
                assert_never(outcome)

    def _retry(self, key: K, after: float | None, reason: str) -> None:
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = after if after is not None else self._backoff.delay(failures, self._random)
        self._log.info("reconcile.retry", key=str(key), reason=reason, delay=round(delay, 3))
        self.queue.add_after(key, delay)
