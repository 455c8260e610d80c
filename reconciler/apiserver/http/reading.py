"""get and list. Called by `api.py`; raises `StatusError`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.admission.errors import go_quote
from reconciler.admission.rules import names
from reconciler.apiserver.http import fields, pages, query, view
from reconciler.apiserver.http.fields import FieldMatcher
from reconciler.apiserver.http.pages import Snapshot
from reconciler.apiserver.http.query import ListOptions
from reconciler.apiserver.http.view import View
from reconciler.apiserver.registry.errors import bad_request
from reconciler.apiserver.registry.registry import Registry
from reconciler.model import selector
from reconciler.model.kinds import Resource
from reconciler.model.meta import ListMeta
from reconciler.model.selector import Selector, SelectorError
from reconciler.store.protocol import Record

_TURN_SECONDS = 0.005
_INCLUDES = ("", "None", "Metadata", "Object")


@dataclass(frozen=True, slots=True)
class Chooser:
    """Which objects of a kind are asked for."""

    labels: Selector
    fields: FieldMatcher | None

    @property
    def takes_all(self) -> bool:
        """Whether no object need be looked at."""
        return not self.labels.requirements and self.fields is None

    def matches(self, item: View) -> bool:
        """Say whether an object is asked for."""
        obj = item.obj
        if not self.labels.matches(obj.metadata.labels):
            return False
        return self.fields is None or self.fields.matches(obj)


def chooser(resource: Resource, labels: str, field_text: str) -> Chooser:
    """Return what two selectors ask for; raises `StatusError`."""
    try:
        chosen = selector.parse(labels)
    except SelectorError as error:
        raise bad_request(str(error)) from error
    _check_labels(chosen)
    return Chooser(chosen, fields.parse(resource, field_text))


def _check_labels(chosen: Selector) -> None:
    """Refuse keys and values that no label has; a value of a comparison is a number."""
    for each in chosen.requirements:
        wrong = [(each.key, text) for text in names.qualified_name(each.key)]
        wrong += [(value, text) for value in each.values for text in names.label_value(value)]
        if wrong:
            value, text = wrong[0]
            raise bad_request(
                f"unable to parse requirement: <nil>: Invalid value: {go_quote(value)}: {text}"
            )


def check_include(text: str) -> str:
    """Return a table's `includeObject`; raises `StatusError`."""
    if text not in _INCLUDES:
        raise bad_request(
            "Unable to convert to Table as requested: includeObject: Invalid value:"
            f" {go_quote(text)}: must be 'Metadata', 'Object', 'None', or empty"
        )
    return text


@dataclass(frozen=True, slots=True)
class Page:
    """Some objects, or all, and the metadata of their list."""

    items: Sequence[View]
    meta: ListMeta


class Reader:
    """Reads of one kind."""

    def __init__(self, registry: Registry, resource: Resource, namespace: str) -> None:
        self._registry = registry
        self._resource = resource
        self._namespace = namespace

    def one(self, name: str, version: str) -> View:
        """Return one object. Reads are always of the newest state, so any past version will do."""
        wanted = query.revision(version)
        if wanted > self._registry.revision:
            raise query.future(wanted, self._registry.revision)
        model = self._resource.model
        return self._view(self._registry.record(model, name, self._namespace))

    async def page(self, options: ListOptions, *, rows: bool = False) -> Page:
        """Return one page of a list, or all of it; `rows` says that it becomes rows of a table."""
        choose = chooser(self._resource, options.labels, options.fields)
        snapshot = self._snapshot(options)
        told = ListMeta(resource_version=str(snapshot.revision))
        limit = pages.limit_of_rows(options.limit, snapshot) if rows else options.limit
        if choose.takes_all:
            return self._whole(snapshot, limit, told)
        return await self._filtered(snapshot, limit, told, choose)

    def _whole(self, snapshot: Snapshot, limit: int, told: ListMeta) -> Page:
        records = snapshot.records
        items = view.Stored(self._registry, self._resource.model, records)
        if not 0 < limit < len(records):
            return Page(items, told)
        token = pages.token_after(snapshot, records[limit - 1])
        more = told.replace(continue_=token, remaining_item_count=len(records) - limit)
        return Page(items[:limit], more)

    async def _filtered(
        self, snapshot: Snapshot, limit: int, told: ListMeta, choose: Chooser
    ) -> Page:
        """Choose, and let others have their turn: a selector may be as long as a URL."""
        found: list[View] = []
        last: Record | None = None
        clock = asyncio.get_running_loop().time
        turn = clock() + _TURN_SECONDS
        for record in snapshot.records:
            if clock() > turn:
                await asyncio.sleep(0)
                turn = clock() + _TURN_SECONDS
            item = self._view(record)
            if not choose.matches(item):
                continue
            if last is not None and len(found) == limit:
                return Page(found, told.replace(continue_=pages.token_after(snapshot, last)))
            found.append(item)
            last = record
        return Page(found, told)

    def _snapshot(self, options: ListOptions) -> Snapshot:
        model = self._resource.model
        wanted = query.revision(options.version) if not options.token else 0
        if options.token:
            if options.version not in ("", "0"):
                raise bad_request("specifying resource version is not allowed when using continue")
            token = pages.parse(options.token)
            return pages.continued(self._registry, model, self._namespace, token)
        if wanted > self._registry.revision:
            raise query.future(wanted, self._registry.revision)
        legacy_exact = options.limit and wanted and not options.match
        if options.match == "Exact" or legacy_exact:
            return pages.exact(self._registry, model, self._namespace, wanted)
        return pages.newest(self._registry, model, self._namespace)

    def _view(self, record: Record) -> View:
        return view.of_record(self._registry, self._resource.model, record)
