"""What is accepted with a warning."""

from base64 import b64encode
from typing import Any

import pytest

from reconciler.admission.admit import admit
from reconciler.admission.warnings import warnings
from reconciler.model.gitops import Source
from reconciler.model.meta import ObjectMeta
from reconciler.model.service import Service, ServiceSpec


def pod(**spec: Any) -> dict[str, Any]:
    containers = spec.pop("containers", [{}])
    named = [{"name": f"c{i}", "image": "i", **each} for i, each in enumerate(containers)]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
            "spec": {"containers": named, **spec}}  # fmt: skip


PORT = {"containerPort": 80}
TLS = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "type": "kubernetes.io/tls"}
PEM = b64encode(b"-----BEGIN CERTIFICATE-----").decode()


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (pod(), []),
        (pod(containers=[{"ports": [PORT]}, {"ports": [{"containerPort": 81}]}]), []),
        (
            pod(containers=[{"ports": [PORT]}, {"ports": [PORT]}]),
            [("spec.containers[1].ports[0]: duplicate port definition with"
             " spec.containers[0].ports[0]")],
        ),
        (
            pod(containers=[{"env": [{"name": "A"}, {"name": "B"}, {"name": "A"}]}]),
            [('spec.containers[0].env[2]: hides previous definition of "A",'
             " which may be dropped when using apply")],
        ),
        (
            pod(containers=[{"resources": {"requests": {"memory": "1500m", "cpu": "1500m"}}}]),
            [('spec.containers[0].resources.requests[memory]: fractional byte value "1500m" is'
             " invalid, must be an integer")],
        ),
        ({**TLS, "data": {"tls.crt": PEM, "tls.key": ""}}, []),
        (
            {**TLS, "data": {"tls.crt": "YQ==", "tls.key": ""}},
            ["tls: failed to find any PEM data in certificate input"],
        ),
    ],
)  # fmt: skip
def test_warnings(manifest: dict[str, Any], told: list[str]) -> None:
    assert list(warnings(admit(manifest))) == told


def test_words_on_a_source_that_mean_nothing_are_told() -> None:
    def told(**words: str) -> list[str]:
        notes = {f"reconciler.dev/{name.replace('_', '-')}": text for name, text in words.items()}
        source = Source(metadata=ObjectMeta(name="s", annotations=notes))
        return [text.partition(": ")[2] for text in warnings(source)]

    assert told(pause_windows="22:00-06:00,Fri-Sun 18:00-08:00", on_failure="hold") == []
    assert told(pause_windows="") == []
    wrong = told(pause_windows="22:00-06:00, noon,25:00-26:00", on_failure="keep")
    assert [text.partition(" ")[0] for text in wrong] == ['"noon"', '"25:00-26:00"', '"keep"']
    assert wrong[2] == '"keep" says nothing: rollback or hold'


@pytest.mark.parametrize("name", ["topology-mode", "topology-aware-hints"])
@pytest.mark.parametrize(("mode", "acts"), [("Auto", True), ("auto", True), ("Disabled", False)])
def test_a_topology_mode_is_said_to_have_no_effect(name: str, mode: str, acts: bool) -> None:
    annotations = {f"service.kubernetes.io/{name}": mode}
    meta = ObjectMeta(name="web", namespace="shop", annotations=annotations)
    told = warnings(Service(metadata=meta, spec=ServiceSpec()))
    assert any("has no effect here" in each and "PreferClose" in each for each in told) is acts
