"""The files that a build may read, and which it did read. Called by the build."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping

from reconciler.source.files import KUSTOMIZATIONS
from reconciler.source.snapshot import Contents, FileRef


class Tree:
    """The files of one revision, read when a build asks for them.

    `looked` has every path whose presence or content decided something; a build whose paths are
    as they were yields what it did. Raises `SourceError` when bytes cannot be had.
    """

    def __init__(self, files: Mapping[str, FileRef], contents: Contents) -> None:
        self._files = files
        self._contents = contents
        self._data: dict[str, bytes] = {}
        self.looked: set[str] = set()

    def ref(self, path: str) -> FileRef | None:
        """Return the file at `path`, if there is one."""
        self.looked.add(path)
        return self._files.get(path)

    def fetch(self, paths: Iterable[str]) -> None:
        """Read several files at once, so that a repository is asked once."""
        wanted = {path: self.ref(path) for path in paths if path not in self._data}
        refs = [ref for ref in wanted.values() if ref is not None and not ref.refused]
        for ref, data in zip(refs, self._contents.read(refs), strict=True):
            self._data[ref.path] = data

    def data(self, path: str) -> bytes:
        """Return the bytes of a file that is there and not refused."""
        if path not in self._data:
            self.fetch([path])
        self.looked.add(path)
        return self._data[path]

    def kustomizations(self, folder: str) -> list[str]:
        """Return the kustomization files of a folder; more than one is a mistake."""
        paths = [join(folder, name) for name in KUSTOMIZATIONS]
        return [path for path in paths if self.ref(path) is not None]


def join(folder: str, name: str) -> str:
    """Return `name` as seen from `folder`, in its plain form; starts with ".." outside the tree."""
    joined = posixpath.normpath(posixpath.join(folder, name))
    return "" if joined == "." else joined


def is_outside(path: str) -> bool:
    """Return whether a plain path leaves the source's tree."""
    return path == ".." or path.startswith(("../", "/"))


Read = Callable[[str], bytes]
