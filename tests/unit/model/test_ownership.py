"""Server-side apply on values: ownership, conflicts, removal, order; then its laws."""

import copy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model import fieldset, merge, ownership
from reconciler.model.config import ConfigMap
from reconciler.model.fieldset import layout_of
from reconciler.model.meta import KubeObject
from reconciler.model.ownership import ApplyConflict, Owners, Writer
from reconciler.model.pod import Pod
from reconciler.model.service import Service

Json = dict[str, Any]


def writer(manager: str, time: str = "2026-01-01T00:00:00Z") -> Writer:
    return Writer(manager, "v1", time, ignored=("status",))


class World:
    """One object and its owners, changed by applies and updates."""

    def __init__(self, model: type[KubeObject], live: Json) -> None:
        self.model = model
        self.live = live
        self.owners: Owners = ()

    def create(self, manager: str) -> None:
        self.owners = ownership.apply_new(self.model, self.live, writer(manager))

    def apply(self, manager: str, manifest: Json, *, force: bool = False) -> bool:
        result = ownership.apply(
            self.model, self.live, self.owners, manifest, writer(manager), force=force
        )
        self.live, self.owners = result.obj, result.owners
        return result.changed

    def update(self, manager: str, new: Json) -> None:
        self.owners = ownership.update(self.model, self.live, self.owners, new, writer(manager))
        self.live = new

    def owned(self, manager: str) -> list[str]:
        return sorted(
            path
            for owner in self.owners
            if owner.manager == manager
            for path in fieldset.paths(owner.fields)
        )


def pod(*containers: Json, **spec: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": list(containers), **spec},
    }


def config(**data: str) -> Json:
    value = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}
    return {**value, "data": data} if data else value


def applied(model: type[KubeObject], manifest: Json, manager: str = "m1") -> World:
    world = World(model, copy.deepcopy(manifest))
    world.create(manager)
    return world


def test_a_manifest_owns_its_leaves_and_the_items_of_its_lists() -> None:
    manifest = pod({"name": "c", "image": "x", "ports": [{"containerPort": 80}]}, hostNetwork=True)
    assert applied(Pod, manifest).owned("m1") == [
        '.spec.containers[name="c"]',
        '.spec.containers[name="c"].image',
        '.spec.containers[name="c"].name',
        '.spec.containers[name="c"].ports[containerPort=80,protocol="TCP"]',
        '.spec.containers[name="c"].ports[containerPort=80,protocol="TCP"].containerPort',
        ".spec.hostNetwork",
    ]


def test_an_atomic_map_is_owned_whole() -> None:
    manifest = {"metadata": {"name": "s"}, "spec": {"selector": {"a": "b"}}}
    assert applied(Service, manifest).owned("m1") == [".spec.selector"]


def test_the_same_manifest_again_changes_nothing() -> None:
    manifest = pod({"name": "c", "image": "x", "env": [{"name": "A", "value": "1"}]})
    world = applied(Pod, manifest)
    before = world.owners
    assert world.apply("m1", manifest) is False
    assert world.owners is before


def test_what_the_server_added_is_no_drift() -> None:
    manifest = pod({"name": "c", "image": "x"})
    world = applied(Pod, manifest)
    world.live = copy.deepcopy(world.live)
    world.live["spec"]["dnsPolicy"] = "ClusterFirst"
    world.live["spec"]["containers"][0]["imagePullPolicy"] = "Always"
    assert world.apply("m1", manifest) is False


def test_a_field_left_out_goes_when_nobody_else_owns_it() -> None:
    world = applied(ConfigMap, config(a="1", b="2"))
    assert world.apply("m1", config(a="1"))
    assert world.live["data"] == {"a": "1"}


def test_a_field_left_out_stays_while_another_owns_it() -> None:
    world = applied(ConfigMap, config(a="1", b="2"))
    world.apply("m2", config(b="2"))
    world.apply("m1", config(a="1"))
    assert world.live["data"] == {"a": "1", "b": "2"}
    world.apply("m2", config())
    assert world.live["data"] == {"a": "1"}


def test_a_struct_left_out_takes_its_defaults_with_it() -> None:
    probe = {"httpGet": {"path": "/", "port": 80}}
    world = applied(Pod, pod({"name": "c", "image": "x", "livenessProbe": probe}))
    world.live = copy.deepcopy(world.live)
    world.live["spec"]["containers"][0]["livenessProbe"]["periodSeconds"] = 10
    world.apply("m1", pod({"name": "c", "image": "x"}))
    assert world.live["spec"]["containers"] == [{"name": "c", "image": "x"}]


def test_a_struct_stays_for_the_field_of_another_owner() -> None:
    both = {"name": "c", "image": "x", "livenessProbe": {"periodSeconds": 5, "timeoutSeconds": 2}}
    world = applied(Pod, pod(both))
    world.apply("m2", pod({"name": "c", "livenessProbe": {"timeoutSeconds": 2}}))
    world.apply("m1", pod({"name": "c", "image": "x"}))
    assert world.live["spec"]["containers"][0]["livenessProbe"] == {"timeoutSeconds": 2}


def test_an_item_left_out_goes_with_all_that_is_in_it() -> None:
    world = applied(Pod, pod({"name": "a", "image": "x"}, {"name": "b", "image": "y"}))
    world.apply("m1", pod({"name": "b", "image": "y"}))
    assert [item["name"] for item in world.live["spec"]["containers"]] == ["b"]


def test_a_conflict_names_owner_and_field() -> None:
    world = applied(ConfigMap, config(a="1", b="1"))
    with pytest.raises(ApplyConflict) as caught:
        world.apply("m2", config(a="2", b="2"))
    assert caught.value.fields == (('"m1"', ".data.a"), ('"m1"', ".data.b"))
    assert str(caught.value) == (
        'Apply failed with 2 conflicts: conflicts with "m1":\n- .data.a\n- .data.b'
    )


def test_force_takes_the_field_from_its_owner() -> None:
    world = applied(ConfigMap, config(a="1", b="1"))
    world.apply("m2", config(a="2"), force=True)
    assert world.live["data"] == {"a": "2", "b": "1"}
    assert (world.owned("m1"), world.owned("m2")) == ([".data.b"], [".data.a"])


def test_an_update_takes_what_it_changes_and_an_apply_brings_it_back() -> None:
    world = applied(ConfigMap, config(a="1", b="1"))
    world.update("kubectl", config(a="9", b="1"))
    assert (world.owned("m1"), world.owned("kubectl")) == ([".data.b"], [".data.a"])
    with pytest.raises(ApplyConflict, match='"kubectl" using v1'):
        world.apply("m1", config(a="1", b="1"))
    assert world.apply("m1", config(a="1", b="1"), force=True)
    assert world.live["data"] == {"a": "1", "b": "1"}
    assert world.owned("kubectl") == []


def test_an_update_that_removes_a_field_takes_it_from_its_owner() -> None:
    world = applied(ConfigMap, config(a="1", b="1"))
    world.update("kubectl", config(a="1"))
    assert world.owned("m1") == [".data.a"]


def test_the_first_apply_to_an_untracked_object_meets_its_past() -> None:
    world = World(ConfigMap, config(a="1"))
    with pytest.raises(ApplyConflict, match="before-first-apply"):
        world.apply("m1", config(a="2"))
    world.apply("m1", config(a="2"), force=True)
    assert world.owned("m1") == [".data.a"]


@pytest.mark.parametrize(
    ("live", "wanted", "expected"),
    [
        ("abc", "abc", "abc"),
        ("ab", "ba", "ba"),
        ("ab", "xb", "axb"),
        ("ba", "xb", "xba"),
        ("abc", "c", "abc"),
        ("", "ab", "ab"),
        ("ab", "", "ab"),
        ("axb", "ba", "xba"),
    ],
)
def test_items_keep_the_order_of_the_apply(live: str, wanted: str, expected: str) -> None:
    merged = merge.merge(
        layout_of(Pod),
        pod(*({"name": name} for name in live)),
        pod(*({"name": name} for name in wanted)),
    )
    assert "".join(item["name"] for item in merged["spec"]["containers"]) == expected


def test_a_list_that_cannot_be_told_apart_is_one_field() -> None:
    twice = [{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]
    world = applied(Pod, pod({"name": "c", "env": twice}))
    assert '.spec.containers[name="c"].env' in world.owned("m1")
    assert world.apply("m1", pod({"name": "c", "env": twice})) is False
    world.apply("m1", pod({"name": "c", "env": twice[:1]}))
    assert world.live["spec"]["containers"][0]["env"] == twice[:1]


def test_finalizers_merge_as_a_set() -> None:
    first = {"metadata": {"name": "c", "finalizers": ["a/a"]}}
    world = applied(ConfigMap, first)
    world.apply("m2", {"metadata": {"name": "c", "finalizers": ["b/b"]}})
    assert world.live["metadata"]["finalizers"] == ["a/a", "b/b"]
    world.apply("m1", {"metadata": {"name": "c"}})
    assert world.live["metadata"] == {"name": "c", "finalizers": ["b/b"]}


_values = st.sampled_from(["1", "2", "3"])
_data = st.dictionaries(st.sampled_from("abc"), _values, max_size=3)
_containers = st.lists(
    st.fixed_dictionaries(
        {"name": st.sampled_from("xyz")},
        optional={
            "image": _values,
            "env": st.lists(
                st.fixed_dictionaries({"name": st.sampled_from("AB")}, optional={"value": _values}),
                unique_by=lambda item: item["name"],
                max_size=2,
            ),
            "resources": st.fixed_dictionaries({}, optional={"limits": _data}),
        },
    ),
    unique_by=lambda item: item["name"],
    max_size=3,
)
_pods = st.builds(
    lambda items, labels: {
        **pod(*items),
        "metadata": {"name": "p", **({"labels": labels} if labels else {})},
    },
    _containers,
    _data,
)


@settings(max_examples=60, deadline=None)
@given(st.lists(_pods, min_size=1, max_size=5))
def test_the_last_of_many_applies_is_what_holds(manifests: list[Json]) -> None:
    world = applied(Pod, manifests[0])
    for manifest in manifests[1:]:
        world.apply("m1", manifest)
    alone = applied(Pod, manifests[-1])
    assert world.owned("m1") == alone.owned("m1")
    layout = layout_of(Pod)
    assert merge.merge(layout, world.live, manifests[-1]) == world.live
    assert world.apply("m1", manifests[-1]) is False


@settings(max_examples=60, deadline=None)
@given(_pods, _pods, _pods)
def test_no_manager_loses_a_field_to_anothers_removal(one: Json, other: Json, later: Json) -> None:
    world = applied(Pod, one)
    world.apply("m2", other, force=True)
    kept = world.owned("m2")
    world.apply("m1", later, force=True)
    lost = set(kept) - set(world.owned("m2"))
    assert lost <= set(world.owned("m1"))


@settings(max_examples=60, deadline=None)
@given(_pods, _pods)
def test_inputs_are_never_changed(live: Json, manifest: Json) -> None:
    before = copy.deepcopy((live, manifest))
    world = World(Pod, live)
    world.create("m1")
    owners = copy.deepcopy(world.owners)
    ownership.apply(Pod, live, world.owners, manifest, writer("m1"), force=True)
    assert (live, manifest) == before
    assert world.owners == owners


@settings(max_examples=60, deadline=None)
@given(_pods, _pods, _pods)
def test_set_algebra_holds_path_by_path(one: Json, other: Json, third: Json) -> None:
    layout = layout_of(Pod)
    a, b = (fieldset.of_manifest(layout, value) for value in (one, other))
    c = merge.compare(layout, other, third).changed
    for x, y in ((a, b), (a, c), (c, b)):
        mine, theirs = set(fieldset.paths(x)), set(fieldset.paths(y))
        assert set(fieldset.paths(fieldset.union(x, y))) == mine | theirs
        assert set(fieldset.paths(fieldset.intersection(x, y))) == mine & theirs
        assert set(fieldset.paths(fieldset.difference(x, y))) == mine - theirs


def test_objects_of_one_form_do_not_share_what_tells_them_apart() -> None:
    """What is known of a form, or of a pod's spec, is not mixed up between objects."""
    layout = layout_of(Pod)
    values = [
        pod({"name": name, "ports": [{"containerPort": port}]}, nodeName=node)
        for name, port, node in (("a", 1, "x"), ("b", 1, "x"), ("a", 2, "x"), ("a", 1, "y"))
    ]
    values += [pod({"name": "a"}), pod({"name": "a"}, nodeName=None), pod()]
    first = [sorted(fieldset.paths(fieldset.of_manifest(layout, value))) for value in values]
    again = [sorted(fieldset.paths(fieldset.of_manifest(layout, value))) for value in values]
    assert first == again
    assert first[0] == first[3]  # the same fields, other values
    assert len({tuple(each) for each in first}) == 6
    assert '.spec.containers[name="b"].ports[containerPort=1,protocol="TCP"]' in first[1]


def test_a_value_that_is_no_json_owns_what_its_place_says() -> None:
    layout = layout_of(Pod)
    owned = fieldset.of_manifest(layout, {"spec": {"nodeName": object(), "hostname": "h"}})
    assert sorted(fieldset.paths(owned)) == [".spec.hostname", ".spec.nodeName"]


def test_names_without_end_do_not_fill_the_memory() -> None:
    layout = layout_of(ConfigMap)
    for number in range(2_000):
        fields = fieldset.of_manifest(layout, {"data": {f"key-{number}": "v"}})
        assert list(fieldset.paths(fields)) == [f".data.key-{number}"]
