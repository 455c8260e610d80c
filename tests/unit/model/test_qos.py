"""One quality of service for the registry and the kubelet."""

from __future__ import annotations

import pytest

from reconciler.model.container import Container, ResourceRequirements
from reconciler.model.pod import PodSpec
from reconciler.model.qos import qos_class

Amounts = dict[str, str]


def spec(*containers: tuple[Amounts, Amounts]) -> PodSpec:
    return PodSpec(
        containers=tuple(
            Container(
                name=f"c{number}", resources=ResourceRequirements(requests=asked, limits=most)
            )
            for number, (asked, most) in enumerate(containers)
        )
    )


WHOLE = {"cpu": "1", "memory": "1Gi"}


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([({}, {})], "BestEffort"),
        ([({"cpu": "0"}, {"memory": "0"})], "BestEffort"),
        ([({"ephemeral-storage": "1Gi"}, {})], "BestEffort"),
        ([(WHOLE, WHOLE)], "Guaranteed"),
        ([({"cpu": "1000m", "memory": "1024Mi"}, WHOLE)], "Guaranteed"),
        ([({}, WHOLE)], "Burstable"),
        ([(WHOLE, WHOLE), ({}, {})], "Burstable"),
        ([({"cpu": "500m", "memory": "1Gi"}, WHOLE)], "Burstable"),
        ([(WHOLE, {"cpu": "1"})], "Burstable"),
    ],
)
def test_classes(containers: list[tuple[Amounts, Amounts]], expected: str) -> None:
    assert qos_class(spec(*containers)) == expected


def test_init_containers_count() -> None:
    whole = spec((WHOLE, WHOLE))
    init = Container(name="i")
    assert qos_class(whole.replace(init_containers=(init,))) == "Burstable"
