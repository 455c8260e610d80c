"""What server-side apply finds wrong by the schema alone, in structured merge's words."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from reconciler.apiserver.http.message import Reply
from reconciler.apiserver.http.patches import typed
from reconciler.model import schema
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import PodSpec
from reconciler.model.service import ServiceSpec
from tests.unit.apiserver.http.test_api import MAPS, api, ask


@pytest.mark.parametrize(
    ("value", "wanted"),
    [
        ({"hostNetwork": "yes"}, 'hostNetwork: expected boolean, got {Value:"yes"}'),
        ({"hostname": 5}, "hostname: expected string, got {Value:5}"),
        ({"hostname": {"a": [None]}}, ("hostname: expected string, got {Value:map[string]interface"
         ' {}{"a":[]interface {}{interface {}(nil)}}}')),
        ({"priority": True}, "priority: expected numeric (int or float), got bool"),
        ({"nodeSelector": [1]}, "nodeSelector: expected map, got &{[1]}"),
        ({"nodeSelector": {"a": 5}}, "nodeSelector.a: expected string, got {Value:5}"),
        ({"containers": {"a": 1}}, "containers: expected list, got &{map[a:1]}"),
        ({"containers": "c"}, "containers: expected list, got &{c}"),
        ({"containers": [{"name": "c", "color": "red"}]},
         'containers[name="c"].color: field not declared in schema'),
        ({"containers": [{"name": "c", "command": ["a", 1]}]},
         'containers[name="c"].command[1]: expected string, got {Value:1}'),
        ({"containers": [{"image": "i"}]}, ("containers: element 0: associative list with keys has"
         ' an element that omits key field "name" (and doesn\'t have default value)')),
        ({"containers": [{"name": "c", "ports": [{"containerPort": 80}] * 2}]},
         'containers[name="c"].ports: duplicate entries for key [containerPort=80,protocol="TCP"]'),
        ({"tolerations": [{"key": "a"}] * 2, "hostname": None}, ""),
        ({"containers": [{"name": "c", "resources": {"limits": {"cpu": 1, "memory": "1Gi"}}}]}, ""),
    ],
)  # fmt: skip
def test_a_fault_is_told_with_its_path(value: dict[str, Any], wanted: str) -> None:
    found = "\n".join(typed.faults(schema.of(PodSpec), value))
    assert found.replace("&value.valueUnstructured", "") == (wanted and f".{wanted}")


def test_items_of_a_set_stand_there_once() -> None:
    found = list(typed.faults(schema.of(ObjectMeta), {"finalizers": ["a", "b", "a"]}))
    assert found == ['.finalizers: duplicate entries for key [="a"]']


def test_a_port_may_be_a_number_or_a_name() -> None:
    for port in (80, "http"):
        ports = {"ports": [{"port": 1, "targetPort": port}]}
        assert not list(typed.faults(schema.of(ServiceSpec), ports))


async def test_several_faults_are_told_together_and_nothing_is_made() -> None:
    served = await api()
    manifest = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "x": 1, "y": 2}
    asked = ask("PATCH", f"{MAPS}/a", manifest, content_type="application/apply-patch+yaml")
    answer = await served.handle(replace(asked, query={"fieldManager": ["m"]}))
    assert isinstance(answer, Reply)
    assert answer.code == 500
    assert json.loads(answer.body)["message"] == (
        "failed to create typed patch object (/a; /v1, Kind=ConfigMap): errors:\n"
        "  .x: field not declared in schema\n  .y: field not declared in schema"
    )
    assert (await served.handle(ask("GET", f"{MAPS}/a"))).code == 404
