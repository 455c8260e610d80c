import datetime as dt
from typing import Any

import pytest

from reconciler.admission.decode import decode, decode_lenient
from reconciler.admission.errors import Reason, Undecodable


def pod(**spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p"},
        "spec": {"containers": [{"name": "c", "image": "x"}], **spec},
    }


def refusal(value: Any) -> Undecodable:
    with pytest.raises(Undecodable) as refused:
        decode(value)
    return refused.value


def test_all_errors_at_once_with_their_paths() -> None:
    error = refusal(
        pod(
            hostNetwork="yes",
            foo=1,
            nodeSelector={"a": 5},
            containers=[{"name": "c", "Image": "x", "ports": [{"containerPort": "80"}]}],
        )
    )
    assert [(item.path, item.reason) for item in error.errors] == [
        ("spec.containers[0].Image", Reason.UNKNOWN_FIELD),
        ("spec.containers[0].ports[0].containerPort", Reason.TYPE_INVALID),
        ("spec.foo", Reason.UNKNOWN_FIELD),
        ("spec.hostNetwork", Reason.TYPE_INVALID),
        ("spec.nodeSelector.a", Reason.TYPE_INVALID),
    ]


def test_messages_for_people() -> None:
    error = refusal(pod(hostNetwork="yes"))
    assert str(error.errors[0]) == (
        'spec.hostNetwork: Invalid value: must be true or false, not the string "yes"'
    )


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (None, ""),
        ([], ""),
        ({}, "kind"),
        ({"kind": "Pod"}, "apiVersion"),
        ({"apiVersion": "v1", "kind": "Deployment"}, "kind"),
        ({"apiVersion": "apps/v1", "kind": "Deployment"}, "apiVersion"),
        ({"apiVersion": 1, "kind": "Pod"}, "apiVersion"),
    ],
)
def test_what_names_no_kind(value: Any, path: str) -> None:
    (error,) = refusal(value).errors
    assert (error.path, error.reason) == (path, Reason.UNKNOWN_KIND)


def test_null_means_absent() -> None:
    value = pod(
        volumes=None,
        restartPolicy=None,
        nodeSelector={"a": None},
        containers=[{"name": "c", "image": "x", "args": [None, "b"], "env": None}],
    )
    spec = decode(value).spec  # type: ignore[attr-defined]
    assert (spec.volumes, spec.restart_policy, spec.node_selector) == ((), "", {"a": ""})
    assert spec.containers[0].args == ("", "b")


def test_a_null_does_not_hide_other_faults() -> None:
    error = refusal(pod(volumes=None, foo=1))
    assert [item.path for item in error.errors] == ["spec.foo"]


def test_quantities_take_numbers() -> None:
    limits = {"cpu": 2, "memory": "1024Mi"}
    value = pod(containers=[{"name": "c", "image": "x", "resources": {"limits": limits}}])
    held = decode(value).spec.containers[0].resources.limits  # type: ignore[attr-defined]
    assert held == {"cpu": "2", "memory": "1Gi"}


@pytest.mark.parametrize("foreign", [dt.date(2026, 1, 1), {1, 2}, b"x", 2**70, object()])
def test_what_json_does_not_have_is_refused_in_place(foreign: Any) -> None:
    (error,) = refusal(pod(nodeName=foreign)).errors
    assert error.path == "spec.nodeName"


def test_lenient_decoding_leaves_unknown_fields_out() -> None:
    obj, warnings = decode_lenient(pod(foo={"bar": 1}, containers=[{"name": "c", "imge": "x"}]))
    assert obj.spec.containers[0].image == ""  # type: ignore[attr-defined]
    assert warnings == ('unknown field "spec.containers[0].imge"', 'unknown field "spec.foo"')


def test_lenient_decoding_still_refuses_wrong_types() -> None:
    with pytest.raises(Undecodable):
        decode_lenient(pod(foo=1, hostNetwork=1))
