import json

import pytest

from reconciler.model import kinds, schema
from reconciler.model.base import ListMap, ListSet, Model, PatchOnly
from reconciler.model.kinds import RESOURCES, Resource
from reconciler.model.pod import Pod
from reconciler.model.service import Service

every_kind = pytest.mark.parametrize("resource", RESOURCES, ids=lambda row: row.key_kind)


@every_kind
def test_a_row_agrees_with_its_class(resource: Resource) -> None:
    obj = resource.model()
    assert (obj.api_version, obj.kind) == (resource.api_version, resource.kind)
    assert obj.key.kind == resource.key_kind
    assert resource.status == ("status" in resource.model.model_fields)


@every_kind
def test_look_ups_find_each_row(resource: Resource) -> None:
    assert kinds.by_gvk(resource.api_version, resource.kind) is resource
    assert kinds.by_key_kind(resource.key_kind) is resource
    assert kinds.by_plural(resource.group, resource.version, resource.plural) is resource
    assert kinds.of(resource.model) is resource


@every_kind
def test_a_bare_object_survives_writing_and_reading(resource: Resource) -> None:
    obj = resource.model()
    assert resource.model.model_validate_json(obj.to_json()) == obj
    assert json.loads(obj.to_json()) == obj.to_dict()


@every_kind
def test_every_field_is_described(resource: Resource) -> None:
    seen: set[type[Model]] = set()

    def walk(place: schema.Schema, path: str) -> None:
        assert place.shape != "any" or "fieldsV1" in path, path
        if isinstance(place.merge, ListMap) and place.item is not None:
            assert set(place.merge.keys) <= set(place.item.fields), path
        if place.model in seen:
            return
        if place.model is not None:
            seen.add(place.model)
        for name, member in place.fields.items():
            walk(member, f"{path}.{name}")
        if place.item is not None:
            walk(place.item, f"{path}[]")

    walk(schema.of(resource.model), resource.kind)


def test_no_look_up_invents_a_kind() -> None:
    assert kinds.by_gvk("v1", "Deployment") is None
    assert kinds.by_gvk("apps/v1", "Pod") is None
    assert kinds.by_key_kind("Source") is None


def test_merge_rules() -> None:
    spec = schema.fields_of(Pod)["spec"].fields
    assert spec["containers"].merge == ListMap("name")
    assert spec["tolerations"].merge is None
    assert spec["nodeSelector"].atomic
    assert spec["volumes"].merge == ListMap("name", retain_keys=True)
    assert schema.fields_of(Pod)["status"].fields["hostIPs"].merge == PatchOnly("ip")
    assert schema.fields_of(Pod)["metadata"].fields["finalizers"].merge == ListSet()
    assert schema.at(Service, ("spec", "ports", 0, "targetPort")) == schema.Schema(
        "scalar", "int32", union=True
    )
    assert schema.at(Pod, ("spec", "nope", "x")) is None
