"""Which files a revision of a directory has: paths and hashes, for a later run to read. Pure.

Called by `directory.py`. Nothing of a file's content is in a listing (law 9).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

from reconciler.source.snapshot import FileRef

Files = dict[str, FileRef]


class Past(Protocol):
    """Bytes by key that outlive the process; losing them costs the way back to a revision."""

    def read(self) -> dict[str, bytes]:
        """Return all that is kept."""
        ...

    def replace(self, entries: Mapping[str, bytes]) -> None:
        """Keep these alone."""
        ...


def encoded(files: Mapping[str, FileRef], tree: Mapping[str, FileRef] | None) -> bytes:
    """Return a revision's manifests, and all its files when a kustomization is among them."""
    rows = [_rows(files), _rows(tree) if tree is not None else None]
    return json.dumps(rows, separators=(",", ":")).encode()


def decoded(listing: bytes) -> tuple[Files, Files | None]:
    """Return what `encoded` was given."""
    files, tree = json.loads(listing)
    return _files(files), _files(tree) if tree is not None else None


def _rows(files: Mapping[str, FileRef]) -> list[tuple[str, str, int, str]]:
    return [(ref.path, ref.content, ref.size, ref.refused) for ref in files.values()]


def _files(rows: list[tuple[str, str, int, str]]) -> Files:
    return {row[0]: FileRef(*row) for row in rows}
