"""Kills a writer again and again, and judges what its store has become.

After each kill the file is read: each write that was acknowledged must be there, each that was
cut off is there whole or not at all, and the whole history, over all the lives of the writer,
must be linearizable.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from pathlib import Path
from random import Random
from typing import Any

from reconciler.store.journal import Journal, open_journal_readonly
from reconciler.store.protocol import Change, Event
from tests.torture import writer
from tests.torture.linear import PENDING, Saw, Wrote, violation

_LONGEST_LIFE = 120  # lines that a writer tells before it is killed


@dataclass(slots=True)
class History:
    """What one store was asked and what it answered, over the lives of its writers."""

    calls: dict[str, dict[str, Any]] = field(default_factory=dict)
    answers: dict[str, dict[str, Any]] = field(default_factory=dict)
    looks: list[Saw] = field(default_factory=list)
    survived: dict[str, int] = field(default_factory=dict)
    watched: list[list[int]] = field(default_factory=list)

    def tell(self, lines: Iterable[dict[str, Any]]) -> None:
        """Take in what one life of the writer said."""
        watched: list[int] = []
        for line in lines:
            if "event" in line:
                watched.append(line["event"])
            elif "answer" in line:
                self.answers[line["answer"]] = line
            else:
                self.calls[line["call"]] = line
        self.watched.append(watched)

    def look(self, events: Iterable[Event]) -> None:
        """Take in what lies on the disk after a kill."""
        state = dict.fromkeys(writer.NAMES, 0)
        for event in events:
            record = event.record
            gone = event.change is Change.DELETED
            state[record.key.name] = 0 if gone else record.revision
            self.survived[json.loads(record.value)["call"]] = record.revision
        now = time.monotonic()
        self.looks += [Saw(name, revision, now, now) for name, revision in state.items()]

    def judge(self) -> str:
        """Return what is wrong with the history, "" when nothing is."""
        writes, sights = [], list(self.looks)
        for call, asked in self.calls.items():
            answer = self.answers.get(call)
            name = asked.get("write", asked.get("read", ""))
            if answer is not None and "found" in answer:
                sights.append(Saw(name, answer["found"], asked["at"], answer["at"]))
            elif "write" in asked and (answer is not None or call in self.survived):
                revision = answer["wrote"] if answer else self.survived[call]
                answered = answer["at"] if answer else PENDING
                writes.append(
                    Wrote(name, asked["base"], revision, asked["at"], answered, asked["removes"])
                )
        return violation(writes, sights) or self._missed({write.revision for write in writes})

    def _missed(self, written: set[int]) -> str:
        """Each watcher saw each change while it watched, once and in order."""
        for seen in self.watched:
            if seen and seen != sorted(written & set(range(seen[0], seen[-1] + 1))):
                return f"a watcher saw {seen}"
        return ""


def context() -> ForkServerContext:
    """Return a context whose children start with the writer loaded, in a few milliseconds."""
    made = multiprocessing.get_context("forkserver")
    made.set_forkserver_preload(["tests.torture.writer"])
    return made


def torture(path: Path, kills: int, seed: int, *, sealed: bool) -> str:
    """Kill the writer of the store at `path` so many times; return what went wrong, or ""."""
    random, history, forked = Random(seed), History(), context()
    for life in range(kills):
        history.tell(_one_life(forked, path, random, f"{seed}{life:04}", sealed=sealed))
        if path.exists():
            history.look(_on_disk(path, sealed=sealed))
        if wrong := history.judge():
            return f"seed {seed}, kill {life + 1}: {wrong}"
    return ""


def _one_life(
    forked: ForkServerContext, path: Path, random: Random, seed: str, *, sealed: bool
) -> list[dict[str, Any]]:
    """Start a writer, kill it at a random moment; return what it said."""
    ours, theirs = forked.Pipe(duplex=False)
    process = forked.Process(target=_live, args=(path, theirs, int(seed), sealed))
    process.start()
    theirs.close()
    said = _until(ours, random)
    os.kill(process.pid or 0, signal.SIGKILL)
    process.join()
    said += _rest(ours)
    ours.close()
    return [json.loads(line) for line in said.splitlines()]


def _live(path: Path, pipe: Connection, seed: int, sealed: bool) -> None:
    writer.run(path, pipe.fileno(), seed, sealed=sealed)


def _until(pipe: Connection, random: Random) -> bytes:
    """Listen until it is time: at once, while the file is opened, or after some work."""
    if random.random() < 0.1:
        pipe.poll(random.random() / 50)
        return b""
    said, wanted = b"", random.randrange(1, _LONGEST_LIFE)
    while said.count(b"\n") < wanted:
        said += os.read(pipe.fileno(), 4096)
    return said


def _rest(pipe: Connection) -> bytes:
    return b"".join(iter(lambda: os.read(pipe.fileno(), 65536), b""))


def _on_disk(path: Path, *, sealed: bool) -> Iterator[Event]:
    journal = _readable(path, sealed=sealed)
    if journal is None:
        return
    with journal.snapshot():
        yield from list(journal.load())
    journal.close()


def _readable(path: Path, *, sealed: bool) -> Journal | None:
    """Return the journal, `None` when the kill came before the file had its tables."""
    if not path.stat().st_size and not path.with_name(path.name + "-wal").exists():
        return None
    return open_journal_readonly(path, writer.keys_of(path, sealed=sealed))
