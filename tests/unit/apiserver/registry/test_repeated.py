"""Objects decoded with parts that are known already are what decoding them whole gives."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.apiserver.registry.repeated import Repeated
from reconciler.model import kinds, schema
from reconciler.model.config import ConfigMap
from reconciler.model.meta import KubeObject, ManagedFieldsEntry, ObjectMeta
from reconciler.model.pod import Pod, PodSpec, PodTemplate, PodTemplateSpec
from reconciler.model.replication import (
    ReplicationController,
    ReplicationControllerCondition,
    ReplicationControllerSpec,
    ReplicationControllerStatus,
)
from reconciler.model.schema import Schema

MARKS = (
    ',"managedFields":[{', ',"fieldsV1":{', '}]},"', '"template":{"metadata":', ',"spec":{',
    '}}},"status":{', '"managedFields"', "plain",
)  # fmt: skip

TEXT = st.sampled_from(MARKS)
MAP = st.dictionaries(TEXT, TEXT, max_size=2)
FREE = st.recursive(
    st.just({}),
    lambda inner: st.dictionaries(
        st.sampled_from(
            ["f:a", "template", "spec", "metadata", "status", "managedFields", "fieldsV1", *MARKS]
        ),
        inner | st.lists(inner, max_size=2),
        max_size=3,
    ),
    max_leaves=6,
)
OWNERS = st.lists(
    st.builds(
        ManagedFieldsEntry,
        manager=TEXT,
        fields_type=st.just("FieldsV1"),
        fields_v1=st.none() | FREE,
        subresource=st.sampled_from(["", "status"]),
    ),
    max_size=2,
).map(tuple)
META = st.builds(
    ObjectMeta, name=TEXT, labels=MAP, annotations=MAP, finalizers=st.tuples(TEXT),
    managed_fields=OWNERS,
)  # fmt: skip
SPEC = st.builds(PodSpec, hostname=TEXT, node_selector=MAP, priority=st.none() | st.just(1))
TEMPLATE = st.builds(PodTemplateSpec, metadata=META, spec=SPEC)
CONDITIONS = st.lists(
    st.builds(ReplicationControllerCondition, type=TEXT, status=TEXT, message=TEXT), max_size=1
).map(tuple)
CONTROLLER = st.builds(
    ReplicationController,
    metadata=META,
    spec=st.builds(ReplicationControllerSpec, selector=MAP, template=st.none() | TEMPLATE),
    status=st.builds(ReplicationControllerStatus, conditions=CONDITIONS),
)
OBJECT = st.one_of(
    CONTROLLER,
    st.builds(ConfigMap, metadata=META, data=MAP),
    st.builds(Pod, metadata=META, spec=SPEC),
    st.builds(PodTemplate, metadata=META, template=TEMPLATE),
)


@given(st.lists(OBJECT, min_size=1, max_size=4))
@settings(max_examples=400)
def test_any_object_is_decoded_as_if_nothing_were_known(objects: list[KubeObject]) -> None:
    repeated = Repeated()
    for obj in [*objects, *reversed(objects)]:
        text = obj.to_json()
        decoded = repeated.decode(type(obj), text)
        assert decoded == type(obj).model_validate_json(text)
        assert decoded.to_json() == text


def controller(name: str, host: str = "h", field: str = "f:spec") -> ReplicationController:
    entry = ManagedFieldsEntry(manager="m", fields_type="FieldsV1", fields_v1={field: {}})
    return ReplicationController(
        metadata=ObjectMeta(name=name, labels={"app": name}, managed_fields=(entry,)),
        spec=ReplicationControllerSpec(
            selector={"app": name},
            template=PodTemplateSpec(
                metadata=ObjectMeta(labels={"app": name}), spec=PodSpec(hostname=host)
            ),
        ),
    )


def test_the_fields_of_a_templates_owner_are_not_the_objects_own() -> None:
    """What was pasted from a live object may have owners of fields in the template, too."""
    known = controller("a")
    entry = known.metadata.managed_fields[0]
    template = known.spec.template
    assert template is not None
    inside = template.replace(metadata=template.metadata.replace(managed_fields=(entry,)))
    own = known.metadata.replace(managed_fields=(ManagedFieldsEntry(manager="m"),))
    pasted = known.replace(metadata=own, spec=known.spec.replace(template=inside))
    repeated = Repeated()
    for _ in range(2):
        assert repeated.decode(ReplicationController, pasted.to_json()) == pasted


def parts(obj: Any) -> tuple[PodSpec, Any, ReplicationControllerStatus]:
    return obj.spec.template.spec, obj.metadata.managed_fields[0].fields_v1, obj.status


def test_equal_parts_of_two_objects_are_one_object() -> None:
    repeated = Repeated()
    one, other, third = (
        parts(repeated.decode(ReplicationController, each.to_json()))
        for each in (controller("a"), controller("b"), controller("c", "g", "f:status"))
    )
    assert one[0] is other[0]
    assert one[1] is other[1]
    assert one[2] is other[2] is third[2]
    assert third == (PodSpec(hostname="g"), {"f:status": {}}, ReplicationControllerStatus())


def test_what_is_known_is_bounded() -> None:
    repeated = Repeated()
    first = repeated.decode(ReplicationController, controller("a").to_json())
    for number in range(1_000):
        each = controller("a", f"h{number}", f"f:{number}")
        assert parts(repeated.decode(ReplicationController, each.to_json())) == parts(each)
    again = repeated.decode(ReplicationController, controller("a").to_json())
    assert again == first
    assert parts(again)[0] is not parts(first)[0]


@pytest.mark.parametrize("model", [each.model for each in kinds.RESOURCES])
def test_only_pods_and_what_makes_them_hold_metadata_below_their_own(
    model: type[KubeObject],
) -> None:
    """What `repeated.py` relies on: in any other kind a mark is of the object's own metadata."""
    found = list(_below(schema.of(model), ()))
    if model not in (Pod, PodTemplate, ReplicationController):
        assert not found


def _below(place: Schema, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Yield where a place below the object's own metadata may hold metadata, or anything."""
    for name, field in place.fields.items():
        inner: Schema | None = field
        while inner is not None and inner.shape in ("map", "list"):
            inner = inner.item
        if inner is None or (not path and name == "metadata") or name in path[:-1]:
            continue
        if inner.shape == "any" or inner.model is ObjectMeta:
            yield (*path, name)
        yield from _below(inner, (*path, name))
