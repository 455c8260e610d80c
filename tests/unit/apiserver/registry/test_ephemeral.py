"""The subresource ephemeralcontainers: what a pod that runs may be given, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.registry import Registry
from reconciler.model.container import EphemeralContainer
from reconciler.model.pod import Pod

POD = {"containers": [{"name": "c", "image": "x"}]}
PART = "ephemeralcontainers"


@pytest.fixture
def pod(virtual: Any, registry: Registry, make: Any) -> Pod:
    made: Pod = virtual.run_until_complete(registry.create(make("Pod", "p", spec=POD)))
    return made


def debugged(pod: Pod, *containers: dict[str, Any]) -> Pod:
    added = tuple(EphemeralContainer.model_validate(each, by_alias=True) for each in containers)
    return pod.replace(spec=pod.spec.replace(ephemeral_containers=added))


def refusal(virtual: Any, write: Any) -> str:
    with pytest.raises(StatusError) as caught:
        virtual.run_until_complete(write)
    assert caught.value.code == 422
    return caught.value.message


def test_a_pod_gets_an_ephemeral_container_and_nothing_else(
    virtual: Any, registry: Registry, pod: Pod
) -> None:
    wanted = debugged(pod, {"name": "d", "image": "y", "targetContainerName": "c"})
    wanted = wanted.replace(
        metadata=wanted.metadata.replace(labels={"a": "b"}),
        spec=wanted.spec.replace(active_deadline_seconds=5),
    )
    stored = virtual.run_until_complete(registry.update(wanted, subresource=PART))
    (added,) = stored.spec.ephemeral_containers
    assert (added.name, added.termination_message_policy) == ("d", "File")
    assert stored.spec.active_deadline_seconds is None
    assert not stored.metadata.labels
    relabelled = stored.replace(
        metadata=stored.metadata.replace(labels={"a": "b"}),
        spec=stored.spec.replace(active_deadline_seconds=9),
    )
    kept = virtual.run_until_complete(registry.update(relabelled))
    assert kept.spec.ephemeral_containers == stored.spec.ephemeral_containers


def test_what_is_there_stays_as_it_is(virtual: Any, registry: Registry, pod: Pod) -> None:
    first = {"name": "d", "image": "y"}
    stored = virtual.run_until_complete(registry.update(debugged(pod, first), subresource=PART))
    gone = refusal(virtual, registry.update(debugged(stored), subresource=PART))
    assert 'existing ephemeral containers "d" may not be removed' in gone
    other = debugged(stored, {**first, "image": "z"})
    assert "may not be changed" in refusal(virtual, registry.update(other, subresource=PART))
    again = virtual.run_until_complete(registry.update(stored, subresource=PART))
    assert again == stored


def test_an_update_of_the_pod_adds_none(virtual: Any, registry: Registry, pod: Pod) -> None:
    wanted = debugged(pod, {"name": "d", "image": "y"})
    assert "spec: Forbidden" in refusal(virtual, registry.update(wanted))


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"name": "c", "image": "y"}, 'name: Duplicate value: "c"'),
        ({"name": "d"}, "image: Required value"),
        ({"name": "d", "image": " y"}, "must not have leading or trailing whitespace"),
        (
            {"name": "d", "image": "y", "targetContainerName": "no"},
            'targetContainerName: Not found: "no"',
        ),
        (
            {"name": "d", "image": "y", "livenessProbe": {"tcpSocket": {"port": 1}}},
            "livenessProbe: Forbidden: cannot be set for an Ephemeral Container",
        ),
        (
            {"name": "d", "image": "y", "resources": {"limits": {"cpu": "1"}}},
            "resources: Forbidden: cannot be set for an Ephemeral Container",
        ),
    ],
)
def test_what_none_may_have(
    virtual: Any, registry: Registry, pod: Pod, container: dict[str, Any], words: str
) -> None:
    assert words in refusal(virtual, registry.update(debugged(pod, container), subresource=PART))
