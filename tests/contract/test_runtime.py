"""What every container runtime must do; run on the fake one and on Docker alike."""

from __future__ import annotations

import asyncio
import io
import tarfile
import uuid
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.kubelet.fake import FakeRuntime
from reconciler.kubelet.runtime import (
    ContainerRuntime,
    ContainerSpec,
    EngineVolume,
    Happened,
    Mount,
    NoSuchContainer,
    NoSuchImage,
    RuntimeConflict,
    RuntimeFailure,
)
from reconciler.kubelet.sandboximage import COMMAND, root_tar
from tests.integration.images import BUSYBOX

PATIENCE = 20


def spec(label: str, *command: str, name: str = "", network: str = "none") -> ContainerSpec:
    key, _, value = label.partition("=")
    return ContainerSpec(
        name=name or f"contract-{uuid.uuid4().hex[:12]}",
        image=BUSYBOX,
        labels={key: value},
        command=command,
        network=network,
    )


STUBBORN = ("sh", "-c", "trap '' TERM; sleep 60")
POLITE = ("sh", "-c", "trap 'exit 0' TERM; while true; do sleep 0.1; done")


async def until(events: AsyncIterator[Happened], what: str, container: str = "") -> Happened:
    async with asyncio.timeout(PATIENCE):
        async for event in events:
            if event.what == what and (not container or event.id == container):
                return event
    raise AssertionError(f"no {what}")


async def test_a_container_lives_from_creation_to_removal(
    runtime: ContainerRuntime, label: str
) -> None:
    wanted = spec(label, *POLITE)
    made = await runtime.create(wanted)
    created = await runtime.inspect(made)
    assert (created.phase, created.started, created.pid) == ("created", None, 0)
    assert created.name == wanted.name

    await runtime.start(made)
    running = await runtime.inspect(made)
    assert running.phase == "running"
    assert running.pid > 1
    assert running.started is not None
    assert running.finished is None
    assert await runtime.list(label) == (running,)

    await runtime.remove(made)
    assert await runtime.list(label) == ()
    with pytest.raises(NoSuchContainer):
        await runtime.inspect(made)


async def test_what_a_container_writes_is_measured(runtime: ContainerRuntime, label: str) -> None:
    name = f"k8s_{uuid.uuid4().hex}_"
    wanted = spec(label, "sh", "-c", "printf '%1048576s' x >/big; echo done; exit 0", name=name)
    if isinstance(runtime, FakeRuntime):
        runtime.written[name[4:-1]] = 1 << 20
    async with aclosing(runtime.events(label)) as events:
        await until(events, "resync")
        made = await runtime.create(wanted)
        await runtime.start(made)
        await until(events, "die", made)
    assert 1 << 20 <= await runtime.disk_usage(made) < 2 << 20
    await runtime.remove(made)
    with pytest.raises(NoSuchContainer):
        await runtime.disk_usage(made)


PASSWD = b"root:x:0:0:root:/root:/bin/sh\n"


def tar_of(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


async def test_a_file_of_an_image_is_read_and_nothing_is_left(
    runtime: ContainerRuntime, label: str
) -> None:
    name, _, value = label.partition("=")
    mine = {name: value}
    if isinstance(runtime, FakeRuntime):
        runtime.files["/etc/passwd"] = PASSWD
    before = {container.id for container in await runtime.list()}
    small = f"reconciler-test/file:{value[:8]}"
    await runtime.import_image(small, tar_of("etc/passwd", PASSWD))
    try:
        assert await runtime.image_file(small, "/etc/passwd", mine) == PASSWD
    finally:
        await runtime.remove_image(small)
    if not isinstance(runtime, FakeRuntime):
        with pytest.raises(RuntimeFailure, match="has more than"):
            await runtime.image_file(BUSYBOX, "/bin/busybox", mine)
    by_id = (await runtime.image(BUSYBOX)).id
    assert await runtime.image_file(by_id, "/etc/none-such", mine) == b""
    with pytest.raises(NoSuchImage):
        await runtime.image_file("reconciler-test/none-such:1", "/etc/passwd", mine)
    assert {container.id for container in await runtime.list()} - before == set()


async def test_the_engine_says_who_it_is(runtime: ContainerRuntime) -> None:
    await runtime.ping()
    version = await runtime.version()
    assert version.name == "docker"
    assert version.version
    assert version.cpus > 0


async def test_what_is_done_twice_is_done_once(runtime: ContainerRuntime, label: str) -> None:
    made = await runtime.create(spec(label, *POLITE))
    await runtime.start(made)
    await runtime.start(made)
    await runtime.remove(made)
    await runtime.remove(made)
    await runtime.signal(made, "SIGTERM")


async def test_a_name_is_given_once(runtime: ContainerRuntime, label: str) -> None:
    first = spec(label, "true")
    await runtime.create(first)
    with pytest.raises(RuntimeConflict):
        await runtime.create(first)
    assert (await runtime.inspect(first.name)).name == first.name


async def test_an_exit_code_is_told(runtime: ContainerRuntime, label: str) -> None:
    async with aclosing(runtime.events(label)) as events:
        await until(events, "resync")
        made = await runtime.create(spec(label, "false"))
        await runtime.start(made)
        death = await until(events, "die", made)
        assert death.exit_code == 1
        ended = await runtime.inspect(made)
        assert (ended.phase, ended.exit_code, ended.pid) == ("exited", 1, 0)
        assert ended.finished is not None
        await runtime.remove(made)
        await until(events, "destroy", made)


async def test_a_signal_ends_a_polite_container(runtime: ContainerRuntime, label: str) -> None:
    async with aclosing(runtime.events(label)) as events:
        await until(events, "resync")
        made = await runtime.create(spec(label, *POLITE))
        await runtime.start(made)
        death = asyncio.create_task(until(events, "die", made))
        while not death.done():  # its handler is in place some time after its start
            await runtime.signal(made, "SIGTERM")
            await asyncio.wait({death}, timeout=0.1)
        assert (death.result().id, death.result().exit_code) == (made, 0)


async def test_sigkill_ends_any_container(runtime: ContainerRuntime, label: str) -> None:
    async with aclosing(runtime.events(label)) as events:
        await until(events, "resync")
        made = await runtime.create(spec(label, *STUBBORN))
        await runtime.start(made)
        await runtime.signal(made, "SIGTERM")
        assert (await runtime.inspect(made)).phase == "running"
        await runtime.signal(made, "SIGKILL")
        assert (await until(events, "die", made)).exit_code == 137


async def test_what_cannot_be_started_is_dead_with_its_reason(
    runtime: ContainerRuntime, label: str
) -> None:
    made = await runtime.create(spec(label, "missing"))
    with pytest.raises(RuntimeFailure, match="missing"):
        await runtime.start(made)
    dead = await runtime.inspect(made)
    assert (dead.phase, dead.exit_code, dead.started) == ("exited", 127, None)
    assert dead.finished is not None
    assert dead.error


async def test_an_absent_image_is_told(runtime: ContainerRuntime, label: str) -> None:
    wanted = spec(label, "true")
    absent = ContainerSpec(name=wanted.name, image="reconciler-test/absent:1", labels=wanted.labels)
    with pytest.raises(NoSuchImage):
        await runtime.create(absent)
    with pytest.raises(NoSuchImage):
        await runtime.image(absent.image)
    with pytest.raises(RuntimeFailure):
        await runtime.pull(absent.image)


async def test_a_name_that_can_be_no_image_is_told(runtime: ContainerRuntime) -> None:
    with pytest.raises(RuntimeFailure, match="invalid reference format"):
        await runtime.image("reconciler-test/Absent:1")


async def test_the_end_of_a_container_can_be_read(runtime: ContainerRuntime, label: str) -> None:
    async with aclosing(runtime.events(label)) as events:
        await until(events, "resync")
        made = await runtime.create(spec(label, "sh", "-c", "echo one; echo two; exit 3"))
        await runtime.start(made)
        await until(events, "die", made)
    assert await runtime.logs(made, tail=80) == b"one\ntwo\n"
    assert await runtime.logs(made, tail=1) == b"two\n"


async def test_many_slow_commands_hold_up_no_other(runtime: ContainerRuntime, label: str) -> None:
    made = await runtime.create(spec(label, *POLITE))
    await runtime.start(made)
    slow = [asyncio.create_task(runtime.exec(made, ("sleep", "60"), 60)) for _ in range(12)]
    await asyncio.sleep(0)
    assert (await runtime.exec(made, ("true",), 10)).exit_code == 0
    for task in slow:
        task.cancel()
    ended = await asyncio.gather(*slow, return_exceptions=True)
    assert all(isinstance(each, asyncio.CancelledError) for each in ended)


async def test_a_command_in_no_container_is_a_failure(
    runtime: ContainerRuntime, label: str
) -> None:
    with pytest.raises(NoSuchContainer):
        await runtime.exec("absent", ("true",), 5)
    made = await runtime.create(spec(label, *POLITE))
    with pytest.raises(RuntimeConflict):
        await runtime.exec(made, ("true",), 5)


async def test_a_command_runs_inside(runtime: ContainerRuntime, label: str) -> None:
    made = await runtime.create(spec(label, *POLITE))
    await runtime.start(made)
    assert await runtime.exec(made, ("true",), 10) == await runtime.exec(made, ("true",), 10)
    assert (await runtime.exec(made, ("false",), 10)).exit_code == 1
    assert (await runtime.exec(made, ("echo", "a", "b"), 10)).output == b"a b\n"
    with pytest.raises(TimeoutError):
        await runtime.exec(made, ("sleep", "60"), 0.3)


async def test_a_container_joins_another(runtime: ContainerRuntime, label: str) -> None:
    sandbox = await runtime.create(spec(label, *POLITE))
    await runtime.start(sandbox)
    joined = await runtime.create(spec(label, *POLITE, network=f"container:{sandbox}"))
    await runtime.start(joined)
    assert len(await runtime.list(label)) == 2
    with pytest.raises(RuntimeFailure):
        await runtime.start(await runtime.create(spec(label, *POLITE, network="container:absent")))
    await runtime.remove(sandbox)
    late = await runtime.create(spec(label, *POLITE, network=f"container:{sandbox}"))
    with pytest.raises(RuntimeFailure):
        await runtime.start(late)


async def test_the_sandbox_image_is_made_without_a_registry(
    runtime: ContainerRuntime, label: str
) -> None:
    name = f"reconciler-test/pause:{uuid.uuid4().hex[:12]}"
    await runtime.import_image(name, root_tar())
    try:
        assert name in await runtime.images("reconciler-test/pause")
        assert any(name in each.names for each in await runtime.all_images())
        wanted = spec(label)
        key, _, value = label.partition("=")
        made = await runtime.create(
            ContainerSpec(wanted.name, name, {key: value}, entrypoint=COMMAND, command=())
        )
        await runtime.start(made)
        async with aclosing(runtime.events(label)) as events:
            await until(events, "resync")
            await runtime.signal(made, "SIGTERM")
            await until(events, "die", made)
        await runtime.remove(made)
    finally:
        await runtime.remove_image(name)
    assert name not in await runtime.images("reconciler-test/pause")
    await runtime.remove_image(name)


async def test_what_cannot_be_mounted_is_told_at_creation(
    runtime: ContainerRuntime, label: str, tmp_path: Path
) -> None:
    absent = Mount(str(tmp_path / "absent"), "/a")
    with pytest.raises(RuntimeFailure, match="bind source path does not exist"):
        await runtime.create(replace(spec(label, "true"), mounts=(absent,)))
    twice = (Mount(str(tmp_path), "/a"), Mount(str(tmp_path), "/a", read_only=True))
    with pytest.raises(RuntimeFailure, match="Duplicate mount point"):
        await runtime.create(replace(spec(label, "true"), mounts=twice))
    assert await runtime.list(label) == ()


async def test_every_kind_of_mount_is_taken(
    runtime: ContainerRuntime, label: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    mounts = (
        Mount(str(tmp_path), "/folder"),
        Mount(str(tmp_path / "file"), "/file", read_only=True),
        Mount("", "/memory", tmpfs=True, tmpfs_size=1 << 20),
    )
    made = await runtime.create(replace(spec(label, *POLITE), mounts=mounts))
    await runtime.start(made)
    assert (await runtime.inspect(made)).phase == "running"


async def test_a_volume_is_made_once_and_kept_while_it_is_used(
    runtime: ContainerRuntime, label: str
) -> None:
    key, _, value = label.partition("=")
    name = f"contract-{uuid.uuid4().hex[:12]}"
    wanted = EngineVolume(name, labels={key: value})
    await runtime.create_volume(wanted)
    await runtime.create_volume(wanted)
    assert [each.name for each in await runtime.volumes(label)] == [name]
    user = replace(spec(label, *POLITE), mounts=(Mount(name, "/data", volume=True),))
    made = await runtime.create(user)
    with pytest.raises(RuntimeConflict):
        await runtime.remove_volume(name)
    await runtime.remove(made)
    assert [each.driver for each in await runtime.volumes(label)] == ["local"]
    await runtime.remove_volume(name)
    await runtime.remove_volume(name)
    assert await runtime.volumes(label) == ()


async def test_an_unknown_volume_driver_is_refused_in_its_words(runtime: ContainerRuntime) -> None:
    if isinstance(runtime, FakeRuntime):
        pytest.skip("the simulated engine knows every driver")
    with pytest.raises(RuntimeFailure, match="nosuchdriver"):
        await runtime.create_volume(EngineVolume("contract-none", "nosuchdriver"))
