"""From a source's name to the adapter that watches it. Called by the composition root."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.core.clock import Clock
from reconciler.model.gitops import SourceSpec
from reconciler.model.time import parse_duration
from reconciler.source.access import Access
from reconciler.source.address import Address, AddressError, check_sub_path, is_remote
from reconciler.source.listing import Past
from reconciler.source.snapshot import Source


@dataclass(frozen=True, slots=True)
class Opening:
    """What a source is opened with that its spec does not say.

    `interval` is for a spec that names none, in seconds; `executor` runs Git, by default one thread
    of its own; `name` is the source's, for a mirror of its own; `last_revision` was taken from it
    before a restart; `past` is a directory's memory of itself.
    """

    clock: Clock
    state_dir: Path
    interval: float = 10.0
    access: Access = field(default_factory=Access)
    name: str = ""
    last_revision: str = ""
    executor: Executor | None = None
    past: Past | None = None


def open_source(spec: SourceSpec, opening: Opening) -> Source:
    """Return the source of a spec: a Git URL, a local Git repository, or a plain directory.

    A local path is a repository if it holds `.git` or is a bare one; a directory inside a work
    tree is a plain directory, watched as it is on disk. Raises `AddressError`.
    """
    location = spec.location
    versioned = spec.branch or spec.tag or spec.commit or spec.semver
    if is_remote(location) or "://" in location or is_repository(Path(location)) or versioned:
        return _git(spec, opening)
    return open_directory(spec, opening)


def open_directory(spec: SourceSpec, opening: Opening) -> Source:
    """Return the source of a directory as it is on disk, be it a work tree or not."""
    location = spec.location
    if location.startswith("-"):
        raise AddressError(f"source {location!r}: a path may not start with a hyphen; use ./")
    from reconciler.source.directory import DirectorySource  # noqa: PLC0415 - its watch library

    return DirectorySource(
        Path(location),
        clock=opening.clock,
        sub_path=check_sub_path(spec.sub_path),
        past=opening.past,
    )


def _git(spec: SourceSpec, opening: Opening) -> Source:
    from reconciler.source.branch import GitOptions, GitSource  # noqa: PLC0415 - GitPython is heavy

    return GitSource(
        Address(spec.location, spec.branch, spec.sub_path, spec.tag, spec.commit, spec.semver),
        clock=opening.clock,
        state_dir=opening.state_dir,
        options=GitOptions(
            interval=parse_duration(spec.interval) or opening.interval,
            access=opening.access,
            name=opening.name,
            submodules=spec.submodules,
        ),
        last_revision=opening.last_revision,
        executor=opening.executor,
    )


def is_repository(path: Path) -> bool:
    """Return whether `path` is the root of a Git work tree or a bare repository."""
    bare = (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir()
    return bare or (path / ".git").exists()
