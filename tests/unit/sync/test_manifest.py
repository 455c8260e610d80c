from __future__ import annotations

from reconciler.model.config import ConfigMap
from reconciler.model.meta import ObjectKey, ObjectMeta
from reconciler.sync.identity import SOURCE_ANNOTATION, identity, source_of
from reconciler.sync.manifest import applied_manifest

KEY = ObjectKey("ConfigMap", "web", "settings")


def config_map(**annotations):
    metadata = ObjectMeta(name="settings", namespace="web", annotations=annotations)
    return ConfigMap(metadata=metadata)


def test_an_object_is_in_the_inventory_of_the_source_that_signed_it():
    assert identity("main", KEY) == "main/ConfigMap/web/settings"
    assert source_of(config_map(**{SOURCE_ANNOTATION: identity("main", KEY)})) == "main"
    assert source_of(config_map()) == ""


def test_a_copy_of_a_signed_object_is_in_nobodys_inventory():
    other = ObjectKey("ConfigMap", "web", "other")
    assert source_of(config_map(**{SOURCE_ANNOTATION: identity("main", other)})) == ""
    assert source_of(config_map(**{SOURCE_ANNOTATION: "main"})) == ""


def test_what_is_applied_is_signed_and_leaves_the_manifest_alone():
    manifest = {"kind": "ConfigMap", "metadata": {"name": "settings", "annotations": {"a": "b"}}}
    applied = applied_manifest(manifest, "main", KEY)
    assert applied["metadata"]["annotations"] == {
        "a": "b",
        SOURCE_ANNOTATION: "main/ConfigMap/web/settings",
    }
    assert manifest["metadata"]["annotations"] == {"a": "b"}


def test_string_data_of_a_secret_becomes_data_and_wins():
    key = ObjectKey("Secret", "web", "s")
    manifest = {"kind": "Secret", "data": {"a": "b2xk"}, "stringData": {"a": "new"}}
    applied = applied_manifest({**manifest, "metadata": {"name": "s"}}, "main", key)
    assert applied["data"] == {"a": "bmV3"}
    assert "stringData" not in applied
