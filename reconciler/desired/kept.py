"""What earlier runs read, by content hash: a restart reads only the files that changed.

Called by `load`. Kept are the objects of files without a fault, as canonical JSON; nothing of a
file that holds a Secret or anything encrypted is written (law 9). Whether the memory is still valid
is its owner's business: it must not outlive the code that filled it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

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


class KeptResults:
    """Results of files by content key. Not for two threads at once."""

    def __init__(self, memory: Memory | None) -> None:
        self._memory = memory
        self._before: dict[str, bytes] | None = None
        self._count = 0
        self._fresh: dict[str, bytes] = {}

    def recall(self, content: str, path: str) -> FileResult | None:
        """Return the result of the file at `path` when equal bytes were read in an earlier run.

        Earlier runs are forgotten at the first `flush`: what follows is mostly new.
        """
        if self._memory is None or (self._before is None and self._count):
            return None
        if self._before is None:
            self._before = self._memory.read()
            self._count = len(self._before)
        encoded = self._before.get(content)
        return FileResult(path, _decode(encoded, path), ()) if encoded is not None else None

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
            known = {key: each for key, each in self._memory.read().items() if key in wanted}
            self._memory.replace({**known, **self._fresh})
            self._count = len(known) + len(self._fresh)
        else:
            self._memory.add(self._fresh)
            self._count += len(self._fresh)
        self._fresh = {}


_SPARE = 500


def _encode(objects: Iterable[DesiredObject]) -> bytes:
    return orjson.dumps(
        [
            (*each.key, each.content, each.line, each.column, each.document, each.within,
             each.instructed,
             orjson.dumps(each.manifest, option=orjson.OPT_SORT_KEYS).decode())
            for each in objects
        ]
    )  # fmt: skip


def _decode(encoded: bytes, path: str) -> tuple[DesiredObject, ...]:
    return tuple(
        Recalled(ObjectKey(kind, namespace, name), content, path, (line, column, document),
                 within, manifest, instructed=instructed)
        for kind, namespace, name, content, line, column, document, within, instructed, manifest
        in orjson.loads(encoded)
    )  # fmt: skip
