"""A branch of a Git repository, watched: the `Source` over the adapter in `git.py`.

A repository on this host is read in place, and its refs are watched; a remote one is fetched
into a bare mirror under the state directory. Used by `sync` through the `Source` protocol.
"""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

import structlog

from reconciler.core.chance import chance
from reconciler.core.clock import Clock
from reconciler.core.derived import Derived
from reconciler.core.queue import Backoff
from reconciler.source.access import Access
from reconciler.source.address import Address
from reconciler.source.announce import Announcer
from reconciler.source.blobs import BlobContents, links_of
from reconciler.source.files import TreeLimits, is_kustomization
from reconciler.source.git import GitRepository, open_repository
from reconciler.source.gitobjects import Commit
from reconciler.source.gittree import all_files, is_plain, is_utf8, manifest_files
from reconciler.source.mirror import FETCHED, discard, is_damage, mirror_name
from reconciler.source.snapshot import Contents, FileRef, Snapshot, SourceError, SourceProblem
from reconciler.source.submodules import JoinedContents, Submodules
from reconciler.source.watching import watch

_COMMIT = re.compile("[0-9a-f]{40}([0-9a-f]{24})?")


_UNOPENED = 0.1
"""Seconds between two looks at whether there is a repository to watch."""

Opener = Callable[[Address, Path, float, Access], GitRepository]


@dataclass(frozen=True, slots=True)
class GitOptions:
    """How a branch is watched. Waits are seconds.

    `interval` between two looks, longer by up to the share `jitter` and after failures by
    `backoff`; `timeout` of one git process; `watch_step` as in `DirectoryTiming`. `opener` finds
    the repository at an address, or makes the mirror of a remote one; `name` is the source's, which
    tells the mirrors of several sources apart; `submodules` are read only when it says so.
    """

    interval: float = 10.0
    jitter: float = 0.1
    timeout: float = 60.0
    backoff: Backoff = field(default_factory=lambda: Backoff(base=2.0, cap=300.0))
    watch_step: float = 0.040
    rewatch: float = 10.0
    second_look: float = 1.0
    follow_rewrites: bool = False
    access: Access = field(default_factory=Access)
    opener: Opener = open_repository
    name: str = ""
    submodules: bool = False

    def pause(self, failures: int, random: Random) -> float:
        """Return the seconds until the next look after so many failures in a row."""
        pause = self.interval * (1 + self.jitter * random.random())
        return max(pause, self.backoff.delay(failures, random)) if failures else pause


@dataclass(frozen=True, slots=True)
class _Shown:
    """The tree listed last; `plain` when a difference can be applied to it entry by entry."""

    tree: str
    files: Derived[str, FileRef]
    plain: bool
    kustomizations: frozenset[str]


class GitSource:
    """The manifests at `address`.

    A branch whose history was rewritten is held at the last revision until `trigger` accepts it,
    unless the options say `follow_rewrites`; `last_revision` is the one that was taken before a
    restart, if known. `executor` is for the blocking calls; by default one thread of its own.
    """

    def __init__(
        self,
        address: Address,
        *,
        clock: Clock,
        state_dir: Path,
        options: GitOptions | None = None,
        limits: TreeLimits | None = None,
        last_revision: str = "",
        random: Random | None = None,
        executor: Executor | None = None,
    ) -> None:
        self._address = address
        self._options = options or GitOptions()
        self._mirror = state_dir / "git" / mirror_name(self._options.name, address.location)
        self._clock = clock
        self._limits = limits or TreeLimits()
        self._submodules = Submodules(
            self._mirror.with_name(f"{self._mirror.name}.modules"),
            self._options.timeout,
            self._options.access,
            self._limits,
        )
        self._revision = last_revision
        self._verified = ""
        self._random = random or chance()
        self._own_executor = None if executor else ThreadPoolExecutor(1, thread_name_prefix="git")
        self._executor = executor or self._own_executor
        self._one_look = threading.Lock()
        self._repository: GitRepository | None = None
        self._shown: _Shown | None = None
        self._everything: tuple[str, dict[str, FileRef]] = ("", {})
        self._wake = asyncio.Event()
        self._asked = False
        self._looks = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._damaged = False
        self._deep = bool(last_revision)
        self._closed = False
        self._log = structlog.get_logger(component="source")

    async def snapshots(self) -> AsyncIterator[Snapshot | SourceProblem]:
        """Yield the branch's present revision, then each new one (see `Source`)."""
        announcer = Announcer(self._clock)
        watch = asyncio.create_task(self._watch(), name=f"watch {self._address.shown}")
        failures = 0
        try:
            while not self._closed:
                state = await self._look()
                failures = failures + 1 if isinstance(state, SourceError) else 0
                news = announcer.news(state)
                if news is not None and not self._closed:
                    yield news
                await self._wait(failures)
        finally:
            watch.cancel()
            with suppress(asyncio.CancelledError):
                await watch

    def trigger(self) -> None:
        """Look now; a rewritten history is accepted, as a person asks."""
        self._asked = True
        self._wake.set()

    def look(self) -> None:
        """Look now, because something may have moved."""
        self._wake.set()

    async def at(self, revision: str) -> Snapshot | None:
        """Return the tree of an earlier commit, None when the repository has it no more."""
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._executor, self._at_blocking, revision)
        except SourceError:
            return None

    def keep(self, revision: str) -> None:
        """Git itself remembers."""

    async def close(self) -> None:
        """End the running git process and the thread; `snapshots` ends."""
        self._closed = True
        self._wake.set()
        if self._repository is not None:
            self._repository.kill()
        if self._own_executor is not None:
            self._own_executor.shutdown(wait=False, cancel_futures=True)

    async def _wait(self, failures: int) -> None:
        """Wait for the next look's time, or for somebody who wants it sooner.

        The second look at a local repository comes soon: the first is before the watch of its refs.
        """
        options = self._options
        pause = options.pause(failures if self._address.remote else 0, self._random)
        if not self._address.remote and self._looks == 1:
            pause = min(pause, options.second_look)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wake.wait()

    async def _look(self) -> Snapshot | SourceError:
        self._wake.clear()
        self._looks += 1
        asked, self._asked = self._asked, False
        loop = self._loop = asyncio.get_running_loop()
        began = self._clock.monotonic()
        try:
            seen = await loop.run_in_executor(self._executor, self._look_blocking, asked)
        except SourceError as error:
            return error
        return replace(seen, seconds=self._clock.monotonic() - began)

    def _look_blocking(self, asked: bool) -> Snapshot:
        with self._one_look:
            if self._damaged:
                self._discard("an object of it could not be read")
            try:
                return self._read(asked)
            except SourceError as error:
                if not self._address.remote or not is_damage(error, self._is_whole):
                    raise
                self._discard(error.message)
            return self._read(asked)

    def _read(self, asked: bool) -> Snapshot:
        repository = self._open()
        if self._address.remote:
            self._fetch(repository)
        commit = self._present(repository)
        self._check_history(repository, commit, asked)
        files = self._files(repository, commit.tree)
        tree = self._tree(repository, commit.root) if self._kustomized else None
        if self._address.remote and commit.id != self._revision:
            repository.tidy()
        self._revision = commit.id
        return self._snapshot(repository, commit, files, tree)

    def _fetch(self, repository: GitRepository) -> None:
        """Fetch; a mirror that is new brings the history since the revision that was taken last."""
        if self._deep:
            repository.fetch(self._address, known=self._revision)
        else:
            repository.fetch(self._address)
        self._deep = False

    def _snapshot(
        self,
        repository: GitRepository,
        commit: Commit,
        files: dict[str, FileRef],
        tree: dict[str, FileRef] | None,
    ) -> Snapshot:
        contents: Contents = BlobContents(repository, self._found_damage)
        if self._options.submodules:
            found = self._submodules.of(
                repository, self._address.location, commit.root, self._address.sub_path
            )
            files = found.among(files)
            if tree is not None or any(map(is_kustomization, files)):
                tree = {**self._tree(repository, commit.root), **found.everything}
            contents = JoinedContents(contents, found.contents)
        return Snapshot(
            commit.id, commit.author, commit.time, commit.message, files, contents,
            tree=tree, scope=self._address.sub_path, verified=self._options.access.signed,
        )  # fmt: skip

    def _is_whole(self) -> bool:
        return self._repository is not None and self._repository.is_whole()

    def _discard(self, reason: str) -> None:
        """Throw a damaged mirror away: the next fetch brings a whole one."""
        self._log.warning("mirror.damaged", path=str(self._mirror), reason=reason)
        discard(self._mirror)
        self._repository, self._shown, self._everything = None, None, ("", {})
        self._damaged, self._deep = False, bool(self._revision)

    def _found_damage(self) -> None:
        """Fetch again soon, because a mirror cannot be read; somebody else's repository stays."""
        if self._address.remote and self._loop is not None:
            self._damaged = True
            self._loop.call_soon_threadsafe(self._wake.set)

    def _at_blocking(self, revision: str) -> Snapshot | None:
        if not _COMMIT.fullmatch(revision):
            return None
        with self._one_look:
            repository = self._open()
            commit = repository.commit(revision, self._address.sub_path)
            if commit is None or not commit.tree:
                return None
            shown = self._whole(repository, commit.tree)
            tree = self._tree(repository, commit.root) if shown.kustomizations else None
            return self._snapshot(repository, commit, shown.files, tree)

    def _open(self) -> GitRepository:
        """Return the repository; found anew while it was not there."""
        known = self._repository
        if known is not None and known.git_dir.is_dir():
            return known
        timeout, access = self._options.timeout, self._options.access
        self._repository = self._options.opener(self._address, self._mirror, timeout, access)
        return self._repository

    def _present(self, repository: GitRepository) -> Commit:
        address = self._address
        ref = FETCHED if address.remote else address.ref
        if address.semver and not address.remote:
            ref = repository.version_here(address)
        commit = repository.commit(ref, address.sub_path)
        if commit is None:
            message = f"{address.branch_shown} has no commit in {address.shown}"
            raise SourceError("BranchMissing", message)
        if not commit.tree:
            message = f"there is no directory {address.sub_path} in commit {commit.id[:12]}"
            raise SourceError("PathMissing", message)
        if commit.id != self._verified:
            repository.check_signature(ref)
            self._verified = commit.id
        return commit

    def _check_history(self, repository: GitRepository, commit: Commit, asked: bool) -> None:
        """Hold when the branch no longer builds on the revision that was taken last."""
        old = self._revision
        free = asked or self._options.follow_rewrites or not self._address.moving
        if not old or old == commit.id or free:
            return
        if not repository.is_ancestor(old, commit.id):
            raise SourceError(
                "HistoryRewritten",
                f"commit {commit.id[:12]} does not build on {old[:12]}: the branch was rewritten; "
                f"`reconciler sync` accepts it",
            )

    def _files(self, repository: GitRepository, tree: str) -> dict[str, FileRef]:
        """Return the files of `tree`: the last ones with the difference, where that is enough."""
        if self._shown is None or self._shown.tree != tree:
            self._shown = self._difference(repository, tree) or self._whole(repository, tree)
        if len(self._shown.files) > self._limits.files:
            message = f"the tree has more than {self._limits.files} manifest files"
            raise SourceError("TooManyFiles", message)
        return self._shown.files

    def _difference(self, repository: GitRepository, tree: str) -> _Shown | None:
        """Return the files of `tree` by what changed, or `None` where only a listing can tell."""
        if self._shown is None or not self._shown.plain:
            return None
        try:
            changed, gone = repository.changes(self._shown.tree, tree)
        except SourceError:
            return None  # the tree shown last is gone, as after a rewrite and a gc
        if not all(map(is_plain, changed)) or not all(map(is_utf8, gone)):
            return None
        old, fresh = self._shown, manifest_files(changed, {}, self._prefix, self._limits)
        touched = [self._prefix + path for path in (*gone, *(entry.path for entry in changed))]
        files = Derived(old.files, old.files, touched)
        files.update(fresh)
        for path in touched:
            if path not in fresh:
                files.pop(path, None)
        kept = old.kustomizations.difference(touched)
        return _Shown(tree, files, True, kept.union(filter(is_kustomization, fresh)))

    def _whole(self, repository: GitRepository, tree: str) -> _Shown:
        entries = repository.tree(tree)
        files = manifest_files(entries, links_of(repository, entries), self._prefix, self._limits)
        plain = all(is_plain(entry) for entry in entries)
        return _Shown(tree, Derived(files), plain, frozenset(filter(is_kustomization, files)))

    @property
    def _kustomized(self) -> bool:
        return self._shown is not None and bool(self._shown.kustomizations)

    def _tree(self, repository: GitRepository, root: str) -> dict[str, FileRef]:
        """Return every file of the commit, for kustomizations to refer to."""
        if self._everything[0] != root:
            entries = repository.tree(root)
            files = all_files(entries, links_of(repository, entries), self._limits)
            if len(files) > self._limits.files:
                raise SourceError("TooManyFiles", f"more than {self._limits.files} files")
            self._everything = (root, files)
        return self._everything[1]

    @property
    def _prefix(self) -> str:
        return f"{self._address.sub_path}/" if self._address.sub_path else ""

    async def _watch(self) -> None:
        """Wake the reader when a ref of a repository on this host moves."""
        while not self._address.remote and not self._closed:
            repository = self._repository
            if repository is not None:
                try:
                    await self._watch_refs(repository)
                except (OSError, SourceError) as error:
                    self._log.debug("source.unwatched", reason=str(error))
            await asyncio.sleep(self._options.rewatch if repository else _UNOPENED)

    async def _watch_refs(self, repository: GitRepository) -> None:
        loop = asyncio.get_running_loop()
        common = await loop.run_in_executor(self._executor, repository.common_dir)
        places = [common / "refs", common / "logs", repository.git_dir / "logs"]
        present = {place for place in places if place.is_dir()}
        async for _ in watch(*present, step=self._options.watch_step, debounce=0.2):
            self._wake.set()
            if not common.is_dir():
                return
