"""A container's environment, by Kubernetes' rules."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.kubelet.env import (
    ConfigError,
    Environment,
    Reference,
    Surroundings,
    environment,
    references,
)
from reconciler.kubelet.expansion import expand
from reconciler.kubelet.serviceenv import service_variables
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.pod import Pod
from reconciler.model.service import Service

SECRET = Secret.model_validate_json(
    b'{"metadata":{"name":"s"},"data":{"key":"aGlkZGVu","other.key":"eA=="}}'
)
CONFIG = ConfigMap.model_validate_json(
    b'{"metadata":{"name":"c"},"data":{"B":"2","A":"1","1bad":"x","dot.ted":"d"}}'
)


def a_pod(**container: Any) -> Pod:
    return Pod.model_validate_json(
        json.dumps(
            {
                "metadata": {
                    "name": "web",
                    "namespace": "shop",
                    "uid": "u",
                    "labels": {"app": "x"},
                    "annotations": {"a/b": "note"},
                },
                "spec": {
                    "nodeName": "n1",
                    "serviceAccountName": "sa",
                    "containers": [{"name": "app", "image": "i", **container}],
                },
            }
        )
    )


def built(around: Surroundings | None = None, **container: Any) -> Environment:
    pod = a_pod(**container)
    return environment(pod, pod.spec.containers[0], around or Surroundings())


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)", "x1y2"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$$$$(A)", "$$(A)"),
        ("$(missing)", "$(missing)"),
        ("$(A", "$(A"),
        ("$A", "$A"),
        ("$", "$"),
        ("a$", "a$"),
        ("$()", "$()"),
        ("$($(A))", "$($(A))"),
        ("plain", "plain"),
        ("$(A)$(A)$(A)", "111"),
    ],
)
def test_expansion(text: str, expanded: str) -> None:
    assert expand(text, {"A": "1", "B": "2"}.get) == expanded


@given(st.text(alphabet="$()AB x", max_size=30))
def test_a_text_without_known_names_only_loses_doubled_dollars(text: str) -> None:
    assert expand(text, lambda _: None).replace("$", "") == text.replace("$", "")


def test_values_refer_to_those_before_them() -> None:
    found = built(
        env=[
            {"name": "A", "value": "1"},
            {"name": "B", "value": "$(A)-$(LATER)"},
            {"name": "LATER", "value": "x"},
        ]
    )
    assert dict(found.variables) == {"A": "1", "B": "1-$(LATER)", "LATER": "x"}
    assert found.expand(("$(B)", "$(NOBODY)")) == ("1-$(LATER)", "$(NOBODY)")


def test_fields_of_the_pod() -> None:
    paths = {
        "metadata.name": "web",
        "metadata.namespace": "shop",
        "metadata.uid": "u",
        "metadata.labels['app']": "x",
        "metadata.annotations['a/b']": "note",
        "metadata.labels['none']": "",
        "spec.nodeName": "n1",
        "spec.serviceAccountName": "sa",
        "status.hostIP": "192.0.2.1",
        "status.podIP": "10.0.0.2",
    }
    env = [
        {"name": f"V{n}", "valueFrom": {"fieldRef": {"fieldPath": path}}}
        for n, path in enumerate(paths)
    ]
    found = built(Surroundings(host_ip="192.0.2.1", pod_ip="10.0.0.2"), env=env)
    assert list(found.variables.values()) == list(paths.values())
    with pytest.raises(ConfigError, match=r"unsupported fieldPath: spec\.nope"):
        built(env=[{"name": "X", "valueFrom": {"fieldRef": {"fieldPath": "spec.nope"}}}])


@pytest.mark.parametrize(
    ("resource", "divisor", "value"),
    [
        ("limits.cpu", "0", "1"),
        ("limits.cpu", "1m", "500"),
        ("requests.cpu", "0", "1"),
        ("limits.memory", "1Mi", "64"),
        ("limits.memory", "0", str(64 << 20)),
        ("limits.ephemeral-storage", "1Gi", "10"),
    ],
)
def test_resources(resource: str, divisor: str, value: str) -> None:
    found = built(
        Surroundings(allocatable={"ephemeral-storage": "10Gi"}),
        resources={"limits": {"cpu": "500m", "memory": "64Mi"}, "requests": {"cpu": "250m"}},
        env=[
            {
                "name": "R",
                "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}},
            }
        ],
    )
    assert found.variables["R"] == value


def test_everything_of_a_config_map_and_a_secret() -> None:
    around = Surroundings(config_maps={"c": CONFIG}, secrets={"s": SECRET})
    found = built(
        around,
        envFrom=[
            {"configMapRef": {"name": "c"}, "prefix": "C_"},
            {"secretRef": {"name": "s"}},
        ],
        env=[{"name": "C_A", "value": "own"}],
    )
    assert dict(found.variables) == {
        "C_1bad": "x",
        "C_B": "2",
        "C_dot.ted": "d",
        "key": "hidden",
        "other.key": "x",
        "C_A": "own",
    }
    assert found.secret == {"key", "other.key"}


def test_secret_values_and_what_is_made_of_them_stay_apart() -> None:
    found = built(
        Surroundings(secrets={"s": SECRET}),
        env=[
            {"name": "A", "value": "open"},
            {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
            {"name": "URL", "value": "x://$(S)@host/$(A)"},
            {"name": "S", "value": "overridden"},
        ],
    )
    assert found.plain() == (("A", "open"), ("S", "overridden"))
    assert found.hidden() == b"URL=x://hidden@host/open\0"
    assert found.reveals(("--a=$(A)", "--url=$(URL)"))
    assert not found.reveals(("--a=$(A)", "--url=$$(URL)", "$(UNKNOWN)"))
    assert found.expand(("--url=$(URL)", "$$(URL)")) == ("--url=x://hidden@host/open", "$(URL)")


def test_keys_that_are_no_names_are_left_out_and_told() -> None:
    found = built(
        Surroundings(config_maps={"c": CONFIG}, secrets={"s": SECRET}),
        envFrom=[
            {"prefix": "a=b", "configMapRef": {"name": "c"}},
            {"prefix": "1 ", "secretRef": {"name": "s"}},
        ],
    )
    assert all(name.startswith("1 ") for name in found.variables)
    keys = ", ".join(sorted(f"a=b{key}" for key in CONFIG.data))
    assert found.skipped == (
        (
            f"Keys [{keys}] from the EnvFrom configMap shop/c were skipped since they are "
            "considered invalid environment variable names."
        ),
    )


def test_a_value_with_a_zero_byte_is_refused_and_not_shown() -> None:
    binary = Secret.model_validate_json(b'{"metadata":{"name":"s"},"data":{"key":"YQBYPTE="}}')
    with pytest.raises(ConfigError, match="the value of variable key has a zero byte"):
        built(Surroundings(secrets={"s": binary}), envFrom=[{"secretRef": {"name": "s"}}])


def test_what_is_missing_is_told_unless_optional() -> None:
    def source(kind: str, name: str, key: str, *, optional: bool = False) -> dict[str, Any]:
        ref = {"name": name, "key": key, "optional": optional}
        return {"env": [{"name": "X", "valueFrom": {f"{kind}KeyRef": ref}}]}

    around = Surroundings(config_maps={"c": CONFIG}, secrets={"s": SECRET})
    with pytest.raises(ConfigError, match=r"couldn't find key no in ConfigMap shop/c"):
        built(around, **source("configMap", "c", "no"))
    with pytest.raises(ConfigError, match=r"couldn't find key no in Secret shop/s"):
        built(around, **source("secret", "s", "no"))
    with pytest.raises(ConfigError, match='configmap "gone" not found'):
        built(around, **source("configMap", "gone", "k"))
    with pytest.raises(ConfigError, match='secret "gone" not found'):
        built(around, envFrom=[{"secretRef": {"name": "gone"}}])
    assert built(around, **source("secret", "gone", "k", optional=True)).variables == {}
    assert built(around, **source("configMap", "c", "no", optional=True)).variables == {}


def test_references_name_what_must_be_looked_up() -> None:
    pod = a_pod(
        envFrom=[{"configMapRef": {"name": "a"}}, {"secretRef": {"name": "b"}}],
        env=[
            {"name": "X", "valueFrom": {"secretKeyRef": {"name": "c", "key": "k"}}},
            {"name": "Y", "valueFrom": {"configMapKeyRef": {"name": "a", "key": "k"}}},
        ],
    )
    assert references(pod.spec.containers[0]) == {
        Reference(ConfigMap, "a"),
        Reference(Secret, "b"),
        Reference(Secret, "c"),
    }


def service(name: str, namespace: str, address: str, *ports: dict[str, Any]) -> Service:
    return Service.model_validate_json(
        json.dumps(
            {
                "metadata": {"name": name, "namespace": namespace},
                "spec": {"clusterIP": address, "ports": list(ports)},
            }
        )
    )


SERVICES = (
    service("redis-master", "shop", "10.96.0.5", {"port": 6379, "protocol": "TCP"}),
    service(
        "dns",
        "shop",
        "10.96.0.6",
        {"name": "udp-dns", "port": 53, "protocol": "UDP"},
        {"name": "tcp", "port": 53, "protocol": "TCP"},
    ),
    service("headless", "shop", "None", {"port": 1}),
    service("other", "elsewhere", "10.96.0.7", {"port": 1}),
    service("kubernetes", "default", "10.96.0.1", {"name": "https", "port": 443}),
)


def test_service_variables_are_kubernetes_own_in_order() -> None:
    found = service_variables(SERVICES, "shop", links=True)
    assert list(found.items()) == [
        ("DNS_SERVICE_HOST", "10.96.0.6"),
        ("DNS_SERVICE_PORT", "53"),
        ("DNS_SERVICE_PORT_UDP_DNS", "53"),
        ("DNS_SERVICE_PORT_TCP", "53"),
        ("DNS_PORT", "udp://10.96.0.6:53"),
        ("DNS_PORT_53_UDP", "udp://10.96.0.6:53"),
        ("DNS_PORT_53_UDP_PROTO", "udp"),
        ("DNS_PORT_53_UDP_PORT", "53"),
        ("DNS_PORT_53_UDP_ADDR", "10.96.0.6"),
        ("DNS_PORT_53_TCP", "tcp://10.96.0.6:53"),
        ("DNS_PORT_53_TCP_PROTO", "tcp"),
        ("DNS_PORT_53_TCP_PORT", "53"),
        ("DNS_PORT_53_TCP_ADDR", "10.96.0.6"),
        ("KUBERNETES_SERVICE_HOST", "10.96.0.1"),
        ("KUBERNETES_SERVICE_PORT", "443"),
        ("KUBERNETES_SERVICE_PORT_HTTPS", "443"),
        ("KUBERNETES_PORT", "tcp://10.96.0.1:443"),
        ("KUBERNETES_PORT_443_TCP", "tcp://10.96.0.1:443"),
        ("KUBERNETES_PORT_443_TCP_PROTO", "tcp"),
        ("KUBERNETES_PORT_443_TCP_PORT", "443"),
        ("KUBERNETES_PORT_443_TCP_ADDR", "10.96.0.1"),
        ("REDIS_MASTER_SERVICE_HOST", "10.96.0.5"),
        ("REDIS_MASTER_SERVICE_PORT", "6379"),
        ("REDIS_MASTER_PORT", "tcp://10.96.0.5:6379"),
        ("REDIS_MASTER_PORT_6379_TCP", "tcp://10.96.0.5:6379"),
        ("REDIS_MASTER_PORT_6379_TCP_PROTO", "tcp"),
        ("REDIS_MASTER_PORT_6379_TCP_PORT", "6379"),
        ("REDIS_MASTER_PORT_6379_TCP_ADDR", "10.96.0.5"),
    ]


def test_without_links_only_the_api_server_is_told() -> None:
    found = service_variables(SERVICES, "shop", links=False)
    assert {name.partition("_")[0] for name in found} == {"KUBERNETES"}


def test_own_variables_beat_service_variables() -> None:
    around = Surroundings(services={"A_HOST": "service", "B": "service"})
    found = built(around, env=[{"name": "A_HOST", "value": "own"}, {"name": "C", "value": "$(B)"}])
    assert list(found.variables.items()) == [("A_HOST", "own"), ("C", "service"), ("B", "service")]
