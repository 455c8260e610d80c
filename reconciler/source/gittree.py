"""From the entries of a Git tree to the manifest files of a snapshot. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from reconciler.source.files import (
    TreeLimits,
    is_hidden,
    is_manifest,
    leaves_tree,
    resolve_link,
    too_large,
)
from reconciler.source.gitobjects import TreeEntry
from reconciler.source.snapshot import FileRef

LINK = "120000"
SUBMODULE = "160000"
_NOT_FOLLOWED = "it is a submodule, and the Source does not say `submodules: true`"
_NOT_UTF8 = "its name is not UTF-8"


def manifest_files(
    entries: Iterable[TreeEntry],
    link_targets: Mapping[str, str],
    prefix: str,
    limits: TreeLimits,
) -> dict[str, FileRef]:
    """Return the manifest files among `entries`, by path with `prefix` ("" or "folder/").

    `link_targets` has the target of each symbolic link among them. Links are treated as a
    directory source treats them; a submodule is refused, because its files would be missing.
    """
    entries = list(entries)
    by_path = {entry.path: entry for entry in entries} if link_targets else {}
    refs = (_file(entry, by_path, link_targets, prefix, limits) for entry in entries)
    return {ref.path: ref for ref in refs if ref is not None}


def all_files(
    entries: Iterable[TreeEntry], link_targets: Mapping[str, str], limits: TreeLimits
) -> dict[str, FileRef]:
    """Return every file among `entries`, whatever its name, for kustomizations to refer to."""
    entries = list(entries)
    by_path = {entry.path: entry for entry in entries}
    found: dict[str, FileRef] = {}
    for entry in entries:
        end = resolve_link(entry.path, link_targets) if entry.mode == LINK else entry.path
        if entry.mode == SUBMODULE:
            continue
        if end is None:
            found[entry.path] = _refused(entry.path, leaves_tree(link_targets[entry.path]))
        elif end in by_path:
            found[entry.path] = _plain(entry.path, by_path[end], limits)
    return found


def is_plain(entry: TreeEntry) -> bool:
    """Return whether `entry` can be judged without the rest of its tree."""
    return entry.mode not in (LINK, SUBMODULE) and is_utf8(entry.path)


def is_utf8(path: str) -> bool:
    """Return whether the name of a file, decoded with surrogates for odd bytes, has none."""
    return path.isascii() or not any("\udc80" <= letter <= "\udcff" for letter in path)


def _file(
    entry: TreeEntry,
    by_path: Mapping[str, TreeEntry],
    links: Mapping[str, str],
    prefix: str,
    limits: TreeLimits,
) -> FileRef | None:
    if is_hidden(entry.path):
        return None
    if entry.mode == LINK:
        return _link(entry, by_path, links, prefix, limits)
    if entry.mode == SUBMODULE:
        return _refused(prefix + entry.path, _NOT_FOLLOWED)
    return _plain(prefix + entry.path, entry, limits) if is_manifest(entry.path) else None


def _link(
    entry: TreeEntry,
    by_path: Mapping[str, TreeEntry],
    links: Mapping[str, str],
    prefix: str,
    limits: TreeLimits,
) -> FileRef | None:
    path = prefix + entry.path
    end = resolve_link(entry.path, links)
    if end is None:
        return _refused(path, leaves_tree(links[entry.path]))
    if not is_manifest(entry.path) or (is_manifest(end) and end in by_path):
        return None
    if end not in by_path:
        return _refused(path, "the symbolic link leads to a file that does not exist")
    return _plain(path, by_path[end], limits)


def _plain(path: str, entry: TreeEntry, limits: TreeLimits) -> FileRef:
    if not is_utf8(path):
        return _refused(path, _NOT_UTF8)
    if reason := too_large(entry.size, limits):
        return _refused(path, reason)
    return FileRef(path, entry.blob, entry.size)


def _refused(path: str, reason: str) -> FileRef:
    display = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return FileRef(display, "", 0, refused=reason)
