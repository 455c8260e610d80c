from typing import Any

import pytest

from reconciler.admission.decode import decode
from reconciler.admission.defaultpod import default_pull_policy
from reconciler.admission.defaults import apply_defaults


def defaulted(kind: str, **members: Any) -> Any:
    return apply_defaults(
        decode({"apiVersion": "v1", "kind": kind, "metadata": {"name": "x"}, **members})
    )


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("redis", "Always"),
        ("redis:latest", "Always"),
        ("localhost:5000/redis", "Always"),
        ("redis:7", "IfNotPresent"),
        ("example.com:5000/a/b:v1.2", "IfNotPresent"),
        ("redis@sha256:" + "a" * 64, "IfNotPresent"),
        (" ", "IfNotPresent"),
        ("", "IfNotPresent"),
    ],
)
def test_pull_policy(image: str, policy: str) -> None:
    assert default_pull_policy(image) == policy


def test_defaulting_twice_gives_the_very_same_object() -> None:
    container = {"name": "c", "image": "x", "ports": [{"containerPort": 80}],
                 "readinessProbe": {"httpGet": {"port": 80}}}  # fmt: skip
    objects = [
        defaulted("Pod", spec={"containers": [container], "volumes": [{"name": "v"}]}),
        defaulted(
            "ReplicationController",
            spec={"template": {"metadata": {"labels": {"a": "b"}},
                               "spec": {"containers": [container]}}},
        ),
        defaulted("Service", spec={"ports": [{"port": 80}], "sessionAffinity": "ClientIP"}),
        defaulted("Secret", stringData={"a": "b"}),
        defaulted("Namespace"),
        defaulted("PersistentVolume", spec={"hostPath": {"path": "/x"}}),
        defaulted("PersistentVolumeClaim"),
        defaulted("Endpoints", subsets=[{"ports": [{"port": 1}]}]),
        defaulted("LimitRange", spec={"limits": [{"type": "Container", "max": {"cpu": "1"}}]}),
    ]  # fmt: skip
    for obj in objects:
        assert apply_defaults(obj) == obj
        if obj.kind != "LimitRange":
            assert apply_defaults(obj) is obj


def test_string_data_goes_into_data() -> None:
    secret = defaulted("Secret", data={"a": "YQ==", "b": "Yg=="}, stringData={"a": "z"})
    assert (secret.data, secret.string_data) == ({"a": "eg==", "b": "Yg=="}, {})


def test_templates_get_no_service_links_and_no_requests() -> None:
    container = {"name": "c", "image": "x", "resources": {"limits": {"cpu": "1"}}}
    template = {"spec": {"containers": [container]}}
    spec = defaulted("PodTemplate", template=template).template.spec
    assert spec.enable_service_links is None
    assert spec.containers[0].resources.requests == {}
    pod = defaulted("Pod", **template)
    assert pod.spec.enable_service_links is True
    assert pod.spec.containers[0].resources.requests == {"cpu": "1"}


@pytest.mark.parametrize(
    ("kind", "entry", "mode"),
    [
        ("LoadBalancer", {"ip": "192.0.2.7"}, "VIP"),
        ("LoadBalancer", {"ip": "192.0.2.7", "ipMode": "Proxy"}, "Proxy"),
        ("LoadBalancer", {"hostname": "lb.example"}, None),
        ("NodePort", {"ip": "192.0.2.7"}, None),
    ],
)
def test_a_load_balancers_address_is_one_that_packets_keep(
    kind: str, entry: dict[str, str], mode: str | None
) -> None:
    service = defaulted(
        "Service",
        spec={"type": kind, "ports": [{"port": 80}]},
        status={"loadBalancer": {"ingress": [entry]}},
    )
    assert service.status.load_balancer.ingress[0].ip_mode == mode


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"podCIDR": "10.1.0.0/24"}, ("10.1.0.0/24", ("10.1.0.0/24",))),
        ({"podCIDRs": ["10.1.0.0/24"]}, ("10.1.0.0/24", ("10.1.0.0/24",))),
        (
            {"podCIDR": "10.2.0.0/24", "podCIDRs": ["10.1.0.0/24"]},
            ("10.2.0.0/24", ("10.2.0.0/24",)),
        ),
        ({}, ("", ())),
    ],
)
def test_a_nodes_range_has_two_names(given: Any, told: Any) -> None:
    meta = {"name": "n"}
    node: Any = apply_defaults(
        decode({"apiVersion": "v1", "kind": "Node", "metadata": meta, "spec": given})
    )
    assert (node.spec.pod_cidr, node.spec.pod_cidrs) == told
