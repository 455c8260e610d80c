"""What earlier runs read, by content hash: a restart reads only the files that changed.

Called by `load`. Kept are the objects of files without a fault, as canonical JSON; nothing of a
file that holds a Secret or anything encrypted is written (law 9). Whether the memory is still valid
is its owner's business: it must not outlive the code that filled it.

Many results make one bundle: where they stand in it is told at its head, and what they declare is
not even looked at until somebody asks for an object.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

import orjson

from reconciler.desired.manifest import FileResult
from reconciler.desired.objects import DesiredObject, Recalled
from reconciler.model.meta import ObjectKey

_ENCRYPTED = (b"ENC[", b"age-encryption.org", b"BEGIN AGE", b"BEGIN PGP", b"sops")


class Memory(Protocol):
    """Bytes by key that outlive the process; losing them costs time only."""

    def read(self) -> dict[str, bytes]:
        """Return all that is kept."""
        ...

    def add(self, entries: Mapping[str, bytes]) -> None:
        """Keep more."""
        ...

    def replace(self, entries: Mapping[str, bytes]) -> None:
        """Keep these alone."""
        ...


Row = tuple[str, str, str, str, int, int, int, str, bool, int]
"""Kind, namespace, name, content, line, column, document, within, instructed, bytes of manifest."""


class _Result(NamedTuple):
    """The objects of one file; their manifests follow one another in `text` from `start` on."""

    rows: Sequence[Row]
    text: bytes
    start: int
    end: int


class KeptResults:
    """Results of files by content key. Not for two threads at once."""

    def __init__(self, memory: Memory | None) -> None:
        self._memory = memory
        self._before: dict[str, _Result] | None = None
        self._count = 0
        self._fresh: dict[str, _Result] = {}

    def recall(self, content: str, path: str) -> FileResult | None:
        """Return the result of the file at `path` when equal bytes were read in an earlier run.

        Earlier runs are forgotten at the first `flush`: what follows is mostly new.
        """
        if self._memory is None or (self._before is None and self._count):
            return None
        if self._before is None:
            self._before = _opened(self._memory)
            self._count = len(self._before)
        known = self._before.get(content)
        return FileResult(path, _decode(known, path), ()) if known is not None else None

    def reopen(self) -> None:
        """Let `recall` ask once more, for an earlier revision whose bytes may be gone."""
        self._before, self._count = None, 0

    def note(self, content: str, data: bytes, result: FileResult) -> None:
        """Remember a result that was read now, to be kept by the next `flush`."""
        if self._memory is None or result.problems:
            return
        if any(each.key.kind == "Secret" for each in result.objects):
            return
        if not any(mark in data for mark in _ENCRYPTED):
            self._fresh[content] = _encode(result.objects)

    def flush(self, used: Iterable[str], count: int) -> None:
        """Keep what was noted, and forget what is not `used` when that is most of it.

        `count` is about how many are used: `used` itself is asked for only then.
        """
        self._before = None
        if self._memory is None or not self._fresh:
            return
        if self._count + len(self._fresh) > 2 * count + _SPARE:
            wanted = set(used)
            known = {key: each for key, each in _opened(self._memory).items() if key in wanted}
            self._memory.replace(_bundles({**known, **self._fresh}))
            self._count = len(known) + len(self._fresh)
        else:
            self._memory.add(_bundles(self._fresh))
            self._count += len(self._fresh)
        self._fresh = {}


_SPARE = 500
_BUNDLE = 500
"""Results in one bundle: what one damaged byte costs at most."""
_HEAD = 4
"""Bytes that say how long the head of a bundle is."""


def _encode(objects: Sequence[DesiredObject]) -> _Result:
    texts = [orjson.dumps(each.manifest, option=orjson.OPT_SORT_KEYS) for each in objects]
    rows = [
        (*each.key, each.content, each.line, each.column, each.document, each.within,
         each.instructed, len(text))
        for each, text in zip(objects, texts, strict=True)
    ]  # fmt: skip
    text = b"".join(texts)
    return _Result(rows, text, 0, len(text))


def _decode(kept: _Result, path: str) -> tuple[DesiredObject, ...]:
    return tuple(_objects(kept, path))


def _objects(kept: _Result, path: str) -> Iterator[DesiredObject]:
    rows, text, start, _ = kept
    for kind, namespace, name, content, line, column, document, within, instructed, size in rows:
        yield Recalled(
            ObjectKey(kind, namespace, name), content, path, (line, column, document), within,
            text[start : start + size], instructed=instructed,
        )  # fmt: skip
        start += size


def _bundles(results: Mapping[str, _Result]) -> dict[str, bytes]:
    """Return the results as entries of a memory, each named by what it holds."""
    bundles: dict[str, bytes] = {}
    left = iter(results.items())
    while several := dict(islice(left, _BUNDLE)):
        head = orjson.dumps([(key, each.rows) for key, each in several.items()])
        texts = (each.text[each.start : each.end] for each in several.values())
        size = len(head).to_bytes(_HEAD, "big")
        bundle = b"".join((size, head, *texts))
        bundles[hashlib.blake2b(bundle, digest_size=8).hexdigest()] = bundle
    return bundles


def _opened(memory: Memory) -> dict[str, _Result]:
    found: dict[str, _Result] = {}
    for bundle in memory.read().values():
        start = _HEAD + int.from_bytes(bundle[:_HEAD], "big")
        for content, rows in orjson.loads(bundle[_HEAD:start]):
            end = start + sum(row[-1] for row in rows)
            found[content] = _Result(rows, bundle, start, end)
            start = end
    return found
