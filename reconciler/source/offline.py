"""Files and directories read once, without watching: for `validate`, `render` and `plan`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from reconciler.core.clock import Clock
from reconciler.source.files import KUSTOMIZATIONS, TreeLimits, too_large
from reconciler.source.snapshot import Contents, FileRef, Snapshot, SourceError
from reconciler.source.tree import DirectoryTree


def read_once(paths: Sequence[Path], clock: Clock, limits: TreeLimits | None = None) -> Snapshot:
    """Return the manifests at `paths` together, each named as the user reaches it.

    A directory gives its manifest files, as a directory source does; a file is read whatever its
    name. Raises `SourceError` for a path that cannot be read.
    """
    limits = limits or TreeLimits()
    if len(paths) == 1 and paths[0].is_dir() and any(map(_is_kustomized, paths)):
        return _kustomized(paths[0], clock, limits)
    files: dict[str, FileRef] = {}
    origins: dict[str, tuple[Contents, FileRef]] = {}
    for path in paths:
        contents, found = _look(path, clock, limits)
        for name, ref in found.items():
            shown = FileRef(name, ref.content, ref.size, ref.refused)
            files[name] = shown
            origins[name] = (contents, ref)
    digest = hashlib.sha256("".join(ref.content for ref in files.values()).encode())
    revision = digest.hexdigest()[:40]
    return Snapshot(revision, "", clock.now(), "", files, _Joined(origins))


def _is_kustomized(path: Path) -> bool:
    return any((path / name).is_file() for name in KUSTOMIZATIONS) or any(
        found.is_file() for name in KUSTOMIZATIONS for found in path.rglob(name)
    )


def _kustomized(path: Path, clock: Clock, limits: TreeLimits) -> Snapshot:
    """Return a folder with what its kustomizations may refer to: its work tree, or the folder.

    Paths are relative to the top of the work tree, as the daemon shows them.
    """
    folder = path.resolve()
    top = next((up for up in (folder, *folder.parents) if (up / ".git").exists()), folder)
    scope = folder.relative_to(top).as_posix()
    scope = "" if scope == "." else scope
    tree = DirectoryTree(top, clock, limits, scope)
    tree.rescan()
    files, everything = tree.files(), tree.tree()
    named = files if everything is None else everything
    digest = hashlib.sha256("".join(ref.content for ref in named.values()).encode())
    return Snapshot(
        digest.hexdigest()[:40], "", clock.now(), "", files, tree, tree=everything, scope=scope
    )


def _look(path: Path, clock: Clock, limits: TreeLimits) -> tuple[Contents, dict[str, FileRef]]:
    if path.is_dir():
        tree = DirectoryTree(path, clock, limits)
        tree.rescan()
        return tree, {str(path / ref.path): ref for ref in tree.files().values()}
    try:
        size = path.stat().st_size
        refused = too_large(size, limits)
        data = b"" if refused else _beginning(path, limits.file_bytes + 1)
        if len(data) > limits.file_bytes:  # a pipe or a device tells no size
            refused, data = f"it has more than the {limits.file_bytes} bytes that are read", b""
    except OSError as error:
        raise SourceError("Unreadable", f"cannot read {path}: {error.strerror}") from error
    ref = FileRef(str(path), hashlib.sha256(data).hexdigest(), size, refused)
    return _OneFile(data), {str(path): ref}


def _beginning(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


class _OneFile:
    def __init__(self, data: bytes) -> None:
        self._data = data

    def read(self, files: Sequence[FileRef]) -> Iterator[bytes]:
        """Yield the file's bytes for each of `files`."""
        return (self._data for _ in files)


class _Joined:
    """The contents of several places, by the shown name."""

    def __init__(self, origins: dict[str, tuple[Contents, FileRef]]) -> None:
        self._origins = origins

    def read(self, files: Sequence[FileRef]) -> Iterator[bytes]:
        """Yield the bytes of `files`, asking each place for a row of files at a time."""
        places = [self._origins[file.path] for file in files]
        for _, row in groupby(places, key=lambda place: id(place[0])):
            wanted = list(row)
            yield from wanted[0][0].read([ref for _, ref in wanted])
