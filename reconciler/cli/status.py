"""`reconciler status`: the sources, the newest revision, each workload, and why it is not ready."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from reconciler.cli.naming import named
from reconciler.cli.reading import World, open_world
from reconciler.model.gitops import Revision, Source
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.model.retirement import REMOVE_AT, UNDELETED, is_retired
from reconciler.settings import Settings
from reconciler.sync.health import (
    State,
    health,
    is_ready,
    waiting_reasons,
    wanted_replicas,
)
from reconciler.sync.identity import source_of
from reconciler.sync.live import followed_kinds
from reconciler.sync.report import describe

_SHORT = 12
_WATCH_SECONDS = 0.25
_ERRORS = 10
_STYLES = {
    "Healthy": "green",
    "Failed": "red",
    "Rejected": "red",
    "RolledBack": "red",
    "Unreachable": "red",
}


@dataclass(frozen=True, slots=True)
class Workload:
    """One line: a ReplicationController, or a pod that none controls.

    `reasons` say why it is not ready, the nearest cause first; empty when it is.
    """

    key: ObjectKey
    ready: int
    wanted: int
    state: str
    reasons: tuple[str, ...]


def run_status(settings: Settings, console: Console, *, watch: bool = False, name: str = "") -> int:
    """Print the state of everything, with `watch` again and again until interrupted; return 0.

    With `name`, of that source alone; raises `SourceUnclear`.
    """
    with open_world(settings) as world:
        if watch:
            _watch(world, console, name)
        else:
            console.print(render(world, name))
    return 0


def _watch(world: World, console: Console, name: str) -> None:
    shown = world.revision
    with Live(render(world, name), console=console, auto_refresh=False) as live:
        live.refresh()
        try:
            while True:
                time.sleep(_WATCH_SECONDS)
                world.refresh()
                if world.revision != shown:
                    shown = world.revision
                    live.update(render(world, name), refresh=True)
        except KeyboardInterrupt:
            return


def render(world: World, name: str = "") -> RenderableType:
    """Return the whole page; with `name` what belongs to that source. Raises `SourceUnclear`."""
    sources = named(world.all(Source), name)
    if not sources:
        return Text("no source: the daemon has not started to follow one")
    revisions = world.all(Revision)
    parts: list[RenderableType] = []
    for source in sources:
        parts += _source(source, [r for r in revisions if r.spec.source == source.metadata.name])
    found = workloads(world.all(ReplicationController), world.all(Pod), name)
    found += ailing(_others(world), name)
    parts.append(_table(found) if found else Text("no workload"))
    return Group(*parts)


def workloads(
    controllers: Iterable[ReplicationController], pods: Sequence[Pod], source: str = ""
) -> list[Workload]:
    """Return every workload with its health, ordered by namespace, kind and name.

    With `source`, those alone that it declares.
    """
    owned: dict[str, list[Pod]] = {}
    lines = []
    for pod in pods:
        owner = next((o.uid for o in pod.metadata.owner_references if o.controller), "")
        owned.setdefault(owner, []).append(pod)
    lines += [
        _of_controller(each, owned.get(each.metadata.uid, []))
        for each in controllers
        if not source or source_of(each) == source
    ]
    lines += [_of_pod(pod) for pod in owned.get("", []) if not source or source_of(pod) == source]
    return sorted(lines, key=lambda line: (line.key.namespace, line.key.kind, line.key.name))


def ailing(objects: Iterable[KubeObject], source: str = "") -> list[Workload]:
    """Return what of a source is no workload and is ill, or rests, or was brought back."""
    lines = []
    for obj in objects:
        owner = source_of(obj)
        if not owner or (source and owner != source):
            continue
        found = health(obj)
        if is_retired(obj):
            lines.append(_retired(obj, 0, 0))
        elif UNDELETED in obj.metadata.annotations:
            lines.append(Workload(obj.key, 0, 0, "Kept", _kept(obj)))
        elif found.state is not State.HEALTHY:
            lines.append(Workload(obj.key, 0, 0, found.state, (found.reason,)))
    return sorted(lines, key=lambda line: (line.key.namespace, line.key.kind, line.key.name))


def _others(world: World) -> Iterator[KubeObject]:
    for model in followed_kinds():
        if model not in (ReplicationController, Pod):
            yield from world.all(model)


def _of_controller(controller: ReplicationController, pods: Sequence[Pod]) -> Workload:
    if is_retired(controller):
        return _retired(controller, controller.status.ready_replicas, wanted_replicas(controller))
    found = health(controller)
    reasons = [*_kept(controller), *([found.reason] if found.reason else [])]
    for pod in pods:
        if not is_ready(pod):
            gone = ("is being deleted",) if pod.metadata.deletion_timestamp else ()
            reasons += [f"{pod.metadata.name}: {r}" for r in gone or waiting_reasons(pod)]
    wanted = wanted_replicas(controller)
    ready = controller.status.ready_replicas
    return Workload(controller.key, ready, wanted, found.state, tuple(dict.fromkeys(reasons)))


def _kept(obj: KubeObject) -> tuple[str, ...]:
    """Return why an object that a person brought back is there, () for any other."""
    when = obj.metadata.annotations.get(UNDELETED)
    return (f"no source declares it; brought back by hand at {when}",) if when else ()


def _retired(obj: KubeObject, ready: int, wanted: int) -> Workload:
    until = obj.metadata.annotations[REMOVE_AT]
    why = f"no longer declared, is removed at {until}; `reconciler undelete` brings it back"
    return Workload(obj.key, ready, wanted, "Retired", (why,))


def _of_pod(pod: Pod) -> Workload:
    if is_retired(pod):
        return _retired(pod, int(is_ready(pod)), 1)
    found = health(pod)
    reasons = (*_kept(pod), *((found.reason,) if found.reason else ()))
    return Workload(pod.key, int(is_ready(pod)), 1, found.state, reasons)


def _source(source: Source, revisions: Sequence[Revision]) -> list[RenderableType]:
    status, spec = source.status, source.spec
    place = " ".join(
        part
        for part in (
            spec.url or spec.path,
            spec.branch,
            spec.tag,
            spec.commit,
            spec.semver,
            spec.sub_path,
        )
        if part
    )
    head = Text.assemble(
        ("source ", "bold"), source.metadata.name, f"  {place}  ",
        (status.phase or "Waiting", _STYLES.get(status.phase, "yellow")),
    )  # fmt: skip
    parts: list[RenderableType] = [head]
    if status.message:
        parts.append(Text(f"  {status.message}"))
    parts += [
        Text(f"  conflict: {each.message}", "red")
        for each in status.conditions
        if each.type == "Conflict" and each.status == "True"
    ]
    newest = max(revisions, key=lambda r: r.spec.sequence, default=None)
    if newest is not None:
        parts += _revision(newest, status.applied_revision)
    return parts


def _revision(revision: Revision, applied: str) -> list[RenderableType]:
    spec, status = revision.spec, revision.status
    title = spec.message.partition("\n")[0]
    parts: list[RenderableType] = [
        Text.assemble(
            ("revision ", "bold"), f"{spec.revision[:_SHORT]} #{spec.sequence}  ",
            (status.phase or "Fetched", _STYLES.get(status.phase, "yellow")),
            f"  {spec.author}  {title}",
        )
    ]  # fmt: skip
    parts += [Text(f"  {describe(error)}", "red") for error in status.errors[:_ERRORS]]
    if applied and applied != spec.revision:
        parts.append(Text(f"  what runs is {applied[:_SHORT]}"))
    return parts


def _table(lines: Iterable[Workload]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("NAMESPACE", "WORKLOAD", "READY", "HEALTH", "WHY"):
        table.add_column(name, overflow="fold")
    for line in lines:
        table.add_row(
            line.key.namespace,
            Text(f"{line.key.kind}/{line.key.name}"),
            f"{line.ready}/{line.wanted}" if line.wanted else "",
            Text(line.state, _STYLES.get(line.state, "yellow")),
            Text("\n".join(line.reasons)),
        )
    return table
