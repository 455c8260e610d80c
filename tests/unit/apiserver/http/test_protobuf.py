"""Bodies in protobuf, built by the same library: values as JSON has them, and what is refused."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.apiserver.http.protobuf import classes, values
from reconciler.apiserver.http.protobuf.values import NoSuchMessage, NotProtobuf
from reconciler.model import kinds, schema
from reconciler.model.base import Model
from reconciler.model.kinds import Resource


def body(name: str, message: Any) -> bytes:
    version, kind = name.split(" ")
    envelope = classes.message_class("Unknown")(raw=message.SerializeToString())
    envelope.typeMeta.apiVersion, envelope.typeMeta.kind = version, kind
    return b"k8s\x00" + envelope.SerializeToString()


def new(name: str, **fields: Any) -> Any:
    return classes.message_class(name)(**fields)


def test_empty_fields_that_go_writes_are_no_values() -> None:
    # Go's encoder writes every field that is no pointer, the empty ones too.
    sent = (
        b'k8s\x00\n\x0f\n\x02v1\x12\tConfigMap\x12\x1b\n\x11\n\x01a\x12\x00\x1a\x00"\x00*\x002\x00'
        b'8\x00B\x00\x12\x06\n\x01k\x12\x01v\x1a\x00"\x00'
    )  # fmt: skip
    assert values.read(sent) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a"},
        "data": {"k": "v"},
    }


def test_maps_of_bytes_are_base64() -> None:
    secret = new("v1 Secret", data={"k": b"\xff"}, immutable=False, type="Opaque")
    assert values.read(body("v1 Secret", secret)) == {
        "apiVersion": "v1",
        "kind": "Secret",
        "data": {"k": base64.b64encode(b"\xff").decode()},
        "immutable": False,  # a pointer in Go: false was said
        "type": "Opaque",
    }


def test_quantities_and_scopes() -> None:
    quota = new("v1 ResourceQuota")
    quota.spec.hard["pods"].string = "5"
    quota.spec.scopes.append("NotBestEffort")
    assert values.read(body("v1 ResourceQuota", quota))["spec"] == {
        "hard": {"pods": "5"},
        "scopes": ["NotBestEffort"],
    }


def test_ports_by_number_and_by_name() -> None:
    service = new("v1 Service")
    service.spec.publishNotReadyAddresses = False
    number, named = service.spec.ports.add(port=80), service.spec.ports.add(port=81)
    number.targetPort.intVal = 8080
    named.targetPort.type, named.targetPort.strVal = 1, "web"
    assert values.read(body("v1 Service", service))["spec"] == {
        "ports": [{"port": 80, "targetPort": 8080}, {"port": 81, "targetPort": "web"}]
    }


def test_times_and_managed_fields() -> None:
    given_ = new("v1 Namespace")
    given_.metadata.creationTimestamp.seconds = 86400
    entry = given_.metadata.managedFields.add(manager="m")
    entry.fieldsV1.Raw = b'{"f:data":{}}'
    assert values.read(body("v1 Namespace", given_))["metadata"] == {
        "creationTimestamp": "1970-01-02T00:00:00Z",
        "managedFields": [{"manager": "m", "fieldsV1": {"f:data": {}}}],
    }


def test_what_is_no_protobuf() -> None:
    with pytest.raises(NotProtobuf, match=r"expected prefix \[107 56 115 0\]"):
        values.read(b"{}")
    with pytest.raises(NotProtobuf):
        values.read(b"k8s\x00\xff")
    envelope = classes.message_class("Unknown")(raw=b"\xff")
    envelope.typeMeta.apiVersion, envelope.typeMeta.kind = "v1", "ConfigMap"
    with pytest.raises(NotProtobuf):
        values.read(b"k8s\x00" + envelope.SerializeToString())
    odd = new("v1 Namespace")
    odd.metadata.creationTimestamp.seconds = 1 << 62
    with pytest.raises(NotProtobuf, match="a time"):
        values.read(body("v1 Namespace", odd))


def test_a_kind_that_is_not_in_the_table() -> None:
    envelope = classes.message_class("Unknown")()
    envelope.typeMeta.apiVersion, envelope.typeMeta.kind = "apps/v1", "Deployment"
    with pytest.raises(NoSuchMessage, match="Deployment of apps/v1"):
        values.read(b"k8s\x00" + envelope.SerializeToString())


def test_structs_that_json_writes_into_the_one_around_them() -> None:
    pod = new("v1 Pod")
    pod.spec.volumes.add(name="v").volumeSource.emptyDir.SetInParent()
    container = pod.spec.containers.add(name="c", image="")
    container.livenessProbe.handler.exec.command.append("true")
    container.livenessProbe.periodSeconds = 3
    variable = container.env.add(name="E").valueFrom.configMapKeyRef
    variable.key, variable.localObjectReference.name = "k", "m"
    assert values.read(body("v1 Pod", pod))["spec"] == {
        "volumes": [{"name": "v", "emptyDir": {}}],
        "containers": [
            {
                "name": "c",
                "env": [{"name": "E", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}}],
                "livenessProbe": {"exec": {"command": ["true"]}, "periodSeconds": 3},
            }
        ],
    }


def test_times_of_microseconds_and_lists_under_a_name() -> None:
    event = new("v1 Event")
    event.eventTime.seconds, event.eventTime.nanos = 86400, 1_500_000
    assert values.read(body("v1 Event", event))["eventTime"] == "1970-01-02T00:00:00.001500Z"
    review = new("authorization.k8s.io/v1 SubjectAccessReview")
    review.spec.extra["scopes"].items.extend(("a", "b"))
    read = values.read(body("authorization.k8s.io/v1 SubjectAccessReview", review))
    assert read["spec"] == {"extra": {"scopes": ["a", "b"]}}


def _fields(message: str) -> dict[str, str]:
    """Return a message's fields by name with their types, those of inlined structs among them."""
    found: dict[str, str] = {}
    for field, described in classes.table()[message].items():
        kind = described.rstrip("?").split(" ", 1)[1]
        found |= _fields(kind.removeprefix("inline ")) if "inline " in kind else {field: kind}
    return found


@pytest.mark.parametrize(
    "resource", [each for each in kinds.RESOURCES if "reconciler" not in each.group]
)
def test_every_field_of_every_kind_is_in_the_table(resource: Resource) -> None:
    waiting: list[tuple[type[Model], str]] = [
        (resource.model, f"{resource.api_version} {resource.kind}")
    ]
    seen: set[str] = set()
    while waiting:
        model, message = waiting.pop()
        fields = _fields(message)
        for name, place in schema.fields_of(model).items():
            if name in ("apiVersion", "kind") and model is resource.model:
                continue
            assert name in fields, f"{message} lacks {name}"
            inner = place.item or place
            kind = fields[name].removeprefix("list ").removeprefix("map ")
            if inner.model is not None and kind not in seen:
                seen.add(kind)
                waiting.append((inner.model, kind))


@given(st.sampled_from([name for name in classes.table() if " " in name]), st.binary(max_size=200))
def test_no_bytes_crash_the_reader(name: str, raw: bytes) -> None:
    version, kind = name.split(" ")
    envelope = classes.message_class("Unknown")(raw=raw)
    envelope.typeMeta.apiVersion, envelope.typeMeta.kind = version, kind
    with contextlib.suppress(NotProtobuf):
        values.read(b"k8s\x00" + envelope.SerializeToString())
