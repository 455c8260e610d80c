# ruff: noqa: E501 - a case stands on one line
from typing import Any

import pytest

from reconciler.admission.errors import FieldError, Reason, required
from reconciler.desired.hints import hint_for

RC = {"apiVersion": "v1", "kind": "ReplicationController"}
POD = {"apiVersion": "v1", "kind": "Pod"}


@pytest.mark.parametrize(
    ("manifest", "path", "hint"),
    [
        (POD, "spec.containers[0].ports[0].Port", 'did you mean "containerPort"?'),
        (POD, "spec.containers[0].ports[0].containerport", 'did you mean "containerPort"?'),
        (POD, "spec.containers[0].comand", 'did you mean "command"?'),
        (POD, "spec.containers[0].environment", 'did you mean "env"?'),
        (POD, "spec.containers[0].ports[0].containerPort:80", 'write "containerPort: ..." with a space after the colon'),
        (RC, "spec.replica", 'did you mean "replicas"?'),
        (RC, "metadata.selector", '"selector" belongs to spec: check the indentation'),
        (RC, "spec.template.spec.image", '"image" belongs to spec.template.spec.containers: check the indentation'),
        (RC, "containers", '"containers" belongs to spec.template.spec: check the indentation'),
        (POD, "spec.xyzzy", ""),
        (POD, "", ""),
        (POD, "spec.", ""),
    ],
)  # fmt: skip
def test_unknown_fields(manifest: dict[str, Any], path: str, hint: str) -> None:
    assert hint_for(FieldError(path, Reason.UNKNOWN_FIELD), manifest) == hint


@pytest.mark.parametrize(
    ("detail", "hint"),
    [
        ("must be a string, not the number 5", "write the value in quotes"),
        ("must be a string, not the boolean true", "write the value in quotes"),
        ('must be a whole number of 32 bits, not the string "3"', "write the value without quotes"),
        ('must be a whole number of 32 bits, not the string "2 // two of them"', "a comment starts with #, not //"),
        ('must be a whole number of 32 bits, not the string "many"', ""),
        ('must be true or false, not the string "true"', "write the value without quotes"),
        ('must be true or false, not the string "Yes"', "write true or false"),
        ("must be a list, not a mapping", 'start each item with "- "'),
        ("must be a mapping, not a list", 'remove the "- ": there is one, not a list'),
    ],
)  # fmt: skip
def test_wrong_types(detail: str, hint: str) -> None:
    assert hint_for(FieldError("spec.x", Reason.TYPE_INVALID, detail), POD) == hint


@pytest.mark.parametrize(
    ("manifest", "hint"),
    [
        ({"apiVersion": "apps/v1", "kind": "Deployment"}, "Deployment is not supported: write a ReplicationController of apiVersion v1"),
        ({"apiVersion": "extensions/v1beta1", "kind": "Service"}, "write apiVersion: v1"),
        ({"apiVersion": "V1", "kind": "Pod"}, "write apiVersion: v1"),
        ({"apiVersion": "v1", "kind": "Replicationcontroller"}, "did you mean kind: ReplicationController with apiVersion: v1?"),
        ({"apiVersion": "v1", "kind": "ReplicationControler"}, "did you mean kind: ReplicationController with apiVersion: v1?"),
        ({"ApiVersion": "v1", "kind": "Pod"}, 'write "apiVersion", not "ApiVersion"'),
        ({"apiVersion": "v1", "Kind": "Pod"}, 'write "kind", not "Kind"'),
        ({"kind": "Pod"}, "write apiVersion: v1"),
        ({"foo": "bar"}, "a file that is no manifest may start its name with a dot or have another suffix"),
        ({"apiVersion": "v1", "kind": "Wibble"}, ""),
    ],
)  # fmt: skip
def test_unknown_kinds(manifest: dict[str, Any], hint: str) -> None:
    assert hint_for(FieldError("kind", Reason.UNKNOWN_KIND), manifest) == hint


def test_a_required_field_that_stands_elsewhere() -> None:
    manifest = {**RC, "metadata": {"selector": {"a": "b"}}}
    assert hint_for(required("spec.selector"), manifest).startswith("selector stands under")
    assert hint_for(required("spec.template"), {**RC, "template": {}}) == (
        "template stands at the top level: indent it under spec"
    )


def test_typographic_quotes_in_a_value() -> None:
    error = FieldError("metadata.name", Reason.INVALID, "a name must ...", "“web”")
    assert "typographic" in hint_for(error, POD)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("1 core", 'write "1"'),
        ("12 MB", 'write "12M" or "12Mi"'),
        ("1,5gb", 'write "1.5G" or "1.5Gi"'),
        ("500 m", 'write "500m" or "500Mi"'),
        ("a lot", ""),
    ],
)
def test_quantities_as_people_write_them(value: str, hint: str) -> None:
    detail = "quantities must match the regular expression '...'"
    error = FieldError("spec.containers[0].resources.limits.cpu", Reason.INVALID, detail, value)
    assert hint_for(error, POD) == hint
