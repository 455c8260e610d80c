"""The columns of each kind's Table, and its rows.

Called by `view.py`. The definitions are Kubernetes' own and lie in `tables/columns.json`; a kind
that is not in there has name and age, as a custom resource without columns has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from reconciler.apiserver.http.tables import gitops, kinds, pods, rbac
from reconciler.model.kinds import Resource

Row = dict[str, Any]
"""A TableRow without its object."""

Cells = Callable[[Any, datetime], Row]


@dataclass(frozen=True, slots=True)
class Columns:
    """A kind's TableColumnDefinitions, and how an object becomes a row at a point in time.

    `plain` marks a kind for which Kubernetes has no columns of its own: an empty table's rows are
    null there.
    """

    definitions: tuple[dict[str, Any], ...]
    cells: Cells
    plain: bool = False


_PLAIN = ("clusterroles", "limitranges", "roles")
_CELLS: dict[str, Cells] = {
    "pods": pods.row,
    "imagepulls": gitops.image_pull,
    "sources": gitops.source,
    "revisions": gitops.revision,
    **kinds.ROWS,
    **rbac.ROWS,
}


@cache
def columns_of(resource: Resource) -> Columns:
    """Return the columns of a kind."""
    definitions = _definitions()
    known = definitions.get(resource.plural) or gitops.DEFINITIONS.get(resource.plural)
    cells = _CELLS.get(resource.qualified) or _CELLS.get(resource.plural)
    if known is None or cells is None:
        name, *_, age = definitions["namespaces"]
        return Columns((name, age), kinds.name_and_age)
    plain = resource.plural in _PLAIN
    return Columns(tuple(known), cells, plain)


@cache
def columns_of_scale() -> Columns:
    """Return the columns of a Scale, whose rows are made of its controller."""
    name, *_, age = _definitions()["namespaces"]
    number = {"type": "integer", "format": "", "priority": 0}
    desired = {
        "name": "Desired",
        **number,
        "description": "replicas is the desired number of instances for the scaled object.",
    }
    available = {
        "name": "Available",
        **number,
        "description": "replicas is the actual number of observed instances of the scaled object.",
    }
    return Columns(({**name, "format": ""}, desired, available, age), kinds.scale)


@cache
def _definitions() -> dict[str, list[dict[str, Any]]]:
    text = files("reconciler.apiserver.http.tables").joinpath("columns.json").read_bytes()
    known: dict[str, list[dict[str, Any]]] = orjson.loads(text)
    return known
