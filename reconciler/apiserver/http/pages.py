"""Lists in pages, each of them as of the first page's revision.

Called by reads. Pure but for reading the registry: what changed since is undone from the history.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter

import orjson

from reconciler.apiserver.http.status import PageExpired
from reconciler.apiserver.registry.errors import StatusError, bad_request
from reconciler.apiserver.registry.registry import Registry
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.store.protocol import Change, Compacted, Record

_VERSION = "meta.k8s.io/v1"
_NEWEST = -1
_PRINTERS_LIMIT, _MOST_ROWS = 500, 20_000
_key = attrgetter("key")  # of one kind: ordered by (namespace, name)

Place = tuple[str, str]
"""(namespace, name)"""


@dataclass(frozen=True, slots=True)
class Token:
    """Where the next page starts: after `after`, at `revision` (-1: whatever is there then)."""

    revision: int
    after: Place

    def __str__(self) -> str:
        fields = {"v": _VERSION, "rv": self.revision, "start": "/".join(self.after) + "\0"}
        return base64.urlsafe_b64encode(orjson.dumps(fields)).decode().rstrip("=")


def parse(text: str) -> Token:
    """Return the token of a `continue` parameter; raises `StatusError`."""
    try:
        fields = orjson.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        namespace, _, name = fields["start"].rstrip("\0").partition("/")
        token = Token(int(fields["rv"]), (namespace, name))
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError) as error:
        raise bad_request(f"invalid continue token: continue key is not valid: {error}") from error
    if fields.get("v") != _VERSION:
        given = fields.get("v")
        raise bad_request(
            f'invalid continue token: server does not recognize this encoded version "{given}"'
        )
    return token


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The records of a kind at one revision, ordered by (namespace, name)."""

    revision: int
    records: Sequence[Record]


def newest(registry: Registry, model: type[KubeObject], namespace: str) -> Snapshot:
    """Return what is there now."""
    return Snapshot(registry.revision, registry.records(model, namespace))


def at(registry: Registry, model: type[KubeObject], namespace: str, revision: int) -> Snapshot:
    """Return what was there at `revision`; raises the store's `Compacted`."""
    feed = registry.feed(model, namespace, since=revision)
    then: dict[ObjectKey, Record | None] = {
        event.record.key: None if event.change is Change.ADDED else event.previous
        for event in reversed(feed.read())
    }
    records = registry.records(model, namespace)
    if not then:
        return Snapshot(revision, records)
    unchanged = [record for record in records if record.key not in then]
    undone = [record for record in then.values() if record is not None]
    return Snapshot(revision, sorted(unchanged + undone, key=_key))


def continued(
    registry: Registry, model: type[KubeObject], namespace: str, token: Token
) -> Snapshot:
    """Return what is left of a list after the pages before; raises `StatusError`."""
    if token.revision == _NEWEST:
        snapshot = newest(registry, model, namespace)
    else:
        try:
            snapshot = at(registry, model, namespace, token.revision)
        except Compacted as error:
            raise PageExpired(str(Token(_NEWEST, token.after))) from error
    first = bisect_right(snapshot.records, token.after, key=_place)
    return Snapshot(snapshot.revision, snapshot.records[first:])


def exact(registry: Registry, model: type[KubeObject], namespace: str, revision: int) -> Snapshot:
    """Return what was there at a revision that a client names; raises `StatusError`."""
    try:
        return at(registry, model, namespace, revision)
    except Compacted as error:
        text = "The resourceVersion for the provided list is too old."
        raise StatusError(410, "Expired", text) from error


def limit_of_rows(limit: int, snapshot: Snapshot) -> int:
    """Return the limit to keep for rows of a table, 0 for none.

    Who prints rows asks for 500 at a time, and wants all of them; but kubectl holds itself back to
    five requests a second after the first ten, so that 10,000 rows would take it two seconds of
    waiting. ListOptions.limit lets a server leave a limit out and return all that there is, and
    rows are small: that many are sent at once.
    """
    small = len(snapshot.records) <= _MOST_ROWS
    return 0 if limit >= _PRINTERS_LIMIT and small else limit


def _place(record: Record) -> Place:
    key: ObjectKey = record.key
    return key.namespace, key.name


def token_after(snapshot: Snapshot, record: Record) -> str:
    """Return the token of the page after the one that ends with `record`."""
    return str(Token(snapshot.revision, _place(record)))
