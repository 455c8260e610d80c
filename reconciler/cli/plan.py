"""`reconciler plan`: what a sync would change now, object by object and container by container.

It reads the source and the daemon's store, and touches neither.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rich.console import Console
from rich.text import Text

from reconciler.cli.fit import fit
from reconciler.cli.place import NoSource, Place, finder, followed, given, objects_of, reading
from reconciler.cli.planlines import Lines
from reconciler.cli.planpulls import lacking
from reconciler.cli.planview import Warnings, as_json, as_text, errors_as_json
from reconciler.cli.reading import NoStore, open_world
from reconciler.core.clock import SystemClock
from reconciler.desired.objects import DesiredObject
from reconciler.model.gitops import RevisionError, SourceSpec
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.node import Node
from reconciler.settings import Settings
from reconciler.sync.allocation import ServiceRanges
from reconciler.sync.bounds import out_of_bounds
from reconciler.sync.care import hold_reason, plan_hash
from reconciler.sync.data import data_effects
from reconciler.sync.hooks import marked
from reconciler.sync.identity import source_of
from reconciler.sync.outcome import predict
from reconciler.sync.plan import Situation, plan
from reconciler.sync.report import describe, problem_errors, refusal_errors
from reconciler.sync.waves import order_of, order_refusals
from reconciler.sync.workloads import pod_effects

DONE, FAILED, CHANGES, INVALID = 0, 1, 2, 3


def run_plan(
    settings: Settings, console: Console, *, output: str = "text", uncommitted: bool = False
) -> int:
    """Print the plan; return 0 when it is empty, 2 when not, 3 when the source is invalid.

    `output` is "text" or "json"; `uncommitted` plans the files of a work tree as they are. Raises
    `NoSource`, `Unreadable`, `StoreUnavailable`.
    """
    live, nodes, place = _live(settings)
    place = replace(place, uncommitted=uncommitted)
    return asyncio.run(_print_plan(settings, live, nodes, place, console, output))


async def _print_plan(
    settings: Settings,
    live: Mapping[ObjectKey, KubeObject],
    nodes: Sequence[Node],
    place: Place,
    console: Console,
    output: str,
) -> int:
    async with reading(place, settings) as read:
        desired = read.desired
        if desired.problems:
            _refuse(console, problem_errors(desired.problems), output)
            return INVALID
        situation = _situation(settings, place, marked(desired.objects), live)
        objects, planned = situation.desired, plan(situation)
        lines = Lines(read.asked, objects)
        refusals = (
            *out_of_bounds(settings.source_name, objects.values(), place.bounds, finder(live)),
            *order_refusals(objects, order_of(objects)),
            *planned.refusals,
        )
        if refusals:
            _refuse(console, refusal_errors(map(lines.placed, refusals)), output)
            return INVALID
        effects = pod_effects(planned, situation)
        warnings = Warnings(
            held=hold_reason(planned, situation, settings.prune_threshold),
            data=data_effects(planned, situation),
            fit=fit(effects, objects, live.values(), nodes),
            digest=plan_hash(planned, situation),
            pulls=lacking(planned, situation, nodes),
        )
        if output == "json":
            console.out(as_json(planned, effects, lines, warnings), highlight=False)
        else:
            text = as_text(planned, effects, len(objects), lines, warnings)
            console.print(text, soft_wrap=True)
    return CHANGES if planned.actions else DONE


def _situation(
    settings: Settings,
    place: Place,
    objects: Mapping[ObjectKey, DesiredObject],
    live: Mapping[ObjectKey, KubeObject],
) -> Situation:
    return Situation(
        settings.source_name,
        objects,
        live,
        [key for key, obj in live.items() if source_of(obj) == settings.source_name],
        predict,
        now=SystemClock().now(),
        keep=settings.prune_keep_seconds,
        prunes=place.spec.prune is not False,
        ranges=ServiceRanges.of(
            settings.service_cidr,
            (settings.node_port_min, settings.node_port_max),
            settings.cluster_dns,
        ),
    )


def _refuse(console: Console, errors: Sequence[RevisionError], output: str) -> None:
    """Print why there is no plan, as people or as programs read it."""
    if output == "json":
        console.out(errors_as_json(errors), highlight=False)
        return
    for error in errors:
        console.print(Text(describe(error), "red"), soft_wrap=True)


def _live(
    settings: Settings,
) -> tuple[Mapping[ObjectKey, KubeObject], Sequence[Node], Place]:
    """Return the live objects and nodes, none without a store, and the place to read."""
    asked = given(settings)
    try:
        with open_world(settings) as world:
            live, nodes = objects_of(world), world.all(Node)
    except NoStore as error:
        if not asked.location:
            raise NoSource(f"{error}; name the source with --source") from error
        return {}, (), Place(asked, settings.access)
    try:
        known = followed(live, settings.source_name, settings)
    except NoSource:
        if not asked.location:
            raise
        return live, nodes, Place(asked, settings.access)
    return live, nodes, replace(known, spec=_asked_for(asked, known.spec))


def _asked_for(asked: SourceSpec, known: SourceSpec) -> SourceSpec:
    """Return the known source, at the place or version that the settings ask for instead."""
    if asked.location:
        where = {"url": asked.url, "path": "", "sub_path": asked.sub_path}
    elif asked.branch or asked.tag or asked.commit or asked.semver:
        where = {}
    else:
        return known
    version = {name: getattr(asked, name) for name in ("branch", "tag", "commit", "semver")}
    return known.replace(**where, **version)
