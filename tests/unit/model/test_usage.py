"""What pods count for: sums, init containers and sidecars, overhead."""

from __future__ import annotations

from reconciler.model import usage
from reconciler.model.container import Container, ResourceRequirements
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import Pod, PodSpec


def make_container(name: str, cpu: str, *, sidecar: bool = False) -> Container:
    resources = ResourceRequirements(requests={"cpu": cpu})
    policy = "Always" if sidecar else None
    return Container(name=name, image="i", resources=resources, restart_policy=policy)


def make_pod(*containers: Container, first: tuple[Container, ...] = (), **more: object) -> Pod:
    spec = PodSpec(containers=containers, init_containers=first, **more)  # type: ignore[arg-type]
    return Pod(metadata=ObjectMeta(name="p", namespace="n"), spec=spec)


def test_containers_add_up() -> None:
    pod = make_pod(make_container("a", "600m"), make_container("b", "600m"))
    assert usage.pod_requests(pod) == {"cpu": "1200m"}


def test_the_largest_init_container_counts_when_it_is_more() -> None:
    first = (make_container("i", "3"), make_container("j", "2"))
    assert usage.pod_requests(make_pod(make_container("a", "1"), first=first)) == {"cpu": "3"}


def test_a_sidecar_adds_to_what_runs_beside_it() -> None:
    first = (make_container("s", "1", sidecar=True), make_container("i", "3"))
    assert usage.pod_requests(make_pod(make_container("a", "1"), first=first)) == {"cpu": "4"}
    first = (make_container("i", "1"), make_container("s", "1", sidecar=True))
    assert usage.pod_requests(make_pod(make_container("a", "2"), first=first)) == {"cpu": "3"}


def test_overhead_is_added() -> None:
    pod = make_pod(make_container("a", "1"), overhead={"cpu": "250m"})
    assert usage.pod_requests(pod) == {"cpu": "1250m"}


def test_what_a_container_does_not_say_is_missing() -> None:
    pod = make_pod(make_container("a", "1"), Container(name="b", image="i"))
    names = ("requests.cpu", "limits.memory", "pods")
    assert usage.missing(names, pod) == {"limits.memory": ["a", "b"], "requests.cpu": ["b"]}
