"""A new image in the same pods, on real Docker: sandbox and address stay."""

from __future__ import annotations

import json

import pytest

from tests.integration.conftest import Launch
from tests.integration.harness import (
    Daemon,
    Engine,
    Manifests,
    namespace_manifest,
    sleepers,
    wait_for,
)
from tests.integration.images import ensure_busybox

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SECOND = "reconciler-test/in-place:2"
ASKED = 'metadata:\n  annotations: {reconciler.dev/update: "in-place"}\n'


def test_a_new_image_restarts_the_containers_in_their_pods(
    manifests: Manifests, launch: Launch, engine: Engine
) -> None:
    first = ensure_busybox()
    engine.derive(SECOND, first, {"EDITION": "2"})
    try:
        manifests.write("namespace.yaml", namespace_manifest("test"))
        web = sleepers("web", 2, first).replace("metadata:\n", ASKED, 1)
        manifests.write("web.yaml", web)
        manifests.commit("Run two pods")
        daemon = launch(manifests.folder)
        wait_for(lambda: len(engine.running("web", "test")) == 2, "two pods")
        before = places(engine)
        (daemon.folder / "next").mkdir()
        (daemon.folder / "next" / "namespace.yaml").write_text(namespace_manifest("test"))
        (daemon.folder / "next" / "web.yaml").write_text(web.replace(first, SECOND))
        told = planned(daemon, "next")
        assert [(each["fate"], each["cause"]) for each in told] == [
            ("in-place", "spec.template.spec.containers[main].image")
        ] * 2

        manifests.write("web.yaml", web.replace(first, SECOND))
        manifests.commit("Run the second edition")
        wait_for(lambda: images(engine) == {SECOND}, "the second edition")
        wait_for(lambda: "Healthy" in daemon.command("status").stdout.split("\n")[0], "health")
        assert places(engine) == before
        for container in engine.running("web", "test").values():
            assert engine.environment(container)["EDITION"] == "2"
            assert container.name.endswith("_1")  # restarted once
    finally:
        engine.remove_image(SECOND)


def images(engine: Engine) -> set[str]:
    running = engine.running("web", "test").values()
    return {each.image for each in running} if len(running) == 2 else set()


def places(engine: Engine) -> dict[str, tuple[str, str]]:
    """Return id and address of the sandbox of each pod."""
    boxes = [each for each in engine.containers("test") if each.sandbox and each.running]
    labels = {box.id: engine.api.inspect_container(box.id)["Config"]["Labels"] for box in boxes}
    return {box.pod: (box.id, labels[box.id]["reconciler.dev/pod-ip"]) for box in boxes}


def planned(daemon: Daemon, folder: str) -> list[dict[str, str]]:
    place = str(daemon.folder / folder)
    done = daemon.command("plan", "-o", "json", "--source", place, check=False)
    assert done.returncode == 2
    pods: list[dict[str, str]] = json.loads(done.stdout)["pods"]
    return pods
