"""From a source's name to the adapter that watches it. Called by the composition root."""

from __future__ import annotations

from concurrent.futures import Executor
from pathlib import Path

from reconciler.core.clock import Clock
from reconciler.source.access import Access
from reconciler.source.address import Address, AddressError, check_sub_path, is_remote
from reconciler.source.listing import Past
from reconciler.source.snapshot import Source


def open_source(  # noqa: PLR0913 - each is one setting of a source
    location: str,
    *,
    clock: Clock,
    state_dir: Path,
    branch: str = "",
    sub_path: str = "",
    interval: float = 10.0,
    last_revision: str = "",
    tag: str = "",
    commit: str = "",
    semver: str = "",
    access: Access | None = None,
    executor: Executor | None = None,
    name: str = "",
    submodules: bool = False,
    past: Past | None = None,
) -> Source:
    """Return the source at `location`: a Git URL, a local Git repository, or a plain directory.

    A local path is a repository if it holds `.git` or is a bare one; a directory inside a work
    tree is a plain directory, watched as it is on disk. `executor` runs Git, by default
    one thread of its own; `name` is the source's, for a mirror of its own;
    `past` is a directory's memory of itself. Raises `AddressError`.
    """
    if (
        is_remote(location)
        or "://" in location
        or is_repository(Path(location))
        or branch
        or tag
        or commit
        or semver
    ):
        from reconciler.source.branch import GitOptions, GitSource  # noqa: PLC0415 - GitPython is heavy

        return GitSource(
            Address(location, branch, sub_path, tag, commit, semver),
            clock=clock,
            state_dir=state_dir,
            options=GitOptions(
                interval=interval, access=access or Access(), name=name, submodules=submodules
            ),
            last_revision=last_revision,
            executor=executor,
        )
    if location.startswith("-"):
        raise AddressError(f"source {location!r}: a path may not start with a hyphen; use ./")
    from reconciler.source.directory import DirectorySource  # noqa: PLC0415 - its watch library

    return DirectorySource(
        Path(location), clock=clock, sub_path=check_sub_path(sub_path), past=past
    )


def is_repository(path: Path) -> bool:
    """Return whether `path` is the root of a Git work tree or a bare repository."""
    bare = (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()
    return bare or (path / ".git").exists()
