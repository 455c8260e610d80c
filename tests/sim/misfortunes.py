"""The kinds of misfortune: data, and the names under which they are counted.

`draw.py` draws of them, `coverage.py` counts those that were met.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import TypeVar

from tests.sim.history import Arm, Commit, Hand, Kill, What

_First = TypeVar("_First")
_Second = TypeVar("_Second")

CALLS = (
    "docker.create", "docker.create", "docker.start", "docker.start", "docker.remove",
    "docker.signal", "docker.list", "docker.inspect", "docker.image", "docker.exec",
    "network.attach", "network.detach", "network.links",
)  # fmt: skip
EFFECTS = ("refuse", "lost", "lost", "hang", "crash-before", "crash-after", "crash-half")
KINDS = (
    "Pod", "Pod", "ReplicationController", "Node", "Service", "Endpoints", "EndpointSlice",
    "ConfigMap", "Secret", "Namespace", "Source.gitops.reconciler.dev",
)  # fmt: skip
OTHERS = (
    ("store.write", "crash-before"), ("store.write", "crash-after"), ("store.write", "full"),
    ("store.write", "device-before"), ("store.write", "device-after"),
    ("kernel.apply", "refuse"), ("kernel.apply", "crash-before"), ("kernel.apply", "crash-after"),
    ("kernel.replace", "refuse"), ("git.fetch", "fail"), ("git.blob", "fail"),
    ("event.die", "lose"), ("event.die", "late"), ("event.die", "twice"), ("event.start", "lose"),
    ("api.update", "lost"), ("api.delete", "lost"), ("api.*", "refuse"), ("api.*", "late"),
)  # fmt: skip
WATCHES = ("cut", "cut", "late", "late", "lose", "twice")
LISTS = ("refuse", "late")
DEATHS = ("die", "kill", "remove", "unheard", "vanish")
HANDS = (
    "delete-pod", "scale", "edit-config", "delete-service", "delete-controller", "make-config",
    "label-pod", "edit-image", "flush-rules", "delete-endpoints", "delete-waiting", "make-service",
    "hold-config", "hold-controller", "undelete",
)  # fmt: skip


def _paired(
    firsts: Sequence[_First], seconds: Sequence[_Second]
) -> tuple[tuple[_First, _Second], ...]:
    """Return every pair once; of so many in a row as there are of either, each has another."""
    turns = range(len(seconds))
    return tuple(
        (first, seconds[(at + turn) % len(seconds)])
        for turn, (at, first) in product(turns, enumerate(firsts))
    )


def _once(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))


_VIEWS = (
    *(("list.{}", effect) for effect in LISTS),
    *((point, effect) for effect in _once(WATCHES) for point in ("watch.{}.*", "watch.{}.DELETED")),
)

AT_CALLS = _paired(_once(CALLS), _once(EFFECTS))
UNSEEN = tuple(
    (view.format(kind), effect) for kind, (view, effect) in _paired(_once(KINDS), _VIEWS)
)
RESEAL = ("store.reseal", "crash")
"""Points and effects of faults: of a call to the engine, of what a client is shown, of the store
while it is encrypted anew."""


def names(what: What) -> Iterator[str]:
    """Yield the names of the kinds that a step of a history is of; of a good commit none."""
    match what:
        case Arm(fault):
            yield f"{fault.point} {fault.effect}"
        case Kill(how=word) | Hand(what=word):
            yield f"{type(what).__name__} {word}"
        case Commit(tree, rewrite):
            bad = {"Commit broken": tree.broken, "Commit rewrite": rewrite}
            yield from (name for name, is_so in bad.items() if is_so)
            yield from (f"Commit {app.fault}" for app in tree.apps if app.fault)
        case _:
            yield type(what).__name__


EVERY = frozenset((
    *(f"{point} {effect}" for point, effect in (*AT_CALLS, *UNSEEN, *OTHERS, RESEAL)),
    *(f"Kill {how}" for how in DEATHS),
    *(f"Hand {word}" for word in HANDS),
    *(f"Commit {what}" for what in ("broken", "rewrite", "missing", "crash", "unready")),
    "Crash", "Stop", "Reboot", "EngineAway", "NetAway", "NewKey", "GitAway", "DiskFull",
    "ClockJump",
))  # fmt: skip
"""The name of every kind there is."""
