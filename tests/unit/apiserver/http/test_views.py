"""Stored objects on their way out: a list of plain JSON decodes none of them."""

from __future__ import annotations

import json
from random import Random

import pytest

from reconciler.apiserver.http import view
from reconciler.apiserver.http.view import ObjectForm, Stored
from reconciler.apiserver.registry.registry import Registry
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.model import kinds
from reconciler.model.config import ConfigMap
from reconciler.model.meta import ListMeta
from reconciler.store.memory import MemoryStore


async def stored(*names: str) -> Stored:
    registry = Registry(MemoryStore(), SystemClock(), Ids(Random(1)))
    await registry.start()
    for name in names:
        meta = {"name": name, "namespace": "default"}
        await registry.create(ConfigMap.model_validate({"metadata": meta}))
    return Stored(registry, ConfigMap, registry.records(ConfigMap, "default"))


@pytest.mark.parametrize("names", [(), ("a",), ("a", "b", "c")])
async def test_a_list_holds_the_stored_bytes_without_the_kind_of_each(
    names: tuple[str, ...],
) -> None:
    found = await stored(*names)
    form = ObjectForm(kinds.of(ConfigMap))
    told = json.loads(form.many(found, ListMeta(resource_version="7")))
    assert (told["kind"], told["metadata"]) == ("ConfigMapList", {"resourceVersion": "7"})
    assert [item["metadata"]["name"] for item in told["items"]] == list(names)
    assert not any("kind" in item for item in told["items"])
    one_by_one = [view.of_object(each.obj) for each in found]
    assert json.loads(form.many(one_by_one, ListMeta(resource_version="7"))) == told


async def test_views_of_stored_objects_are_a_sequence() -> None:
    found = await stored("a", "b", "c")
    assert len(found) == 3
    assert found[1].obj.metadata.name == "b"
    assert [each.obj.metadata.name for each in found[1:]] == ["b", "c"]
    assert found[:2].raw == found.raw[:2]
