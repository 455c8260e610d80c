"""Parts that many stored objects have word for word, decoded once. Used by `codec.py` alone.

A start decodes every stored object, and what Git declares by the thousand is much alike: who owns
which fields, the pods of controllers, and what their status says. Such a part is cut out of the
text, looked up, and put into the decoded rest, so that equal parts are also one object in memory.
The places are found by marks that only this program's own wire form has: within a JSON string each
quote is escaped, so a mark is structure, and `_owned_fields`, `_pod_spec` and `_status` say why it
is the structure they mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import orjson

from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod, PodTemplate
from reconciler.model.replication import ReplicationController

_PARTS = 256
_NESTED = (Pod, PodTemplate)  # their own parts have metadata, and with it marks, too
_TEMPLATE = b'"template":{"metadata":'


class Part(NamedTuple):
    """Where a member `,"name":{...}` stands in a text, and where its value begins and ends."""

    member: int
    value: int
    end: int
    attribute: str
    holder: Callable[[Any], dict[str, Any]]
    """Returns the fields of what has the member, for a decoded object."""


class Repeated:
    """The parts of the last objects that were decoded."""

    def __init__(self) -> None:
        self._known: dict[str, dict[bytes, Any]] = {}

    def decode(self, model: type[KubeObject], text: bytes) -> KubeObject:
        """Return the object of a stored text."""
        rest: list[bytes] = []
        known, fresh, at = [], [], 0
        for part in _parts(model, text):
            value = text[part.value : part.end]
            found = self._known.get(part.attribute, _NOTHING).get(value)
            if found is None:
                fresh.append((part, value))
            else:
                known.append((part, found))
                rest.append(text[at : part.member])
                at = part.end
        rest.append(text[at:])
        obj: KubeObject = model.__pydantic_validator__.validate_json(b"".join(rest))
        for part, found in known:
            part.holder(obj)[part.attribute] = found  # nobody else has seen the object yet
        for part, value in fresh:
            self._learn(part, value, part.holder(obj)[part.attribute])
        return obj

    def _learn(self, part: Part, value: bytes, decoded: Any) -> None:
        """Remember a part; a text that is a JSON value by itself is the whole of the member."""
        try:
            orjson.loads(value)
        except orjson.JSONDecodeError:
            return
        known = self._known.setdefault(part.attribute, {})
        if len(known) >= _PARTS:
            known.clear()
        known[value] = decoded


_NOTHING: dict[bytes, Any] = {}


def _owner(obj: Any) -> dict[str, Any]:
    held: dict[str, Any] = obj.metadata.managed_fields[0].__dict__
    return held


def _template(obj: Any) -> dict[str, Any]:
    held: dict[str, Any] = obj.spec.template.__dict__
    return held


def _itself(obj: Any) -> dict[str, Any]:
    held: dict[str, Any] = obj.__dict__
    return held


def _parts(model: type[KubeObject], text: bytes) -> list[Part]:
    """Return the parts in the order in which they stand."""
    owned = None if model in _NESTED else _owned_fields(model, text)
    found = [owned] if owned is not None else []
    if model is ReplicationController:
        pod = _pod_spec(text, owned.end if owned is not None else 0)
        if pod is not None:
            found += (pod, _status(text, pod.end))
    return found


def _owned_fields(model: type[KubeObject], text: bytes) -> Part | None:
    """Return the fields of the one owner, where there is but one.

    The first managedFields are those of the object's own metadata, which hold nothing before them
    but maps of strings, unless it has none, or none with fields, and a template does.
    """
    start = text.find(b',"managedFields":[{')
    member = text.find(b',"fieldsV1":{', start)
    end = text.find(b'}]},"', member)
    if start < 0 or member < 0 or end < 0:
        return None
    if model is ReplicationController and text.find(_TEMPLATE, 0, member) >= 0:
        return None
    if text.find(b"},{", start, member) >= 0:  # it may be the second owner that has fields
        return None
    value = member + len(b',"fieldsV1":')
    return Part(member, value, end, "fields_v1", _owner)


def _pod_spec(text: bytes, after: int) -> Part | None:
    """Return the spec of a controller's pods; `after` is behind the object's metadata.

    Before it the template has metadata, in which only managedFields could hold such a mark; behind
    it three levels close, and the status begins.
    """
    template = text.find(_TEMPLATE, after)
    member = text.find(b',"spec":{', template)
    end = text.rfind(b'}}},"status":{')
    if template < 0 or not template < member < end:
        return None
    if text.find(b'"managedFields"', template, member) >= 0:
        return None
    return Part(member, member + len(b',"spec":'), end + 1, "spec", _template)


def _status(text: bytes, after: int) -> Part:
    """Return the status of a controller, the last member; `after` is behind its pods' spec.

    There two levels close, of the template and of the spec.
    """
    member = after + len(b"}}")
    return Part(member, member + len(b',"status":'), len(text) - len(b"}"), "status", _itself)
