"""The submodules of a repository, as far as a source asks for them: their files, beside its own.

Called by `branch.py` on its thread. A submodule is held to its parent's rules: the same transport,
the same host, and so the same credentials. `.gitmodules` is read as data alone; nothing of it
reaches git but an address that passed the rules of every other one, and the commit is the parent's
own word.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.source.access import Access
from reconciler.source.address import AddressError, check_url, is_remote, redact
from reconciler.source.blobs import BlobContents, links_of
from reconciler.source.files import TreeLimits, is_hidden
from reconciler.source.git import GitRepository
from reconciler.source.gitobjects import TreeEntry
from reconciler.source.gittree import SUBMODULE, all_files, manifest_files
from reconciler.source.mirror import clear_remains
from reconciler.source.snapshot import Contents, FileRef, SourceError

_DEEPEST = 4
_MOST = 50
_PORTS = {"https": 443, "http": 80, "ssh": 22, "git": 9418}


@dataclass(slots=True)
class Found:
    """Files of submodules by path: manifests, all there are, and where their bytes are."""

    manifests: dict[str, FileRef] = field(default_factory=dict)
    everything: dict[str, FileRef] = field(default_factory=dict)
    contents: dict[str, Contents] = field(default_factory=dict)

    def among(self, files: Mapping[str, FileRef]) -> dict[str, FileRef]:
        """Return the manifests of a source together with those of its submodules."""
        links = {prefix.rstrip("/") for prefix in self.contents}
        own = {path: ref for path, ref in files.items() if path not in links}
        return {**own, **self.manifests}

    def refuse(self, path: str, reason: str) -> None:
        """Note a submodule that may not be followed."""
        self.manifests[path] = self.everything[path] = FileRef(path, "", 0, refused=reason)


class Submodules:
    """Reads submodules into mirrors below `folder`."""

    def __init__(self, folder: Path, timeout: float, access: Access, limits: TreeLimits) -> None:
        self._folder = folder
        self._timeout = timeout
        self._access = access
        self._limits = limits

    def of(self, repository: GitRepository, location: str, root: str, scope: str) -> Found:
        """Return the files of the submodules of the commit tree `root`, those below `scope`.

        Raises `SourceError` when one cannot be fetched: then nothing of the source is known.
        """
        found = Found()
        self._add(found, repository, location, root, "", 1)
        below = f"{scope}/" if scope else ""
        found.manifests = {p: f for p, f in found.manifests.items() if p.startswith(below)}
        return found

    def _add(
        self, found: Found, repository: GitRepository, location: str, root: str, prefix: str,
        depth: int,
    ) -> None:  # fmt: skip
        entries = repository.tree(root)
        links = [e for e in entries if e.mode == SUBMODULE and not is_hidden(e.path)]
        urls = repository.submodule_urls(root) if links else {}
        for link in links:
            path = prefix + link.path
            if depth > _DEEPEST or len(found.contents) >= _MOST:
                found.refuse(path, f"submodules go deeper than {_DEEPEST}, or are over {_MOST}")
                continue
            try:
                url = _resolved(urls.get(link.path, ""), location)
            except AddressError as error:
                found.refuse(path, f"the submodule is not followed: {error}")
                continue
            self._follow(found, link, url, path, depth)

    def _follow(self, found: Found, link: TreeEntry, url: str, path: str, depth: int) -> None:
        repository = self._fetched(url, link.blob)
        commit = repository.commit(link.blob, "")
        if commit is None:
            raise SourceError("SubmoduleMissing", f"{redact(url)} has no commit {link.blob[:12]}")
        entries = repository.tree(commit.tree)
        targets = links_of(repository, entries)
        prefix = f"{path}/"
        found.contents[prefix] = BlobContents(repository, _nothing)
        plain = [entry for entry in entries if entry.mode != SUBMODULE]
        found.manifests |= manifest_files(plain, targets, prefix, self._limits)
        inside = all_files(plain, targets, self._limits)
        found.everything |= {
            prefix + name: FileRef(prefix + name, ref.content, ref.size, ref.refused)
            for name, ref in inside.items()
        }
        if len(found.everything) > self._limits.files:
            raise SourceError("TooManyFiles", f"more than {self._limits.files} files")
        self._add(found, repository, url, commit.tree, prefix, depth + 1)

    def _fetched(self, url: str, commit: str) -> GitRepository:
        """Return a mirror that has the commit; it is fetched when it is new, alone if it can be."""
        place = self._folder / hashlib.sha256(url.encode()).hexdigest()[:16]
        repository = GitRepository.mirror(place, self._timeout, self._access)
        if not repository.has(commit):
            clear_remains(place)
            repository.fetch_commit(url, commit)
        return repository


class JoinedContents:
    """The bytes of a source and of its submodules, by the path of each file."""

    def __init__(self, own: Contents, below: Mapping[str, Contents]) -> None:
        self._own = own
        self._below = sorted(below.items(), key=lambda each: -len(each[0]))

    def read(self, files: Sequence[FileRef]) -> Iterator[bytes]:
        """Yield the bytes of `files`, asking each repository for a row of files at a time."""
        for _, row in groupby(files, key=lambda file: id(self._of(file.path))):
            wanted = list(row)
            yield from self._of(wanted[0].path).read(wanted)

    def _of(self, path: str) -> Contents:
        found = (contents for prefix, contents in self._below if path.startswith(prefix))
        return next(found, self._own)


def _nothing() -> None:
    """A submodule's mirror is looked at anew with each commit."""


def _resolved(url: str, parent: str) -> str:
    """Return the address of a submodule; raises `AddressError` for what its parent may not name."""
    if not url:
        raise AddressError(".gitmodules has no url for it")
    whole = _joined(parent, url) if url.startswith(("./", "../")) else url
    if is_remote(parent):
        check_url(whole)
        if _place(whole) != _place(parent):
            raise AddressError(
                f"{redact(whole)} is not on the host of {redact(parent)}, or reached another way"
            )
    elif not whole.startswith("/") or "\n" in whole:
        raise AddressError(f"{redact(whole)}: a repository on this host has its submodules here")
    return whole


def _joined(parent: str, relative: str) -> str:
    """Return a relative address as git resolves it: each `../` takes a part off the parent's."""
    base = parent.rstrip("/")
    while True:
        if relative.startswith("./"):
            relative = relative[2:]
        elif relative.startswith("../"):
            relative = relative[3:]
            base = _up(base, parent)
        else:
            break
    return f"{base}{'' if base.endswith(':') else '/'}{relative}"


def _up(base: str, parent: str) -> str:
    cut = max(base.rfind("/"), base.rfind(":") if "://" not in base else -1)
    shorter = base[:cut] if base[cut : cut + 1] == "/" else base[: cut + 1]
    top = shorter.rpartition("://")[2] if "://" in shorter else shorter
    if cut <= 0 or not top or (shorter.endswith((":/", ":")) and base == shorter):
        raise AddressError(f"a relative url leads out of {redact(parent)}")
    return shorter


def _place(url: str) -> tuple[str, str, int | None]:
    """Return the transport, host and port of an address."""
    if "://" not in url:
        return "ssh", url.partition(":")[0].rpartition("@")[2].lower(), 22
    parts = urlsplit(url)
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or "").lower(), parts.port or _PORTS.get(scheme)
