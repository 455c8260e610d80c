from __future__ import annotations

from reconciler.model.meta import ManagedFieldsEntry
from reconciler.sync.blame import owner_of
from reconciler.sync.fields import ABSENT, REDACTED, Item, changed_fields, path_of, redacted


def changes(old, new):
    return [(path_of(steps), was, becomes) for steps, was, becomes in changed_fields(old, new)]


def test_a_changed_leaf_is_named_by_its_path():
    old = {"spec": {"replicas": 3, "selector": {"app": "a"}}}
    new = {"spec": {"replicas": 5, "selector": {"app": "a"}}}
    assert changes(old, new) == [("spec.replicas", 3, 5)]


def test_list_items_are_told_apart_by_their_key_and_not_by_their_place():
    old = {"spec": {"containers": [{"name": "a", "image": "x:1"}, {"name": "b", "image": "y"}]}}
    new = {"spec": {"containers": [{"name": "b", "image": "y"}, {"name": "a", "image": "x:2"}]}}
    assert changes(old, new) == [("spec.containers[a].image", "x:1", "x:2")]


def test_added_and_removed_items_are_one_change_each():
    old = {"spec": {"ports": [{"port": 80}]}}
    new = {"spec": {"ports": [{"port": 81}]}}
    assert changes(old, new) == [
        ("spec.ports[80]", {"port": 80}, ABSENT),
        ("spec.ports[81]", ABSENT, {"port": 81}),
    ]


def test_two_mounts_of_one_volume_are_told_apart_by_their_paths():
    one, two = {"name": "v", "mountPath": "/one"}, {"name": "v", "mountPath": "/two"}
    before, after = {"volumeMounts": [one, two]}, {"volumeMounts": [two | {"readOnly": True}, one]}
    assert changes(before, after) == [("volumeMounts[/two].readOnly", ABSENT, True)]
    assert changes(before, {"volumeMounts": [one]}) == [("volumeMounts[/two]", two, ABSENT)]
    alone = {"volumeMounts": [one | {"readOnly": True}]}
    assert changes({"volumeMounts": [one]}, alone) == [("volumeMounts[v].readOnly", ABSENT, True)]


def test_a_list_without_keys_changes_whole():
    old = {"spec": {"args": ["a", "b"]}}
    assert changes(old, {"spec": {"args": ["a"]}}) == [("spec.args", ["a", "b"], ["a"])]


def test_a_map_key_with_a_slash_stands_in_brackets():
    old = {"metadata": {"annotations": {"example.com/a": "1"}}}
    new = {"metadata": {"annotations": {}}}
    assert changes(old, new) == [("metadata.annotations[example.com/a]", "1", ABSENT)]


def test_status_and_the_servers_own_metadata_do_not_count():
    old = {"metadata": {"resourceVersion": "1", "generation": 1}, "status": {"x": 1}}
    new = {"metadata": {"resourceVersion": "2", "managedFields": []}, "status": {"x": 2}}
    assert changes(old, new) == []


def test_secret_values_are_never_shown_but_absence_is():
    assert redacted("Secret", ("data", "key"), "b2xk", ABSENT) == (REDACTED, ABSENT)
    assert redacted("Secret", ("metadata", "labels", "a"), "x", "y") == ("x", "y")
    assert redacted("ConfigMap", ("data", "key"), "old", "new") == ("old", "new")


def entry(manager, fields):
    return ManagedFieldsEntry(manager=manager, operation="Update", fields_v1=fields)


def test_the_manager_that_holds_a_field_is_blamed():
    ours = entry("reconciler:main", {"f:spec": {"f:template": {}}})
    theirs = entry("kubectl-edit", {"f:spec": {"f:replicas": {}}})
    blame = owner_of([ours, theirs], ("spec", "replicas"), "reconciler:main")
    assert blame == "kubectl-edit"
    assert owner_of([ours, theirs], ("spec", "template"), "reconciler:main") == ""


def test_blame_finds_list_items_by_their_keys():
    fields = {"f:spec": {"f:containers": {'k:{"name":"a"}': {".": {}, "f:image": {}}}}}
    entries = [entry("kubectl", fields)]
    path = ("spec", "containers", Item({"name": "a", "image": "x"}, "name"), "image")
    assert owner_of(entries, path, "me") == "kubectl"
    other = ("spec", "containers", Item({"name": "b", "image": "x"}, "name"), "image")
    assert owner_of(entries, other, "me") == ""


def test_what_comes_from_a_secret_is_never_shown():
    secret = frozenset({("spec", "containers", "env", "value")})
    item = Item({"name": "PASSWORD"}, "name")
    for steps in (
        ("spec", "containers", Item({"name": "app"}, "name"), "env", item, "value"),
        ("spec", "containers", Item({"name": "app"}, "name"), "env", item),
        ("spec",),
    ):
        assert redacted("Pod", steps, "old", "new", secret) == (REDACTED, REDACTED)
    assert redacted("Pod", ("spec", "nodeName"), "old", "new", secret) == ("old", "new")
