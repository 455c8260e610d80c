"""Where a command reads a source, as the daemon follows it or the settings name it.

Called by `plan` and `explain`. It reads the daemon's store and the source, and touches neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from reconciler.cli.reading import World
from reconciler.core.clock import SystemClock
from reconciler.core.errors import ReconcilerError
from reconciler.desired.age import AgeKeys
from reconciler.desired.asked import Asked
from reconciler.desired.load import Loader
from reconciler.desired.objects import Desired
from reconciler.desired.variables import Variables
from reconciler.model.gitops import Source, SourceSpec
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.settings import Settings
from reconciler.source.access import Access
from reconciler.source.place import Opening, open_directory, open_source
from reconciler.source.snapshot import Snapshot, SourceProblem
from reconciler.source.snapshot import Source as FileSource
from reconciler.sync.bounds import Bounds, Find, bounds_of
from reconciler.sync.inputs import variables_of, with_secrets
from reconciler.sync.live import followed_kinds, source_key


class NoSource(ReconcilerError):
    """Neither the settings nor a daemon's store name a source."""


class Unreadable(ReconcilerError):
    """The source cannot be read."""


@dataclass(frozen=True, slots=True)
class Place:
    """A source to read: what its object says, what lets one in, and what it may write.

    `uncommitted`: as the files of its work tree are, instead of what is committed.
    """

    spec: SourceSpec
    access: Access
    variables: Variables | None = None
    bounds: Bounds = None
    uncommitted: bool = False


def objects_of(world: World) -> dict[ObjectKey, KubeObject]:
    """Return all live objects of the kinds that a source may declare."""
    return {obj.key: obj for model in followed_kinds() for obj in world.all(model)}


def given(settings: Settings) -> SourceSpec:
    """Return the source that the settings describe; its URL may be empty."""
    return SourceSpec(
        url=settings.source or "",
        branch=settings.branch or "",
        tag=settings.tag or "",
        commit=settings.commit or "",
        semver=settings.semver or "",
        sub_path=settings.path,
    )


def finder(live: Mapping[ObjectKey, KubeObject]) -> Find:
    """Return a function from a source's name to its object."""

    def find(name: str) -> Source | None:
        found = live.get(source_key(name))
        return found if isinstance(found, Source) else None

    return find


def followed(live: Mapping[ObjectKey, KubeObject], name: str, settings: Settings) -> Place:
    """Return the place that the daemon follows as the source `name`; raises `NoSource`."""
    find = finder(live)
    source = find(name)
    if source is None:
        raise NoSource(f"no source {name!r} is known; name it with --source")
    return Place(
        source.spec,
        _access(name, source.spec, live, settings),
        variables_of(source.spec, live),
        bounds_of(source, find),
    )


def at(place: Place, commit: str) -> Place:
    """Return the same source as it was at a commit."""
    spec = place.spec.replace(branch="", tag="", semver="", commit=commit)
    return replace(place, spec=spec)


def _access(
    name: str, spec: SourceSpec, live: Mapping[ObjectKey, KubeObject], settings: Settings
) -> Access:
    named = settings.named_sources.get(name)
    access = named.access if named is not None else settings.access
    return with_secrets(access, spec, live, settings.run_dir)


def _work_tree(spec: SourceSpec, opening: Opening) -> FileSource:
    if not Path(spec.location).is_dir():
        raise Unreadable(f"only a folder on this host has uncommitted files, not {spec.location}")
    return open_directory(spec, opening)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a source declares now, and where in its files each field is asked for."""

    desired: Desired
    asked: Asked


@asynccontextmanager
async def reading(place: Place, settings: Settings) -> AsyncIterator[Reading]:
    """Read the source once, with a mirror of its own where it needs one. Raises `Unreadable`.

    Its bytes are at hand until the context ends.
    """
    spec = place.spec
    with TemporaryDirectory(prefix="reconciler-plan-") as scratch:
        opening = Opening(SystemClock(), Path(scratch), access=place.access)
        source = _work_tree(spec, opening) if place.uncommitted else open_source(spec, opening)
        loader = Loader(namespace=spec.home, keys=AgeKeys(settings.age_key_file))
        try:
            async with aclosing(source.snapshots()) as snapshots:  # type: ignore[type-var]
                seen: Snapshot | SourceProblem = await anext(snapshots)
            if isinstance(seen, SourceProblem):
                raise Unreadable(f"{seen.reason}: {seen.message}")
            desired = await asyncio.to_thread(loader.load, seen, place.variables)
            yield Reading(desired, Asked(partial(loader.text, seen.revision)))
        finally:
            await source.close()
