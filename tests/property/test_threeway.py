"""`kubectl apply` on the client: what it sends keeps what others wrote, and takes back its own.

The client makes its patch of three objects: what it applied last, what is there, and what it
applies now. The patch is made here as kubectl makes it, so that the server's half is held against
the rule of all three: a field of the new manifest has its value, one that left the manifest is
gone, and everything else stays as somebody else wrote it.
"""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.apiserver.http.patches import strategic
from reconciler.apiserver.http.patches.merge import merge
from reconciler.model import schema
from reconciler.model.pod import Pod

Json = dict[str, Any]

KEYS = {"containers": "name", "env": "name", "volumes": "name"}
SETS = ("finalizers",)

NAMES = st.sampled_from("abcd")
WORDS = st.sampled_from(("x", "y", "z"))
LABELS = st.dictionaries(NAMES, WORDS, max_size=4)


def _named(items: st.SearchStrategy[Json]) -> st.SearchStrategy[list[Json]]:
    return st.lists(items, max_size=4, unique_by=lambda item: item["name"])


ENV = _named(st.fixed_dictionaries({"name": NAMES, "value": WORDS}))
CONTAINERS = _named(
    st.fixed_dictionaries(
        {"name": NAMES, "image": WORDS}, optional={"env": ENV, "workingDir": WORDS}
    )
)
VOLUMES = _named(st.fixed_dictionaries({"name": NAMES}, optional={"hostPath": LABELS}))
PODS = st.fixed_dictionaries(
    {
        "metadata": st.fixed_dictionaries(
            {}, optional={"labels": LABELS, "finalizers": st.lists(NAMES, max_size=4, unique=True)}
        ),
        "spec": st.fixed_dictionaries(
            {}, optional={"containers": CONTAINERS, "volumes": VOLUMES, "nodeName": WORDS}
        ),
    }
)


def _diff(last: Json, live: Json, new: Json) -> Json:
    """Return the members of a strategic merge patch."""
    patch: Json = {name: None for name in last if name not in new}
    for name, value in new.items():
        before, there = last.get(name), live.get(name)
        if isinstance(value, dict):
            inner = _diff(before or {}, there or {}, value)
            if inner or there is None:
                patch[name] = inner
        elif name in KEYS:
            patch |= _diff_list(name, before or [], there or [], value)
        elif name in SETS:
            patch |= _diff_set(name, before or [], there or [], value)
        elif there != value:
            patch[name] = value
    return patch


def _diff_list(name: str, last: list[Json], live: list[Json], new: list[Json]) -> Json:
    key = KEYS[name]
    before, there = ({item[key]: item for item in items} for items in (last, live))
    wanted = {item[key] for item in new}
    items: list[Json] = []
    for item in new:
        change = _diff(before.get(item[key], {}), there.get(item[key], {}), item)
        if change or item[key] not in there:
            items.append({**change, key: item[key]})
    items += [{"$patch": "delete", key: gone} for gone in before if gone not in wanted]
    if not items and [item[key] for item in live if item[key] in wanted] == [
        item[key] for item in new
    ]:
        return {}
    order = [{key: item[key]} for item in new]
    return {f"$setElementOrder/{name}": order, **({name: items} if items else {})}


def _diff_set(name: str, last: list[str], live: list[str], new: list[str]) -> Json:
    gone = [item for item in last if item not in new]
    added = [item for item in new if item not in live]
    if not gone and not added:
        return {}
    patch: Json = {f"$setElementOrder/{name}": new}
    if gone:
        patch[f"$deleteFromPrimitiveList/{name}"] = gone
    if added:
        patch[name] = added
    return patch


def _merged(name: str, last: Any, live: Any, new: Any) -> Any:
    """Return what three states of a field come to, lists with their items in any order."""
    if isinstance(new, dict):
        last, live = last or {}, live or {}
        kept = {each: value for each, value in live.items() if each in new or each not in last}
        return kept | {
            each: _merged(each, last.get(each), live.get(each), value)
            for each, value in new.items()
        }
    if name in KEYS:
        states = ({item[KEYS[name]]: item for item in items or []} for items in (last, live, new))
        return list(_merged("", *states).values())
    if name in SETS:
        gone = set(last or []) - set(new)
        return (set(live or []) - gone) | set(new)
    return new


def _unordered(name: str, value: Any) -> Any:
    """Return a value in which the order of lists with keys, and emptiness, make no difference."""
    if isinstance(value, dict):
        members = {each: _unordered(each, member) for each, member in value.items()}
        return {each: member for each, member in members.items() if member not in ({}, [], set())}
    if name in KEYS:
        items = [_unordered("", item) for item in value]
        return sorted(items, key=lambda item: str(item[KEYS[name]]))
    return set(value) if name in SETS else value


@given(PODS, PODS, PODS)
@settings(max_examples=400, deadline=None)
def test_an_apply_keeps_what_others_wrote_and_takes_back_its_own(
    last: Json, live: Json, new: Json
) -> None:
    given_ = copy.deepcopy(live)
    result = strategic.patch(live, _diff(last, live, new), schema.of(Pod))
    assert live == given_
    assert _unordered("", result) == _unordered("", _merged("", last, live, new))
    for name in ("containers", "volumes"):
        order = [item["name"] for item in new["spec"].get(name, [])]
        found = [item["name"] for item in result["spec"].get(name, [])]
        assert [each for each in found if each in order] == order


@given(PODS, PODS, PODS)
@settings(max_examples=200, deadline=None)
def test_a_second_apply_of_the_same_changes_nothing(last: Json, live: Json, new: Json) -> None:
    result = strategic.patch(live, _diff(last, live, new), schema.of(Pod))
    again = strategic.patch(result, _diff(new, result, new), schema.of(Pod))
    assert again == result


def _diff_of_members(last: Json, live: Json, new: Json) -> Json:
    """Return a JSON merge patch, which kubectl sends for kinds that it does not know."""
    patch: Json = {name: None for name in last if name not in new}
    for name, value in new.items():
        there = live.get(name)
        if isinstance(value, dict) and isinstance(there, dict):
            before = last.get(name)
            inner = _diff_of_members(before if isinstance(before, dict) else {}, there, value)
            if inner:
                patch[name] = inner
        elif there != value:
            patch[name] = value
    return patch


def _merged_members(last: Any, live: Any, new: Any) -> Any:
    if not (isinstance(new, dict) and isinstance(live, dict)):
        return new
    last = last if isinstance(last, dict) else {}
    kept = {each: value for each, value in live.items() if each in new or each not in last}
    return kept | {
        each: _merged_members(last.get(each), live[each], value) if each in live else value
        for each, value in new.items()
    }


@given(PODS, PODS, PODS)
@settings(max_examples=200, deadline=None)
def test_so_does_an_apply_of_a_kind_that_the_client_does_not_know(
    last: Json, live: Json, new: Json
) -> None:
    result = merge(live, _diff_of_members(last, live, new))
    assert result == _merged_members(last, live, new)
