"""Pages of a list are one list as of its first page, whatever is written meanwhile."""

import asyncio
import contextlib
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.apiserver.http import pages
from reconciler.apiserver.http.status import PageExpired
from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.registry import Registry
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.model.config import ConfigMap
from reconciler.store.memory import MemoryStore

WRITES = st.lists(
    st.tuples(st.sampled_from(("put", "delete")), st.sampled_from("abcdef")), max_size=12
)


async def write(registry: Registry, kind: str, name: str) -> None:
    meta = {"name": name, "namespace": "default"}
    try:
        if kind == "delete":
            await registry.delete(ConfigMap, name, "default")
        else:
            await registry.create(ConfigMap.model_validate({"metadata": meta}))
    except StatusError as error:
        if error.reason == "AlreadyExists":
            changed = registry.get(ConfigMap, name, "default")
            data = {"n": str(registry.revision)}
            await registry.update(changed.replace(data=data))


async def fresh() -> tuple[Registry, MemoryStore]:
    store = MemoryStore()
    registry = Registry(store, SystemClock(), Ids(Random(1)))
    await registry.start()
    return registry, store


@given(WRITES, WRITES)
def test_a_snapshot_is_what_was_there(
    before: list[tuple[str, str]], after: list[tuple[str, str]]
) -> None:
    async def check() -> None:
        registry, _ = await fresh()
        for kind, name in before:
            await write(registry, kind, name)
        then = [record.value for record in registry.records(ConfigMap, "default")]
        revision = registry.revision
        for kind, name in after:
            await write(registry, kind, name)
        snapshot = pages.at(registry, ConfigMap, "default", revision)
        assert [record.value for record in snapshot.records] == then

    asyncio.run(check())


async def test_what_the_history_has_lost_is_told_with_a_token_to_go_on() -> None:
    registry, store = await fresh()
    for name in "abc":
        await write(registry, "put", name)
    first = pages.newest(registry, ConfigMap, "default")
    token = pages.parse(pages.token_after(first, first.records[0]))
    await write(registry, "put", "aa")
    store.compact()
    with pytest.raises(PageExpired) as told:
        pages.continued(registry, ConfigMap, "default", token)
    rest = pages.continued(registry, ConfigMap, "default", pages.parse(told.value.token))
    assert [record.key.name for record in rest.records] == ["aa", "b", "c"]


@given(st.text(max_size=40))
def test_any_text_is_a_token_or_refused(text: str) -> None:
    with contextlib.suppress(StatusError):
        assert str(pages.parse(text))
