"""The program that is killed: clients that read and compare-and-swap one store, telling all of it.

Runs in a process of its own, forked from a server that has nothing but these modules loaded. Each
line on the pipe is one call, answer or event; a line is written by one `write`, so that a kill
leaves whole lines only.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path
from random import Random
from typing import Any

from reconciler.model.meta import ObjectKey
from reconciler.store.history import HistoryLimit
from reconciler.store.protocol import Conflict, Put, Remove
from reconciler.store.sealing import KeyRing
from reconciler.store.sqlite import SqliteStore, open_store

KIND = "Thing"
NAMES = ("a", "b", "c")
CLIENTS = 6
LIMIT = HistoryLimit(events=300)


def keys_of(path: Path, *, sealed: bool) -> KeyRing | None:
    """Return the keys under which the store at `path` is written."""
    return KeyRing({"k1": b"k" * 32}, path, kinds=(KIND,)) if sealed else None


def run(path: Path, pipe: int, seed: int, *, sealed: bool) -> None:
    """Work on the store at `path` until somebody kills the process."""
    asyncio.run(_work(path, pipe, seed, sealed=sealed))


async def _work(path: Path, pipe: int, seed: int, *, sealed: bool) -> None:
    store = await open_store(path, LIMIT, keys=keys_of(path, sealed=sealed))

    def tell(**line: Any) -> None:
        os.write(pipe, json.dumps({**line, "at": time.monotonic()}).encode() + b"\n")

    clients = [Client(store, tell, Random(f"{seed}-{n}"), f"{seed}-{n}") for n in range(CLIENTS)]
    await asyncio.gather(_watch(store, tell), *(client.run() for client in clients))


async def _watch(store: SqliteStore, tell: Any) -> None:
    async for event in store.watch(KIND, since=store.revision):
        tell(event=event.record.revision)


class Client:
    """One of several that write the same few objects; `tell` records what it does."""

    def __init__(self, store: SqliteStore, tell: Any, random: Random, name: str) -> None:
        self._store, self._tell, self._random, self._name = store, tell, random, name
        self._count = 0

    async def run(self) -> None:
        """Read, write, remove and run into conflicts for ever."""
        while True:
            name = self._random.choice(NAMES)
            revision = self._read(name)
            if self._random.random() < 0.2:
                revision = max(0, revision - self._random.randrange(3))
            if self._random.random() < 0.3:
                await asyncio.sleep(0)
            await self._write(
                name, revision, removes=bool(revision) and self._random.random() < 0.1
            )

    def _read(self, name: str) -> int:
        call = self._call()
        record = self._store.get(ObjectKey(KIND, "", name))
        revision = record.revision if record else 0
        self._tell(call=call, read=name)
        self._tell(answer=call, found=revision)
        return revision

    async def _write(self, name: str, base: int, *, removes: bool) -> None:
        call = self._call()
        value = json.dumps({"call": call, "pad": "x" * self._random.randrange(3000)}).encode()
        key = ObjectKey(KIND, "", name)
        operation = (Remove if removes else Put)(key, lambda _revision: value, base)
        self._tell(call=call, write=name, base=base, removes=removes)
        try:
            (record,) = await self._store.commit([operation])
        except Conflict as refused:
            self._tell(answer=call, found=refused.found)
        else:
            self._tell(answer=call, wrote=record.revision)

    def _call(self) -> str:
        self._count += 1
        return f"{self._name}-{self._count}"
