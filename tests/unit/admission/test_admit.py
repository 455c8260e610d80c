from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.admission.admit import admit
from reconciler.admission.errors import AdmissionError, FieldError, Reason, Refused, go_quote
from reconciler.admission.rules import names
from reconciler.admission.status import status
from reconciler.admission.unsupported import unsupported
from reconciler.admission.validate import validate, validate_update

CONTAINER = {"name": "c", "image": "x:1"}


def manifest(kind: str, **members: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}, **members}


def test_an_admitted_object_is_admitted_again_as_it_is() -> None:
    pod = admit(manifest("Pod", spec={"containers": [CONTAINER]}))
    assert admit(pod.to_dict()) == pod
    assert validate(pod) == ()


def test_all_rules_are_told_at_once() -> None:
    with pytest.raises(Refused) as refused:
        admit(manifest("Pod", spec={"containers": [{"name": "A"}, {"name": "A", "image": "x"}]}))
    assert [(error.path, error.reason) for error in refused.value.errors] == [
        ("spec.containers[0].name", Reason.INVALID),
        ("spec.containers[0].image", Reason.REQUIRED),
        ("spec.containers[1].name", Reason.INVALID),
        ("spec.containers[1].name", Reason.DUPLICATE),
    ]
    told = status(refused.value)
    assert (told["code"], told["reason"], told["details"]["name"]) == (422, "Invalid", "x")
    assert len(told["details"]["causes"]) == 4


def test_a_secret_value_is_in_no_message() -> None:
    for data in ({".dockercfg": "c2VjcmV0"}, {"a b": "c2VjcmV0"}):
        with pytest.raises(AdmissionError) as refused:
            admit(manifest("Secret", type="kubernetes.io/dockercfg", data=data))
        assert "c2VjcmV0" not in str(refused.value)
        assert "secret'" not in str(refused.value)


def test_our_own_kinds() -> None:
    source = {
        "apiVersion": "gitops.reconciler.dev/v1alpha1",
        "kind": "Source",
        "metadata": {"name": "s"},
        "spec": {"url": "https://example.com/a.git", "interval": "10s"},
    }
    assert admit(source).key.kind == "Source.gitops.reconciler.dev"
    wrong = {**source, "spec": {"interval": "often", "subPath": "../x"}}
    with pytest.raises(Refused) as refused:
        admit(wrong)
    assert [error.path for error in refused.value.errors] == [
        "spec",
        "spec.interval",
        "spec.subPath",
    ]


def test_what_is_not_acted_on_is_named_for_sources_only() -> None:
    spec = {
        "containers": [{**CONTAINER, "lifecycle": {"preStop": {"exec": {"command": ["x"]}}},
                        "volumeMounts": [{"name": "v", "mountPath": "/v", "subPath": "a"}]}],
        "volumes": [{"name": "v", "flexVolume": {"driver": "example.com/x"}}],
        "hostUsers": False,
    }  # fmt: skip
    pod = admit(manifest("Pod", spec=spec))
    told = {error.path: str(error) for error in unsupported(pod)}
    assert told.keys() == {"spec.hostUsers", "spec.volumes[0].flexVolume"}
    assert "the engine cannot map the users of one pod" in told["spec.hostUsers"]
    plain = admit(manifest("Pod", spec={"containers": [CONTAINER]}))
    assert unsupported(plain) == ()


@pytest.mark.parametrize("policy", ["Recycle", "Retain", "Delete"])
def test_a_volume_that_would_be_recycled_is_refused_in_a_source(policy: str) -> None:
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"],
            "hostPath": {"path": "/data"}, "persistentVolumeReclaimPolicy": policy}  # fmt: skip
    told = [str(error) for error in unsupported(admit(manifest("PersistentVolume", spec=spec)))]
    assert len(told) == (policy == "Recycle")
    for words in told:
        assert words.startswith("spec.persistentVolumeReclaimPolicy: ")
        assert words.endswith("Recycle is not supported; use Retain or Delete")


def test_a_user_namespace_goes_with_no_namespace_of_the_host() -> None:
    unmasked = {"securityContext": {"procMount": "Unmasked"}}
    spec = {"containers": [CONTAINER], "hostUsers": False, "hostPID": True, "hostIPC": True}
    with pytest.raises(Refused) as refused:
        admit(manifest("Pod", spec=spec))
    assert [error.path for error in refused.value.errors] == ["spec.hostPID", "spec.hostIPC"]
    with pytest.raises(Refused, match="`hostUsers` must be false to use `Unmasked`"):
        admit(manifest("Pod", spec={"containers": [CONTAINER | unmasked]}))
    admit(manifest("Pod", spec={"containers": [CONTAINER | unmasked], "hostUsers": False}))


def test_what_did_not_change_is_not_checked_again() -> None:
    pod = admit(manifest("Pod", spec={"containers": [CONTAINER]}))
    broken = pod.replace(spec=pod.spec.replace(restart_policy="x"))  # type: ignore[attr-defined]
    running = broken.replace(status=pod.status.replace(phase="Running"))  # type: ignore[attr-defined]
    assert validate_update(running, broken) == ()
    assert validate_update(broken, pod) != ()


def test_an_update_to_itself_is_no_fault() -> None:
    for kind, members in (
        ("Pod", {"spec": {"containers": [CONTAINER]}}),
        ("Secret", {"immutable": True, "data": {"a": "YQ=="}}),
        ("ConfigMap", {"immutable": True, "data": {"a": "b"}}),
        ("Service", {"spec": {"ports": [{"port": 80}], "clusterIP": "10.96.0.9"}}),
    ):
        first, second = admit(manifest(kind, **members)), admit(manifest(kind, **members))
        assert validate_update(second, first) == ()


def test_go_words() -> None:
    assert go_quote('a"b\\\n\x01é') == r'"a\"b\\\n\x01é"'
    error = FieldError("a", Reason.INVALID, "why", {"k": "v"})
    assert str(error) == 'a: Invalid value: map[string]string{"k":"v"}: why'
    assert error.under("spec").path == "spec.a"


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (names.dns_label, ["a", "a-b", "0", "a" * 63], ["", "-a", "a-", "A", "a.b", "a" * 64]),
        (names.dns_label, [], ["a\n", "\u0663"]),
        (names.dns_subdomain, ["a.b", "a" * 253], ["", "a..b", ".a", "a_b", "a" * 254]),
        (names.dns_1035_label, ["a1"], ["1a", ""]),
        (names.qualified_name, ["a", "A_b.c", "x.y/z"], ["", "/a", "a/", "a/b/c", "X.y/z", "a b"]),
        (names.label_value, ["", "a", "A.b_c-d"], ["-a", "a-", "a b", "é", "a" * 64]),
        (names.config_key, ["a", ".a", "a..b"], ["", ".", "..", "..a", "a/b"]),
        (names.env_name, ["A", "_a", "a.b-c"], ["", "1a", "a=b", "..a"]),
        (names.port_name, ["http", "a1"], ["", "80", "a--b", "-a", "HTTP", "a" * 16]),
        (names.ip_address, ["1.2.3.4", "::1", "010.0.0.1"], ["", "1.2.3", "1.2.3.256", "1_0.1.1"]),
        (names.cidr, ["10.0.0.0/8", "10.1.2.3/8"], ["10.0.0.0", "10.0.0.0/33", ""]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)  # fmt: skip
def test_formats(rule: names.Format, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if rule(text)] == []
    assert [text for text in bad if not rule(text)] == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["name", "spec", "containers", "ports", "image", "a/b", ""]), inner
        )
    ),
    max_leaves=8,
)


@given(st.sampled_from(["Pod", "Service", "ReplicationController", "Secret", "Node"]), json_values)
def test_any_json_is_admitted_or_refused_with_a_reason(kind: str, value: Any) -> None:
    refused: AdmissionError | None = None
    try:
        admitted = admit(manifest(kind, spec=value))
    except AdmissionError as error:
        refused = error
    if refused is None:
        assert admit(admitted.to_dict()) == admitted
    else:
        assert refused.errors
        assert status(refused)["message"]


@pytest.mark.parametrize("families", [["IPv6"], ["IPv4", "IPv6"]])
def test_another_address_family_is_refused_where_it_would_mean_something(
    families: list[str],
) -> None:
    headless = {"clusterIP": "None", "ports": [{"port": 80}], "ipFamilies": families}
    assert admit(manifest("Service", spec=headless)).key.name == "x"
    for spec in ({**headless, "selector": {"a": "b"}}, {**headless, "clusterIP": ""}):
        with pytest.raises(Refused) as refused:
            admit(manifest("Service", spec=spec))
        (error,) = refused.value.errors
        assert error.path == f"spec.ipFamilies[{len(families) - 1}]"
        assert "not configured on this cluster" in str(error)
