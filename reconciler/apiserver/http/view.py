"""Objects on their way out: what was stored, in the form that the client wants.

Used by the verbs. The plain JSON of a stored object is sent as it lies in the store, without
decoding; a Table or PartialObjectMetadata needs the typed object, which is decoded then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, Protocol, overload

import orjson

from reconciler.apiserver.http import gotext
from reconciler.apiserver.http.accept import Wanted
from reconciler.apiserver.http.columns import Columns, columns_of
from reconciler.apiserver.http.message import JSON
from reconciler.apiserver.registry.registry import Registry
from reconciler.core.clock import Clock
from reconciler.model import gitops
from reconciler.model.kinds import Resource
from reconciler.model.meta import KubeObject, ListMeta, ObjectMeta
from reconciler.store.protocol import Record

YAML = "application/yaml"
_UNTOLD = {"managed_fields"}
_ROWS_A_TURN = 500


class View:
    """One object: its encoded form, and the typed one made when asked for."""

    __slots__ = ("_decode", "_obj", "raw")

    def __init__(
        self, raw: bytes, obj: KubeObject | None = None, decode: Callable[[], Any] | None = None
    ) -> None:
        self.raw = raw
        self._obj = obj
        self._decode = decode

    @property
    def obj(self) -> Any:
        """The typed object."""
        if self._obj is None and self._decode is not None:
            self._obj = self._decode()
        return self._obj


def of_record(registry: Registry, model: type[KubeObject], record: Record) -> View:
    """Return a stored object."""
    return View(record.value, decode=lambda: registry.decode(model, record))


class Stored(Sequence[View]):
    """The views of stored objects, each made when it is asked for: plain JSON needs none."""

    def __init__(
        self, registry: Registry, model: type[KubeObject], records: Sequence[Record]
    ) -> None:
        self._registry = registry
        self._model = model
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> View: ...
    @overload
    def __getitem__(self, index: slice) -> Stored: ...
    def __getitem__(self, index: int | slice) -> View | Stored:
        if isinstance(index, slice):
            return Stored(self._registry, self._model, self._records[index])
        return of_record(self._registry, self._model, self._records[index])

    @property
    def raw(self) -> list[bytes]:
        """The encoded form of all of them."""
        return [record.value for record in self._records]


def _raw(views: Sequence[View]) -> list[bytes]:
    return views.raw if isinstance(views, Stored) else [view.raw for view in views]


def of_object(obj: KubeObject) -> View:
    """Return an object that a write returned."""
    return View(obj.to_json(), obj)


class Form(Protocol):
    """How objects are written. `first` of an event says that it is the first of its watch."""

    def one(self, view: View) -> bytes:
        """Return one object."""
        ...

    def many(self, views: Sequence[View], meta: ListMeta) -> bytes:
        """Return a list."""
        ...

    def event(self, view: View, *, first: bool) -> bytes:
        """Return the object of a watch event."""
        ...


class ObjectForm:
    """Objects as they are. Items of a list of a built-in kind have no kind of their own."""

    def __init__(self, resource: Resource) -> None:
        self._kind = resource.kind
        self._version = resource.api_version
        lead = f'{{"apiVersion":"{resource.api_version}","kind":"{resource.kind}",'
        # Ours are what custom resources are in Kubernetes: there the items keep their kind.
        self._lead = b"" if resource.group == gitops.GROUP else lead.encode()

    def one(self, view: View) -> bytes:
        """Return the stored bytes."""
        return view.raw

    def many(self, views: Sequence[View], meta: ListMeta) -> bytes:
        """Join the stored bytes."""
        cut, raw = len(self._lead), _raw(views)
        start = b"{" if cut and raw else b""
        items = start + (b"," + start).join([each[cut:] for each in raw])
        head = f'{{"kind":"{self._kind}List","apiVersion":"{self._version}","metadata":'
        return b"".join((head.encode(), meta.to_json(), b',"items":[', items, b"]}"))

    def event(self, view: View, *, first: bool) -> bytes:  # noqa: ARG002 - tables alone ask
        """Return the stored bytes."""
        return view.raw


class MetadataForm:
    """PartialObjectMetadata and its list."""

    def __init__(self, version: str) -> None:
        self._version = f"meta.k8s.io/{version}"
        head = f'{{"kind":"PartialObjectMetadata","apiVersion":"{self._version}","metadata":'
        self._head = head.encode()

    def one(self, view: View) -> bytes:
        """Return the metadata alone."""
        metadata: ObjectMeta = view.obj.metadata
        return self._head + metadata.to_json() + b"}"

    def of_row(self, view: View) -> bytes:
        """Return the metadata that goes with a table's row: without who manages which fields.

        kube-apiserver sends that, too; but nothing that prints rows asks for it, and it is most
        of what a client has to read: without it, kubectl lists pods in a third of the time.
        """
        metadata: ObjectMeta = view.obj.metadata
        return self._head + metadata.to_json(exclude=_UNTOLD) + b"}"

    def many(self, views: Sequence[View], meta: ListMeta) -> bytes:
        """Return a list of metadata."""
        head = f'{{"kind":"PartialObjectMetadataList","apiVersion":"{self._version}","metadata":'
        items = b",".join([self.one(view) for view in views])
        return b"".join((head.encode(), meta.to_json(), b',"items":[', items, b"]}"))

    def event(self, view: View, *, first: bool) -> bytes:  # noqa: ARG002 - tables alone ask
        """Return the metadata alone."""
        return self.one(view)


class TableForm:
    """Rows of cells, as `kubectl get` prints them. `include` says what of the object goes along."""

    def __init__(self, columns: Columns, version: str, include: str, clock: Clock) -> None:
        self._columns = columns
        self._version = version
        self._include = include or "Metadata"
        self._clock = clock
        self._metadata = MetadataForm(version)

    def one(self, view: View) -> bytes:
        """Return a table of one row."""
        version = view.obj.metadata.resource_version
        return self.many((view,), ListMeta(resource_version=version))

    def many(self, views: Sequence[View], meta: ListMeta) -> bytes:
        """Return a table."""
        return self.table([self.rows(views)], meta, self._columns.definitions)

    async def many_by_turns(self, views: Sequence[View], meta: ListMeta) -> bytes:
        """Return a table as `many` does; whoever else waits has a turn after some rows."""
        pieces = [self.rows(views[:_ROWS_A_TURN])]
        for start in range(_ROWS_A_TURN, len(views), _ROWS_A_TURN):
            await asyncio.sleep(0)
            pieces.append(self.rows(views[start : start + _ROWS_A_TURN]))
        return self.table(pieces, meta, self._columns.definitions)

    def event(self, view: View, *, first: bool) -> bytes:
        """Return a table of one row; only the first of a watch tells its columns."""
        meta = ListMeta(resource_version=view.obj.metadata.resource_version)
        columns = self._columns.definitions if first else None
        return self.table([self.rows((view,))], meta, columns)

    def rows(self, views: Sequence[View]) -> bytes:
        """Return the rows of some objects, as they stand between the brackets of a table."""
        now = self._clock.now()
        return orjson.dumps([self._row(view, now) for view in views])[1:-1]

    def table(
        self, rows: Sequence[bytes], meta: ListMeta, columns: Sequence[dict[str, Any]] | None
    ) -> bytes:
        """Return the table of what `rows` made."""
        head = f'{{"kind":"Table","apiVersion":"meta.k8s.io/{self._version}","metadata":'
        told = b"".join((head.encode(), meta.to_json(), b',"columnDefinitions":'))
        told += orjson.dumps(columns) + b',"rows":'
        if self._columns.plain and not any(rows):
            return told + b"null}"
        return b"".join((told, b"[", b",".join(rows), b"]}"))

    def _row(self, view: View, now: datetime) -> dict[str, Any]:
        row = self._columns.cells(view.obj, now)
        match self._include:
            case "None":
                row["object"] = None
            case "Object":
                row["object"] = orjson.Fragment(view.raw)
            case _:
                row["object"] = orjson.Fragment(self._metadata.of_row(view))
        return row


async def listed(form: Form, views: Sequence[View], meta: ListMeta) -> bytes:
    """Return a list of any length in `form`: it keeps nobody else waiting for long."""
    if isinstance(form, TableForm):
        return await form.many_by_turns(views, meta)
    return form.many(views, meta)


def form_of(resource: Resource, wanted: Wanted, include: str, clock: Clock) -> Form:
    """Return how to write objects of `resource` for a client that wants `wanted`."""
    match wanted.form:
        case "table":
            return TableForm(columns_of(resource), wanted.version, include, clock)
        case "metadata" | "metadata-list":
            return MetadataForm(wanted.version)
        case "object":
            return ObjectForm(resource)


def finish(body: bytes, *, yaml: bool, pretty: bool) -> tuple[bytes, str]:
    """Return a JSON body and its type as the client wants it."""
    if yaml:
        return gotext.yaml(orjson.loads(body)), YAML
    if pretty:
        return orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2), JSON
    return body, JSON


def bookmark(resource: Resource, revision: int, *, initial_end: bool) -> View:
    """Return the object of a BOOKMARK event: nothing but its resourceVersion.

    `initial_end` marks the one that ends the objects which were there at a watch's start.
    """
    annotations = {"k8s.io/initial-events-end": "true"} if initial_end else {}
    meta = ObjectMeta(resource_version=str(revision), annotations=annotations)
    return of_object(resource.model(metadata=meta))
