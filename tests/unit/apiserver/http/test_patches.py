"""The patch types as functions on JSON values."""

import copy
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.apiserver.http.patches import strategic
from reconciler.apiserver.http.patches.merge import merge
from reconciler.core import jsonpatch
from reconciler.core.jsonpatch import Inapplicable
from reconciler.model import schema
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import Pod, PodSpec

Json = Any
NAMES = st.text("abc", min_size=1, max_size=2)
SCALARS = st.none() | st.booleans() | st.integers(-5, 5) | st.text("xy", max_size=2)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3)
)
OBJECTS = st.dictionaries(NAMES, VALUES, max_size=4)


def without_nulls(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: without_nulls(each) for key, each in value.items() if each is not None}
    return value


@given(OBJECTS, OBJECTS)
def test_merge_twice_is_merge_once_and_changes_nothing_given(value: Json, patch: Json) -> None:
    before = copy.deepcopy((value, patch))
    once = merge(value, patch)
    assert merge(once, patch) == once
    assert (value, patch) == before


@given(OBJECTS)
def test_merge_into_nothing_leaves_what_is_no_null(patch: Json) -> None:
    assert merge({}, patch) == without_nulls(patch)


@given(OBJECTS, NAMES, VALUES)
def test_json_patch_adds_what_it_then_finds_and_removes(value: Json, name: str, new: Json) -> None:
    added = jsonpatch.apply(value, [{"op": "add", "path": f"/{name}", "value": new}])
    assert added == {**value, name: new}
    tested = {"op": "test", "path": f"/{name}", "value": new}
    removed = jsonpatch.apply(added, [tested, {"op": "remove", "path": f"/{name}"}])
    assert removed == {key: each for key, each in value.items() if key != name}


@given(st.lists(st.integers(), min_size=1, max_size=5), st.integers(0, 5), st.integers())
def test_json_patch_inserts_into_lists(items: list[int], at: int, new: int) -> None:
    operation = {"op": "add", "path": f"/l/{at}", "value": new}
    if at > len(items):
        with pytest.raises(Inapplicable):
            jsonpatch.apply({"l": items}, [operation])
    else:
        assert jsonpatch.apply({"l": items}, [operation])["l"] == [*items[:at], new, *items[at:]]


def test_json_patch_may_be_applied_again() -> None:
    operations = [
        {"op": "add", "path": "/a", "value": []},
        {"op": "add", "path": "/a/-", "value": "x"},
        {"op": "replace", "path": "/b", "value": {}},
        {"op": "add", "path": "/b/c", "value": "y"},
    ]
    for _ in range(2):
        assert jsonpatch.apply({"b": 1}, operations) == {"a": ["x"], "b": {"c": "y"}}


@given(OBJECTS, st.lists(OBJECTS | VALUES, max_size=3))
def test_json_patch_never_crashes(value: Json, operations: list[Json]) -> None:
    try:
        jsonpatch.apply(value, operations)
    except Inapplicable:
        return


CONTAINERS = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("abcd")}, optional={"image": st.sampled_from("xyz")}
    ),
    max_size=4,
    unique_by=lambda container: container["name"],
)
PLACE = schema.of(Pod)


def pod(containers: list[Json]) -> Json:
    return {"spec": {"containers": containers}}


@given(CONTAINERS, CONTAINERS)
def test_strategic_merges_lists_by_key(live: list[Json], change: list[Json]) -> None:
    patched = strategic.patch(pod(live), pod(change), PLACE)["spec"]["containers"]
    found = {each["name"]: each for each in patched}
    assert len(found) == len(patched)
    before = {each["name"]: each for each in live}
    after = {each["name"]: each for each in change}
    assert found == {
        name: {**before.get(name, {}), **after.get(name, {})} for name in before | after
    }
    kept = [name for name in before if name not in after]
    assert [each["name"] for each in patched if each["name"] in kept] == kept
    again = strategic.patch(pod(patched), pod(change), PLACE)["spec"]["containers"]
    assert again == patched


@given(CONTAINERS, st.sampled_from("abcd"))
def test_strategic_deletes_by_key(live: list[Json], name: str) -> None:
    change = pod([{"$patch": "delete", "name": name}])
    left = strategic.patch(pod(live), change, PLACE)["spec"]["containers"]
    assert left == [each for each in live if each["name"] != name]


@pytest.mark.parametrize("odd", [{}, [], [{}], None, 1.5])
def test_strategic_leaves_odd_keys_and_items_to_the_decoder(odd: Json) -> None:
    place = schema.of(Pod)
    live = {"spec": {"containers": [{"name": "c"}]}, "metadata": {"finalizers": ["f"]}}
    change = {"spec": {"containers": [{"name": odd}]}, "metadata": {"finalizers": [odd, "g"]}}
    merged = strategic.patch(live, change, place)
    assert {"name": odd} in merged["spec"]["containers"] or odd is None
    assert odd in merged["metadata"]["finalizers"]


def test_strategic_needs_the_key() -> None:
    with pytest.raises(strategic.BadPatch, match="does not contain declared merge key: name"):
        strategic.patch(pod([]), pod([{"image": "x"}]), PLACE)


def test_strategic_takes_no_longer_for_each_of_many_items() -> None:
    many = 20_000
    present = {
        "containers": [{"name": f"c{n}", "image": "x"} for n in range(many)],
        "finalizers": [f"a/{n}" for n in range(many)],
    }
    change = {
        "containers": [
            *({"name": f"c{n}", "image": "y"} for n in range(many)),
            {"name": "c7", "$patch": "delete"},
            {"name": "new", "image": "z"},
        ],
    }
    place = schema.of(PodSpec)
    start = time.process_time()
    merged = strategic.patch(present, change, place)["containers"]
    assert [each["name"] for each in merged[:8]] == [f"c{n}" for n in (*range(7), 8)]
    assert merged[-1] == {"name": "new", "image": "z"}
    assert {each["image"] for each in merged[:-1]} == {"y"}
    meta = schema.of(ObjectMeta)
    added = {"finalizers": [f"a/{n}" for n in range(many + 1)]}
    assert len(strategic.patch(present, added, meta)["finalizers"]) == many + 1
    gone = {"$deleteFromPrimitiveList/finalizers": [f"a/{n}" for n in range(1, many)]}
    assert strategic.patch(present, gone, meta)["finalizers"] == ["a/0"]
    assert time.process_time() - start < 10


@pytest.mark.parametrize("gone", [5, "a", None, {"a": "b"}])
def test_strategic_deletes_a_list_of_items_alone(gone: Any) -> None:
    change = {"$deleteFromPrimitiveList/finalizers": gone}
    with pytest.raises(strategic.BadPatch, match="invalid patch format of primitive list"):
        strategic.patch({"finalizers": ["a"]}, change, schema.of(ObjectMeta))
