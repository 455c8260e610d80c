"""A directory tree as files with content hashes; blocking, called by `directory.py` on a thread.

A file is hashed when its inode, size or times changed, or when a watch event names it. Whatever
cannot be read is an error, never a missing file (law 4).
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reconciler.core.clock import Clock
from reconciler.source.files import (
    TreeLimits,
    is_hidden,
    is_kustomization,
    is_manifest,
    is_temporary,
    leaves_tree,
    too_large,
)
from reconciler.source.snapshot import FileRef, SourceError

# A file written this short a time after it was hashed may keep its times: hash it again.
_RACY_NANOSECONDS = 2_000_000_000
_FRESH_BYTES = 64 * 1024 * 1024
_MANY_CHANGES = 200


@dataclass(frozen=True, slots=True)
class _Seen:
    """A file as it was when it was hashed; an equal `stamp` says that it did not change since.

    `stamp` is empty when the file was too young then for its times to tell.
    """

    stamp: tuple[int, ...]
    ref: FileRef


class DirectoryTree:
    """The manifest files under `root`; it is also the `Contents` of their snapshots.

    `scope` is the folder in it that they are from. When one of them is a kustomization, every
    file under `root` is looked at, whatever its name: a kustomization may refer to any.
    """

    def __init__(
        self, root: Path, clock: Clock, limits: TreeLimits | None = None, scope: str = ""
    ) -> None:
        self._root = os.path.abspath(root)  # noqa: PTH100 - resolve() would follow links
        self._clock = clock
        self._limits = limits or TreeLimits()
        self._seen: dict[str, _Seen] = {}
        self._follows_links = False
        self._scope = f"{scope}/" if scope else ""
        self._everything = False
        self._fresh: dict[str, bytes] = {}
        self._fresh_bytes = 0

    def files(self) -> dict[str, FileRef]:
        """Return the files as of the last `rescan` or `update`, sorted by path."""
        scoped = (path for path in sorted(self._seen) if path.startswith(self._scope))
        refs = (self._seen[path].ref for path in scoped if is_manifest(self._inside(path)))
        return {ref.path: ref for ref in refs}

    def tree(self) -> dict[str, FileRef] | None:
        """Return all files that kustomizations may refer to; `None` when there is none."""
        if not self._everything:
            return None
        return {seen.ref.path: seen.ref for _, seen in sorted(self._seen.items())}

    def rescan(self) -> None:
        """Look at every file. Raises `SourceError` if the root or anything below is unreadable."""
        self._forget_fresh()
        self._everything = False
        with self._readable():
            found: dict[str, _Seen] = {}
            self._walk(self._scope, found)
            if any(map(is_kustomization, found)):
                self._everything = True
                self._walk("", found)
        self._seen = found

    def update(self, changed: Iterable[str]) -> None:
        """Look at what changed: absolute paths of files or directories, as a watch names them.

        Raises `SourceError` as `rescan` does; `rescan` must then follow before the next `update`.
        """
        relative_paths = {os.path.relpath(path, self._root) for path in changed}
        visible = {path for path in relative_paths if not is_hidden(self._inside(path))}
        kustomized = any(map(is_kustomization, relative_paths))
        if kustomized or self._everything or self._needs_rescan(relative_paths, visible):
            self.rescan()
            return
        self._forget_fresh()
        with self._readable():
            for relative in sorted(visible):
                self._update_one(relative)

    def read(self, files: Sequence[FileRef]) -> Iterator[bytes]:
        """Yield the bytes of `files` (see `Contents`)."""
        for file in files:
            fresh = self._fresh.pop(file.content, None)
            yield fresh if fresh is not None else self._read_again(file)

    def _inside(self, path: str) -> str:
        """Return the path below the scope: a scope that is hidden was asked for by its name."""
        return path.removeprefix(self._scope)

    def _needs_rescan(self, changed: set[str], visible: set[str]) -> bool:
        """Return whether the changed paths do not tell all that may have changed."""
        hidden_target = self._follows_links and len(visible) < len(changed)
        many = len(visible) > _MANY_CHANGES
        return many or hidden_target or "." in changed or not Path(self._root).is_dir()

    def _read_again(self, file: FileRef) -> bytes:
        with self._readable():
            data = _read_file(os.path.realpath(f"{self._root}/{file.path}"))
        if hashlib.sha256(data).hexdigest() != file.content:
            raise SourceError("SourceChanged", f"{file.path} changed while it was read")
        return data

    def _update_one(self, relative: str) -> None:
        below = relative + "/"
        if self._seen.pop(relative, None) is None and not is_manifest(self._inside(relative)):
            for known in [each for each in self._seen if each.startswith(below)]:
                del self._seen[known]
        with suppress(FileNotFoundError):
            status = os.lstat(f"{self._root}/{relative}")
            if stat.S_ISDIR(status.st_mode):
                self._walk(below, self._seen)
            else:
                self._visit(relative, status, self._seen)

    def _walk(self, prefix: str, found: dict[str, _Seen]) -> None:
        """Visit what is under `prefix` ("" or "folder/"), hidden entries left out."""
        pending = [prefix]
        while pending:
            folder = pending.pop()
            try:
                entries = os.scandir(f"{self._root}/{folder}")
            except FileNotFoundError:
                if folder == self._scope:
                    raise
                continue  # removed while we walked
            with entries:
                pending += self._visit_entries(folder, entries, found)

    def _visit_entries(
        self, folder: str, entries: Iterable[os.DirEntry[str]], found: dict[str, _Seen]
    ) -> list[str]:
        """Visit the files of one folder; return the folders in it."""
        folders = []
        for entry in entries:
            path = folder + entry.name
            if entry.is_dir(follow_symlinks=False):
                below = path + "/"
                shown = not entry.name.startswith(".") or self._scope.startswith(below)
                folders += [below] if shown else []
            elif (self._everything and not is_temporary(entry.name)) or (
                not entry.name.startswith(".") and (entry.is_symlink() or is_manifest(entry.name))
            ):
                with suppress(FileNotFoundError):
                    self._visit(path, entry.stat(follow_symlinks=False), found)
        return folders

    def _visit(self, path: str, status: os.stat_result, found: dict[str, _Seen]) -> None:
        if stat.S_ISLNK(status.st_mode):
            self._visit_link(path, found)
        elif self._everything or is_manifest(self._inside(path)):
            found[path] = self._look(path, f"{self._root}/{path}", status)
        if len(found) > self._limits.files:
            limit = self._limits.files
            raise SourceError("TooManyFiles", f"{self._root} has more than {limit} manifest files")

    def _visit_link(self, path: str, found: dict[str, _Seen]) -> None:
        """Refuse a link out of the tree; read one whose target is not read by its own name."""
        name = f"{self._root}/{path}"
        root = os.path.realpath(self._root)
        target = os.path.realpath(name)
        if os.path.commonpath((root, target)) != root:
            found[path] = _refused(path, leaves_tree(os.readlink(name)))  # noqa: PTH115 - a string
            return
        if not self._everything and (
            not is_manifest(self._inside(path)) or is_manifest(os.path.relpath(target, root))
        ):
            return
        self._follows_links = True
        try:
            found[path] = self._look(path, target, os.lstat(target))
        except FileNotFoundError:
            found[path] = _refused(path, "the symbolic link leads to a file that does not exist")

    def _look(self, path: str, name: str, status: os.stat_result) -> _Seen:
        stamp = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        known = self._seen.get(path)
        if known and known.stamp == stamp:
            return known
        if reason := _refusal(path, status, self._limits):
            return _refused(path, reason)
        data = _read_file(name)
        ref = FileRef(path, hashlib.sha256(data).hexdigest(), len(data))
        self._keep_fresh(ref.content, data)
        age = int(self._clock.now().timestamp() * 1e9) - status.st_mtime_ns
        return _Seen(stamp if age > _RACY_NANOSECONDS else (), ref)

    def _keep_fresh(self, content: str, data: bytes) -> None:
        """Keep the bytes for the read that follows, within a bound."""
        if content not in self._fresh and self._fresh_bytes + len(data) <= _FRESH_BYTES:
            self._fresh[content] = data
            self._fresh_bytes += len(data)

    def _forget_fresh(self) -> None:
        self._fresh.clear()
        self._fresh_bytes = 0

    def _readable(self) -> _Readable:
        return _Readable(self._root)


class _Readable:
    """Turns the operating system's refusal into a `SourceError` that names the path."""

    def __init__(self, root: str) -> None:
        self._root = root

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if not isinstance(error, OSError):
            return
        if not Path(self._root).is_dir():
            message = f"directory {self._root} does not exist"
            raise SourceError("SourceMissing", message) from error
        place = error.filename or self._root
        raise SourceError("Unreadable", f"cannot read {place}: {error.strerror}") from error


def _refusal(path: str, status: os.stat_result, limits: TreeLimits) -> str:
    """Return why a file may not be read, or nothing."""
    if not stat.S_ISREG(status.st_mode):
        return "it is not a regular file"
    if any("\udc80" <= letter <= "\udcff" for letter in path):
        return "its name is not UTF-8"
    return too_large(status.st_size, limits)


def _refused(path: str, reason: str) -> _Seen:
    display = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return _Seen((), FileRef(display, "", 0, refused=reason))


def _read_file(name: str) -> bytes:
    """Return a file's bytes; a link in its last component is an error, as it was resolved."""
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - an open descriptor
        return file.read()
