"""Which files of a tree are manifests, and where its symbolic links lead. Pure.

Used by both adapters, so that a directory and a repository with the same files yield the same.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from dataclasses import dataclass

MANIFEST_SUFFIXES = (".yaml", ".yml", ".json")
KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_MAX_LINKS = 40  # Linux' own limit on links followed for one path


@dataclass(frozen=True, slots=True)
class TreeLimits:
    """Bounds on what one source may ask to be read."""

    files: int = 100_000
    file_bytes: int = 16 * 1024 * 1024


def is_hidden(path: str) -> bool:
    """Return whether a component of `path` starts with a dot (.git, swap files)."""
    return path.startswith(".") or "/." in path


def is_manifest(path: str) -> bool:
    """Return whether the file at `path` is read: visible, and YAML or JSON by its name.

    One that ends in `.age` besides is encrypted as a whole.
    """
    plain = path.removesuffix(".age")
    named = plain.endswith(MANIFEST_SUFFIXES) or is_kustomization(path)
    return named and not is_hidden(path)


def is_temporary(name: str) -> bool:
    """Return whether a file is an editor's own, as vim's and Emacs' are."""
    return name.endswith(("~", ".swp", ".swo", ".swx")) or name.startswith((".#", "#", ".nfs"))


def is_kustomization(path: str) -> bool:
    """Return whether the file at `path` is a kustomization by its name."""
    return path.endswith(KUSTOMIZATIONS) and path.rpartition("/")[2] in KUSTOMIZATIONS


def too_large(size: int, limits: TreeLimits) -> str:
    """Return why a file of `size` bytes is refused, or nothing."""
    if size <= limits.file_bytes:
        return ""
    return f"the file has {size} bytes, and at most {limits.file_bytes} are read"


def leaves_tree(target: str) -> str:
    """Return why a symbolic link to `target` is refused."""
    return f"the symbolic link leads to {target!r}, which is outside the source's tree"


def resolve_link(path: str, links: Mapping[str, str]) -> str | None:
    """Follow the links of a tree from `path`, without a disk.

    `links` has the target of each link in the tree by its path. Returns the path that it ends
    at, which may not exist; `None` when it leaves the tree or goes round.
    """
    for _ in range(_MAX_LINKS):
        link = _first_link(path, links)
        if link is None:
            return path
        target = links[link]
        rest = path[len(link) + 1 :]
        joined = posixpath.join(posixpath.dirname(link), target, rest)
        path = posixpath.normpath(joined)
        if target.startswith("/") or path == ".." or path.startswith("../"):
            return None
    return None


def _first_link(path: str, links: Mapping[str, str]) -> str | None:
    end = path.find("/")
    while end != -1:
        if path[:end] in links:
            return path[:end]
        end = path.find("/", end + 1)
    return path if path in links else None
