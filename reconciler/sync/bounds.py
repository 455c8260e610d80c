"""What a source may write: namespaces, and further sources that may write no more. Pure.

Called by the loop for each valid revision before it is planned, and by `sources.py`. A source with
bounds may declare objects of its namespaces, those Namespaces themselves, and Sources within them;
whoever may write everything may declare everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from reconciler.desired.objects import DesiredObject
from reconciler.model import kinds
from reconciler.model.gitops import Source
from reconciler.model.meta import ObjectKey
from reconciler.source.address import is_remote
from reconciler.sync.actions import Origin
from reconciler.sync.identity import source_of
from reconciler.sync.refusal import Refusal

ORIGIN_ANNOTATION = "reconciler.dev/origin"
"""On a Source that the settings name: `settings`."""

_SOURCE = kinds.of(Source).key_kind

Bounds = frozenset[str] | None
"""The namespaces that a source may write to; None is all, and all that has no namespace."""

Find = Callable[[str], Source | None]
"""Returns the Source object of a name, None when there is none."""


def bounds_of(source: Source, find: Find) -> Bounds:
    """Return what `source` may write: what it says, and no more than those that declare it."""
    bounds: Bounds = None
    for each in lineage(source, find):
        own = frozenset(each.spec.namespaces)
        if own or source_of(each):
            bounds = own if bounds is None else bounds & own
    return bounds


def lineage(source: Source, find: Find) -> Iterator[Source]:
    """Yield the source, the one that declares it, and so on up; each once."""
    seen: set[str] = set()
    at: Source | None = source
    while at is not None and at.metadata.name not in seen:
        seen.add(at.metadata.name)
        yield at
        declarer = source_of(at)
        at = find(declarer) if declarer else None


def out_of_bounds(
    source: str, declared: Iterable[DesiredObject], bounds: Bounds, find: Find
) -> tuple[Refusal, ...]:
    """Return why `source` may not declare some of `declared`, in the order of files and lines."""
    wrong: list[Refusal] = []
    for each in declared:
        # By the key first: what an earlier run read is decoded only when its object is asked for.
        if each.key.kind == _SOURCE and isinstance(each.obj, Source):
            wrong += _refused(each, _source_faults(source, each.obj, bounds, find))
        elif bounds is not None and not _inside(each.key, bounds):
            where = "metadata.namespace" if each.key.namespace else "kind"
            wrong.append(_refusal(each, where, _beyond(source, each.key, bounds)))
    return tuple(sorted(wrong, key=lambda refusal: (refusal.origin or Origin("", 0), refusal.path)))


def _inside(key: ObjectKey, bounds: frozenset[str]) -> bool:
    if key.kind == "Namespace":
        return key.name in bounds
    return bool(key.namespace) and key.namespace in bounds


def _beyond(source: str, key: ObjectKey, bounds: frozenset[str]) -> str:
    what = f"namespace {key.namespace}" if key.namespace else f"{key.kind} {key.name}"
    return f'source "{source}" may not write to {what}: it may write to {_listed(bounds)} alone'


def _source_faults(
    declarer: str, declared: Source, bounds: Bounds, find: Find
) -> Iterator[tuple[str, str]]:
    """Yield (field, why) for each fault of a Source that the source `declarer` declares."""
    name, spec = declared.metadata.name, declared.spec
    me = find(declarer)
    if me is not None and name in {each.metadata.name for each in lineage(me, find)}:
        yield "metadata.name", f'source "{name}" is where this source comes from, or itself'
    known = find(name)
    if known is not None and known.metadata.annotations.get(ORIGIN_ANNOTATION):
        yield "metadata.name", f'source "{name}" is one of the daemon\'s settings'
    elif known is not None and not source_of(known) and bounds is not None:
        yield (
            "metadata.name",
            f'source "{name}" was made by hand and is not this source\'s to change',
        )
    if not spec.namespaces:
        detail = "Required value: name the namespaces that the source may write to"
        yield "spec.namespaces", detail
    if bounds is None:
        return
    for index, namespace in enumerate(spec.namespaces):
        if namespace not in bounds:
            yield (
                f"spec.namespaces[{index}]",
                (
                    f'source "{declarer}" may write to {_listed(bounds)} alone, and may not let '
                    f"another write to {namespace}"
                ),
            )
    location = spec.location
    if not is_remote(location) or location.lower().startswith("file:"):
        yield (
            "spec.url" if spec.url else "spec.path",
            (
                f'source "{declarer}" has bounds and may not name a place of the host: expected '
                "https://, ssh:// or git://"
            ),
        )


def _refused(each: DesiredObject, faults: Iterable[tuple[str, str]]) -> list[Refusal]:
    return [_refusal(each, path, message) for path, message in faults]


def _refusal(each: DesiredObject, path: str, message: str) -> Refusal:
    return Refusal(each.key, Origin(each.path, each.line), path, message)


def _listed(bounds: frozenset[str]) -> str:
    names = sorted(bounds)
    return f"namespace{'s' if len(names) != 1 else ''} {', '.join(names) or '(none)'}"
