"""The guestbook, run by the real daemon from Git: what a commit does, what a fault undoes."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.integration.conftest import Launch
from tests.integration.harness import (
    GUESTBOOK,
    Container,
    Engine,
    Manifests,
    fetch,
    hammer,
    holds,
    wait_for,
)

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

FRONTEND = "guestbook/frontend.yaml"
SLAVE = "guestbook/redis-slave.yaml"


def pods(engine: Engine, prefix: str, count: int) -> dict[str, Container]:
    """Wait until exactly `count` pods of that prefix run and no other container is left of it."""

    def settled() -> dict[str, Container]:
        running = engine.running(prefix)
        assert len(running) == count, sorted(running)
        stray = [
            each.name
            for each in engine.containers()
            if each.pod.startswith(prefix) and each.pod not in running
        ]
        assert not stray, stray
        return running

    return wait_for(lambda: [settled()], f"{count} pods of {prefix}")[0]


def serving(engine: Engine) -> dict[str, Container]:
    """Wait until the whole guestbook runs and answers; return the frontends."""
    pods(engine, "redis-master", 1)
    pods(engine, "redis-slave", 2)
    frontends = pods(engine, "frontend", 3)
    wait_for(lambda: fetch().status == 200, "the page")
    return frontends


def api(**parameters: str) -> dict[str, str]:
    reply = fetch("/guestbook.php?" + urlencode(parameters))
    assert reply.status == 200, reply.body
    body: dict[str, str] = json.loads(reply.body)
    return body


def sign(message: str) -> None:
    """Write through the master and read through the replicas."""
    wait_for(lambda: api(cmd="set", key="messages", value=message), "a write")
    wait_for(lambda: api(cmd="get", key="messages")["data"] == message, "the read of it")


def test_replicas_follow_the_commit(guestbook: Manifests, launch: Launch, engine: Engine) -> None:
    launch(guestbook.folder)
    first = serving(engine)
    sign("hello")

    guestbook.replace(FRONTEND, "replicas: 3", "replicas: 5")
    guestbook.commit("Serve more people")
    five = pods(engine, "frontend", 5)
    assert {each.id for each in first.values()} < {each.id for each in five.values()}

    guestbook.replace(FRONTEND, "replicas: 5", "replicas: 2")
    guestbook.commit("Serve fewer people")
    two = pods(engine, "frontend", 2)
    assert {each.id for each in two.values()} < {each.id for each in five.values()}
    assert api(cmd="get", key="messages") == {"data": "hello"}


def test_a_changed_variable_rolls_without_a_failed_request(
    guestbook: Manifests, launch: Launch, engine: Engine
) -> None:
    launch(guestbook.folder)
    before = serving(engine)
    with hammer() as seen:
        guestbook.replace(
            FRONTEND,
            "          ports:\n",
            "            - name: GUESTBOOK_TITLE\n              value: Second\n          ports:\n",
        )
        guestbook.commit("Change the title")
        after = wait_until_replaced(engine, before)
    assert seen.failures == []
    assert any("<h1>Second</h1>" in reply.body for reply in seen.replies)
    assert all(engine.environment(each)["GUESTBOOK_TITLE"] == "Second" for each in after.values())


def test_a_changed_image_rolls_without_a_failed_request(
    guestbook: Manifests, launch: Launch, engine: Engine
) -> None:
    tag = "guestbook-php:test-second"
    engine.derive(tag, "guestbook-php:v1", {"GUESTBOOK_TITLE": "Another image"})
    try:
        launch(guestbook.folder)
        before = serving(engine)
        with hammer() as seen:
            guestbook.replace(FRONTEND, "guestbook-php:v1", tag)
            guestbook.commit("Change the image")
            wait_until_replaced(engine, before)
        assert seen.failures == []
        assert any("<h1>Another image</h1>" in reply.body for reply in seen.replies)
        guestbook.replace(FRONTEND, "replicas: 3", "replicas: 0")
        guestbook.commit("Serve nobody")
        pods(engine, "frontend", 0)
    finally:
        engine.remove_image(tag)


def wait_until_replaced(
    engine: Engine, before: dict[str, Container], count: int = 3
) -> dict[str, Container]:
    """Wait until other pods than `before` run, never fewer of both than wanted meanwhile."""

    def replaced() -> bool:
        running = engine.running("frontend")
        assert len(running) >= count, f"only {sorted(running)} run"
        return not set(running) & set(before)

    wait_for_or_fail_at_once(replaced)
    return pods(engine, "frontend", count)


def wait_for_or_fail_at_once(condition: object) -> None:
    """Like `wait_for`, for a condition whose assertions must hold all the time."""
    assert callable(condition)

    def guarded() -> bool:
        try:
            return bool(condition())
        except AssertionError as error:
            raise RuntimeError(str(error)) from error

    wait_for(guarded, "every frontend replaced", deadline=90)


def test_a_removed_container_comes_back(
    guestbook: Manifests, launch: Launch, engine: Engine
) -> None:
    launch(guestbook.folder)
    frontends = serving(engine)
    pod, victim = next(iter(frontends.items()))
    engine.remove(victim)

    def back() -> bool:
        found = engine.running("frontend").get(pod)
        return found is not None and found.id != victim.id and found.pod_uid == victim.pod_uid

    wait_for(back, "the same pod with a new container", deadline=20)
    assert set(pods(engine, "frontend", 3)) == set(frontends)


def test_a_removed_sandbox_comes_back_and_the_service_follows(
    guestbook: Manifests, launch: Launch, engine: Engine
) -> None:
    launch(guestbook.folder)
    serving(engine)
    sign("before")
    master = next(each for each in engine.containers() if each.pod.startswith("redis-master"))
    sandbox = next(each for each in engine.containers() if each.sandbox and each.pod == master.pod)
    address = own_address(engine, "redis-master")
    engine.remove(sandbox)

    def replaced() -> bool:
        return own_address(engine, "redis-master") != address

    wait_for(replaced, "the pod with another address", deadline=30)
    sign("after")  # the master is new and empty; the services reach it at its new address


def own_address(engine: Engine, prefix: str) -> str:
    """Return the address that the first running pod of that prefix sees on itself."""
    running = engine.running(prefix)
    assert running, f"no {prefix} runs"
    return engine.execute(next(iter(running.values())), "hostname", "-I").strip()


def test_a_deleted_file_removes_its_objects(
    guestbook: Manifests, launch: Launch, engine: Engine
) -> None:
    launch(guestbook.folder)
    frontends = serving(engine)
    guestbook.delete(SLAVE)
    guestbook.commit("Live without replicas")
    pods(engine, "redis-slave", 0)
    assert pods(engine, "frontend", 3) == frontends
    reply = wait_for(failing_read, "reads that fail")
    assert "error" in json.loads(reply)


def failing_read() -> str:
    reply = fetch("/guestbook.php?cmd=get&key=messages")
    return reply.body if reply.status == 503 else ""


def test_a_bad_file_rejects_the_whole_commit(
    guestbook: Manifests, launch: Launch, engine: Engine
) -> None:
    daemon = launch(guestbook.folder)
    frontends = serving(engine)
    guestbook.replace(FRONTEND, "replicas: 3", "replicas: 5")
    guestbook.replace(SLAVE, "- containerPort: 6379", "- containerPort: seven")
    commit = guestbook.commit("Break a port")
    line = 1 + (guestbook.folder / SLAVE).read_text().splitlines().index(
        "            - containerPort: seven"
    )

    def rejected() -> bool:
        shown = daemon.command("status", check=False).stdout
        assert f"{SLAVE}:{line}:" in shown, shown
        assert "spec.template.spec.containers[0].ports[0].containerPort" in shown, shown
        return True

    wait_for(rejected, "the refusal in `reconciler status`")
    assert commit[:7] in daemon.command("history").stdout
    holds(lambda: engine.running("frontend") == frontends, "what ran keeps running", 2)
    assert fetch().status == 200

    guestbook.replace(SLAVE, "- containerPort: seven", "- containerPort: 6379")
    guestbook.commit("Mend it")
    pods(engine, "frontend", 5)


def test_a_plain_directory_is_followed(tmp_path: Path, launch: Launch, engine: Engine) -> None:
    manifests = Manifests(tmp_path / "manifests", git=False)
    manifests.copy(GUESTBOOK)
    daemon = launch(manifests.folder)
    frontends = serving(engine)

    manifests.replace(FRONTEND, "replicas: 3", "replicas: 4")
    pods(engine, "frontend", 4)

    manifests.replace(FRONTEND, "replicas: 4", "replicas: lots")
    wait_for(
        lambda: f"{FRONTEND}:" in daemon.command("status", check=False).stdout,
        "the refusal in `reconciler status`",
    )
    manifests.replace(FRONTEND, "replicas: lots", "replicas: 3")
    after = pods(engine, "frontend", 3)
    assert len({each.id for each in after.values()} & {e.id for e in frontends.values()}) >= 2

    manifests.delete(FRONTEND)
    pods(engine, "frontend", 0)
    pods(engine, "redis-slave", 2)


def test_an_emptied_directory_stops_nothing(tmp_path: Path, launch: Launch, engine: Engine) -> None:
    manifests = Manifests(tmp_path / "manifests", git=False)
    manifests.copy(GUESTBOOK)
    launch(manifests.folder)
    frontends = serving(engine)
    for path in sorted(manifests.folder.rglob("*.yaml")):
        path.unlink()
    holds(lambda: engine.running("frontend") == frontends, "what ran keeps running", 3)


@pytest.mark.parametrize("hosts_from", ["env", "dns"])
def test_the_frontend_finds_redis(
    hosts_from: str, guestbook: Manifests, launch: Launch, engine: Engine
) -> None:
    for name in (FRONTEND, SLAVE):
        guestbook.replace(name, "value: env", f"value: {hosts_from}")
    if hosts_from == "dns":
        guestbook.commit("Find Redis by its name")
    launch(guestbook.folder)
    frontends = serving(engine)
    for each in frontends.values():
        environment = engine.environment(each)
        assert environment["GET_HOSTS_FROM"] == hosts_from
        assert environment["REDIS_MASTER_SERVICE_PORT"] == "6379"
        assert environment["REDIS_MASTER_PORT_6379_TCP_PROTO"] == "tcp"
    sign(f"found by {hosts_from}")
    served = {fetch().served_by for _ in range(60)}
    assert served == set(frontends)
