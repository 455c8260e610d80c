"""How endpoints of equal ports are put into slices with few writes. Pure.

Kubernetes' reconcileByPortMapping: what is there stays where it is; what is new goes first into
slices that are written anyway, then into the one slice that it fills best, then into new ones.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from reconciler.controllers.slices import Change, Dress, identity
from reconciler.model.endpointslice import Endpoint, EndpointSlice

Wanted = Mapping[tuple[str, ...], Endpoint]
"""Endpoints by `identity`."""


@dataclass(frozen=True, slots=True)
class Form:
    """What slices look like: how many endpoints they hold at most, and what they wear.

    `empty` makes a new slice.
    """

    capacity: int
    dress: Dress
    empty: Callable[[], EndpointSlice]


def fill(slices: Sequence[EndpointSlice], wanted: Wanted, form: Form) -> Change:
    """Return how `slices`, all of the same ports, come to hold exactly `wanted`."""
    left = dict(wanted)
    change = Change()
    whole: list[EndpointSlice] = []
    for obj in slices:
        kept = _kept(obj.endpoints, left)
        if not kept:
            change.deleted.append(obj)
        elif kept == obj.endpoints and form.dress.fits(obj.metadata):
            whole.append(obj)
        else:
            metadata = form.dress.on(obj.metadata)
            change.updated.append(obj.replace(metadata=metadata, endpoints=kept))
    waiting = [left[key] for key in sorted(left)]
    _top_up(change.updated, waiting, form.capacity)
    _place(change, waiting, whole, form)
    return change


def _kept(
    endpoints: Iterable[Endpoint], left: dict[tuple[str, ...], Endpoint]
) -> tuple[Endpoint, ...]:
    """Return those endpoints that are wanted, as they are wanted, and take them from `left`."""
    found = (left.pop(identity(endpoint), None) for endpoint in endpoints)
    return tuple(endpoint for endpoint in found if endpoint is not None)


def _top_up(written: list[EndpointSlice], waiting: list[Endpoint], capacity: int) -> None:
    """Fill slices that are written anyway, the fullest first."""
    order = sorted(range(len(written)), key=lambda n: -len(written[n].endpoints))
    for number in order:
        room = capacity - len(written[number].endpoints)
        if room > 0 and waiting:
            written[number] = _with(written[number], waiting[:room])
            del waiting[:room]


def _place(change: Change, waiting: list[Endpoint], whole: list[EndpointSlice], form: Form) -> None:
    while waiting:
        best = _best(whole, len(waiting), form.capacity)
        if best is not None:
            whole.remove(best)
            change.updated.append(_with(best, waiting))
            return
        change.created.append(_with(form.empty(), waiting[: form.capacity]))
        del waiting[: form.capacity]


def _best(slices: Iterable[EndpointSlice], count: int, capacity: int) -> EndpointSlice | None:
    """Return the slice that `count` more endpoints fill best (getSliceToFill)."""
    roomy = (obj for obj in slices if len(obj.endpoints) + count <= capacity)
    return max(roomy, key=lambda obj: len(obj.endpoints), default=None)


def _with(obj: EndpointSlice, more: Iterable[Endpoint]) -> EndpointSlice:
    return obj.replace(endpoints=(*obj.endpoints, *more))
