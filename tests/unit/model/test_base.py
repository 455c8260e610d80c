import pytest
from pydantic import ValidationError

from reconciler.model.base import EMPTY, Model, camel
from reconciler.model.meta import ObjectKey, ObjectMeta
from reconciler.model.pod import Pod, PodSpec
from reconciler.model.service import Service


@pytest.mark.parametrize(
    ("python", "json"),
    [
        ("pod_cidr", "podCIDR"),
        ("cluster_ips", "clusterIPs"),
        ("downward_api", "downwardAPI"),
        ("host_ip", "hostIP"),
        ("set_hostname_as_fqdn", "setHostnameAsFQDN"),
        ("scale_io", "scaleIO"),
        ("ip_family_policy", "ipFamilyPolicy"),
        ("continue_", "continue"),
    ],
)
def test_json_names(python: str, json: str) -> None:
    assert camel(python) == json


def test_zero_values_vanish_and_always_fields_stay() -> None:
    assert Pod(metadata=ObjectMeta(name="p")).to_dict() == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "p", "creationTimestamp": None},
        "spec": {"containers": []},
        "status": {},
    }


def test_pointers_keep_their_zero() -> None:
    assert PodSpec(priority=0, enable_service_links=False).to_dict() == {
        "containers": [],
        "priority": 0,
        "enableServiceLinks": False,
    }


def test_replace_leaves_the_original_and_shares_the_rest() -> None:
    pod = Pod(metadata=ObjectMeta(name="p", labels={"a": "b"}))
    bound = pod.replace(spec=pod.spec.replace(node_name="n"))
    assert (pod.spec.node_name, bound.spec.node_name) == ("", "n")
    assert bound.metadata is pod.metadata
    assert bound == Pod.model_validate_json(bound.to_json())
    assert bound != pod


def test_models_are_frozen() -> None:
    pod = Pod()
    with pytest.raises(ValidationError):
        pod.spec = PodSpec()  # type: ignore[misc]
    with pytest.raises(TypeError):
        EMPTY["a"] = "b"


def test_unknown_fields_and_wrong_types_are_errors() -> None:
    for text in (b'{"spec":{"foo":1}}', b'{"spec":{"hostNetwork":"true"}}', b'{"spec":[]}'):
        with pytest.raises(ValidationError):
            Pod.model_validate_json(text)


def test_keys_are_qualified_outside_core() -> None:
    pod = Pod(metadata=ObjectMeta(name="p", namespace="d"))
    assert pod.key == ObjectKey("Pod", "d", "p")
    assert str(pod.key) == "Pod d/p"


def test_port_of_a_service_may_be_a_number_or_a_name() -> None:
    text = b'{"spec":{"ports":[{"port":80,"targetPort":"web"},{"port":81,"targetPort":8081}]}}'
    ports = Service.model_validate_json(text).spec.ports
    assert [port.target_port for port in ports] == ["web", 8081]


def test_objects_are_equal_by_type_and_fields() -> None:
    one, same = PodSpec(priority=1, node_name="n"), PodSpec(node_name="n", priority=1)
    assert one == same
    assert hash(one) == hash(same)
    assert one != PodSpec(priority=2, node_name="n")
    assert PodSpec() != ObjectMeta()
    assert PodSpec() != {}
    assert one.replace(priority=2) == PodSpec(priority=2, node_name="n")


class Leaf(Model):
    size: int = 0


class Branch(Model):
    leaves: dict[str, tuple[Leaf, ...]] = EMPTY
    branches: tuple["Branch", ...] = ()
    tip: Leaf | None = None


def test_the_models_of_fields_are_built_first_whatever_holds_them() -> None:
    assert not Leaf.__pydantic_complete__
    tree = Branch.model_validate_json('{"branches": [{"leaves": {"a": [{"size": 2}]}}]}')
    assert tree.branches[0].leaves == {"a": (Leaf(size=2),)}
    assert Leaf.__pydantic_complete__
