"""The bytes of a repository's files, read in bounded batches.

Called by `branch.py`, and through the snapshots that it yields by `desired`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from reconciler.source.git import GitRepository
from reconciler.source.gitobjects import TreeEntry
from reconciler.source.gittree import LINK
from reconciler.source.snapshot import FileRef, SourceError

_BATCH_BYTES = 32 * 1024 * 1024


def links_of(repository: GitRepository, entries: Sequence[TreeEntry]) -> dict[str, str]:
    """Return the targets of the symbolic links among `entries`."""
    links = [entry for entry in entries if entry.mode == LINK]
    targets = repository.blobs([entry.blob for entry in links])
    return {
        entry.path: target.decode("utf-8", "surrogateescape")
        for entry, target in zip(links, targets, strict=True)
    }


class BlobContents:
    """The bytes of a snapshot's files, by blob id; `on_damage` is told when some are gone."""

    def __init__(self, repository: GitRepository, on_damage: Callable[[], None]) -> None:
        self._repository = repository
        self._on_damage = on_damage

    def read(self, files: Sequence[FileRef]) -> Iterator[bytes]:
        """Yield the bytes of `files`, a bounded number of them in memory at a time."""
        try:
            yield from self._read(files)
        except SourceError:
            self._on_damage()
            raise

    def _read(self, files: Sequence[FileRef]) -> Iterator[bytes]:
        batch: list[str] = []
        size = 0
        for file in files:
            batch.append(file.content)
            size += file.size
            if size >= _BATCH_BYTES:
                yield from self._repository.blobs(batch)
                batch, size = [], 0
        yield from self._repository.blobs(batch)
