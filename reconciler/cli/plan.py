"""`reconciler plan`: what a sync would change now, object by object and container by container.

It reads the source and the daemon's store, and touches neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.text import Text

from reconciler.cli.fit import misfits
from reconciler.cli.planview import Warnings, as_json, as_text
from reconciler.cli.reading import NoStore, World, open_world
from reconciler.core.clock import SystemClock
from reconciler.core.errors import ReconcilerError
from reconciler.desired.age import AgeKeys
from reconciler.desired.load import Loader
from reconciler.desired.objects import Desired
from reconciler.model.gitops import Source
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.node import Node
from reconciler.settings import Settings
from reconciler.source.place import open_source
from reconciler.source.snapshot import Snapshot, SourceProblem
from reconciler.sync.care import hold_reason, plan_hash
from reconciler.sync.data import data_effects
from reconciler.sync.hooks import marked
from reconciler.sync.identity import source_of
from reconciler.sync.live import followed_kinds
from reconciler.sync.outcome import predict
from reconciler.sync.plan import Situation, plan
from reconciler.sync.report import describe, refusal_errors
from reconciler.sync.waves import order_of, order_refusals
from reconciler.sync.workloads import pod_effects

DONE, FAILED, CHANGES, INVALID = 0, 1, 2, 3


class NoSource(ReconcilerError):
    """Neither the settings nor a daemon's store name a source."""


class Unreadable(ReconcilerError):
    """The source cannot be read."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where to read: as `Settings` has it, or as the daemon follows it."""

    location: str
    branch: str
    sub_path: str
    tag: str = ""
    commit: str = ""
    semver: str = ""


def run_plan(settings: Settings, console: Console, *, output: str = "text") -> int:
    """Print the plan; return 0 when it is empty, 2 when not, 3 when the source is invalid.

    `output` is "text" or "json". Raises `NoSource`, `Unreadable`, `StoreUnavailable`.
    """
    live, nodes, place = _live(settings)
    desired = asyncio.run(read_source(place, settings))
    if desired.problems:
        for problem in desired.problems:
            console.print(Text(str(problem), "red"), soft_wrap=True)
        return INVALID
    owned = [key for key, obj in live.items() if source_of(obj) == settings.source_name]
    objects = marked(desired.objects)
    situation = Situation(
        settings.source_name, objects, live, owned, predict, now=SystemClock().now()
    )
    planned = plan(situation)
    refusals = (*order_refusals(objects, order_of(objects)), *planned.refusals)
    if refusals:
        for error in refusal_errors(refusals):
            console.print(Text(describe(error), "red"), soft_wrap=True)
        return INVALID
    effects = pod_effects(planned, situation)
    warnings = Warnings(
        held=hold_reason(planned, situation, settings.prune_threshold),
        data=data_effects(planned, situation),
        misfits=misfits(effects, objects, live.values(), nodes),
        digest=plan_hash(planned),
    )
    if output == "json":
        console.out(as_json(planned, effects, warnings), highlight=False)
    else:
        console.print(as_text(planned, effects, len(desired.objects), warnings), soft_wrap=True)
    return CHANGES if planned.actions else DONE


def _live(
    settings: Settings,
) -> tuple[Mapping[ObjectKey, KubeObject], Sequence[Node], Place]:
    """Return the live objects and nodes, none without a store, and the place to read."""
    given = Place(
        settings.source or "", settings.branch or "", settings.path,
        settings.tag or "", settings.commit or "", settings.semver or "",
    )  # fmt: skip
    try:
        with open_world(settings) as world:
            place = given
            if not given.location:
                place = followed(world, settings.source_name)
                named = given.branch or given.tag or given.commit or given.semver
                if named:
                    place = replace(given, location=place.location, sub_path=place.sub_path)
            return _objects(world), world.all(Node), place
    except NoStore as error:
        if not given.location:
            raise NoSource(f"{error}; name the source with --source") from error
        return {}, (), given


def _objects(world: World) -> dict[ObjectKey, KubeObject]:
    return {obj.key: obj for model in followed_kinds() for obj in world.all(model)}


def followed(world: World, name: str) -> Place:
    """Return the place that the daemon follows as the source `name`; raises `NoSource`."""
    for source in world.all(Source):
        if source.metadata.name == name:
            spec = source.spec
            location = spec.url or spec.path
            return Place(location, spec.branch, spec.sub_path, spec.tag, spec.commit, spec.semver)
    raise NoSource(f"no source {name!r} is known; name it with --source")


async def read_source(place: Place, settings: Settings) -> Desired:
    """Read the source once, with a mirror of its own where it needs one."""
    with TemporaryDirectory(prefix="reconciler-plan-") as scratch:
        source = open_source(
            place.location,
            clock=SystemClock(),
            state_dir=Path(scratch),
            branch=place.branch,
            sub_path=place.sub_path,
            tag=place.tag,
            commit=place.commit,
            semver=place.semver,
            access=settings.access,
        )
        try:
            async with aclosing(source.snapshots()) as snapshots:  # type: ignore[type-var]
                seen: Snapshot | SourceProblem = await anext(snapshots)
            if isinstance(seen, SourceProblem):
                raise Unreadable(f"{seen.reason}: {seen.message}")
            return await asyncio.to_thread(Loader(keys=AgeKeys(settings.age_key_file)).load, seen)
        finally:
            await source.close()
