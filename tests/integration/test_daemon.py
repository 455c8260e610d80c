"""The daemon's own life on a host: crashes, orderly ends, rivals."""

from __future__ import annotations

import pytest

from tests.integration.conftest import Launch
from tests.integration.harness import (
    Daemon,
    Engine,
    Manifests,
    holds,
    namespace_manifest,
    sleepers,
    wait_for,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


@pytest.fixture
def quiet(manifests: Manifests, busybox: str) -> Manifests:
    """Two pods that only wait."""
    manifests.write("namespace.yaml", namespace_manifest("test"))
    manifests.write("first.yaml", sleepers("first", 2, busybox))
    manifests.commit("Run two pods")
    return manifests


def ids(engine: Engine) -> dict[str, str]:
    """Return the running containers and sandboxes of the namespace by ID."""
    return {each.id: each.name for each in engine.containers("test") if each.running}


def exactly(engine: Engine, count: int) -> dict[str, str]:
    """Wait until `count` pods run, each with one sandbox and one container, and nothing else."""

    def settled() -> dict[str, str]:
        found = engine.containers("test")
        assert all(each.running for each in found), found
        sandboxes = [each.pod_uid for each in found if each.sandbox]
        containers = [each.pod_uid for each in found if not each.sandbox]
        assert len(sandboxes) == len(set(sandboxes)) == count, found
        assert sorted(sandboxes) == sorted(containers), found
        return ids(engine)

    return wait_for(settled, f"exactly {count} pods")


@pytest.mark.parametrize("started", [1, 4, 9])
def test_killed_while_ten_pods_start(
    started: int, quiet: Manifests, launch: Launch, engine: Engine, busybox: str
) -> None:
    daemon = launch(quiet.folder)
    before = exactly(engine, 2)
    quiet.write("second.yaml", sleepers("second", 10, busybox))
    quiet.commit("Run ten more")
    wait_for(lambda: len(engine.running("second", "test")) >= started, "some pods", interval=0.005)
    daemon.kill()
    survivors = ids(engine)
    complete = engine.running("second", "test")
    assert set(before) <= set(survivors)

    daemon.start()
    after = exactly(engine, 12)
    assert set(before) <= set(after)
    assert {each.id for each in complete.values()} <= set(after)


def test_stopped_in_order_and_started_again_without_churn(
    quiet: Manifests, launch: Launch, engine: Engine
) -> None:
    daemon = launch(quiet.folder)
    before = exactly(engine, 2)
    assert daemon.stop() == 0
    assert ids(engine) == before
    daemon.start()
    wait_for(
        lambda: "Healthy" in daemon.command("status", check=False).stdout, "a healthy revision"
    )
    holds(lambda: ids(engine) == before, "no container is touched", 2)


def test_a_change_made_while_the_daemon_was_down_is_applied(
    quiet: Manifests, launch: Launch, engine: Engine
) -> None:
    daemon = launch(quiet.folder)
    before = exactly(engine, 2)
    assert daemon.stop() == 0
    engine.remove(next(each for each in engine.containers("test") if not each.sandbox))
    quiet.replace("first.yaml", "replicas: 2", "replicas: 3")
    quiet.commit("Run one more")
    daemon.start()
    after = exactly(engine, 3)
    assert len(set(before) & set(after)) >= 3


def test_a_second_daemon_is_refused_and_told_who_owns_the_host(
    quiet: Manifests, launch: Launch, engine: Engine
) -> None:
    first = launch(quiet.folder)
    before = exactly(engine, 2)
    assert first.process is not None
    second = Daemon(quiet.folder, first.folder / "second")
    second.folder.mkdir()
    second.start()
    assert second.process is not None
    assert second.process.wait(20) == 1
    log = second.log_path.read_text()
    assert str(first.process.pid) in log, log
    assert str(first.state_dir) in log, log
    holds(lambda: ids(engine) == before, "the first daemon's pods", 1)
    assert first.process.poll() is None


def test_down_leaves_other_containers_alone(
    quiet: Manifests, launch: Launch, engine: Engine, busybox: str
) -> None:
    bystander = engine.api.create_container(busybox, ["sleep", "300"])["Id"]
    engine.api.start(bystander)
    try:
        daemon = launch(quiet.folder)
        exactly(engine, 2)
        assert daemon.clean() == []
        assert engine.api.inspect_container(bystander)["State"]["Running"]
    finally:
        engine.api.remove_container(bystander, force=True)
