"""The seccomp profile of sandboxes, on engines that can use it and on engines that cannot."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from reconciler.kubelet.runtime import ContainerSpec, RuntimeFailure
from reconciler.kubelet.sandboxprofile import PROFILE
from reconciler.model.pod import Pod
from tests.unit.kubelet.node import Node, ready


class Made:
    """What an engine was asked to make, by the ids that it gave."""

    def __init__(self, node: Node) -> None:
        self.specs: dict[str, ContainerSpec] = {}
        self._create = node.runtime.create
        node.runtime.create = self._kept

    async def _kept(self, spec: ContainerSpec) -> str:
        made: str = await self._create(spec)
        self.specs[made] = spec
        return made

    def profiles(self) -> list[str]:
        """Return those of the sandboxes, in the order of their making."""
        return [spec.security.seccomp for spec in self.specs.values() if "_POD_" in spec.name]


def moved(pod: Pod) -> Callable[[Pod], bool]:
    return lambda now: ready(now) and now.status.pod_ip != pod.status.pod_ip


def test_the_profile_is_in_dockers_form_and_names_no_call_twice() -> None:
    profile = json.loads(PROFILE)
    names = profile["syscalls"][0]["names"]
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert len(names) == len(set(names))
    assert not {"mount", "ptrace", "unshare", "setns", "socket", "connect"} & set(names)


def test_a_sandbox_that_was_killed_has_the_profile_again(node: Node, play: Any) -> None:
    async def scene() -> None:
        made = Made(node)
        await node.create()
        pod = await node.until(ready)
        node.runtime.end((await node.sandbox()).id, 137)
        await node.until(moved(pod))
        assert made.profiles() == [PROFILE, PROFILE]
        assert [s.security.seccomp for s in made.specs.values() if "_app_" in s.name] == ["", ""]

    play(scene())


def test_an_engine_that_cannot_start_with_the_profile_starts_with_its_own(
    node: Node, play: Any
) -> None:
    async def scene() -> None:
        made, start = Made(node), node.runtime.start

        async def without_seccomp(container: str) -> None:
            if made.specs[container].security.seccomp:
                raise RuntimeFailure("seccomp is not enabled in your kernel")
            await start(container)

        node.runtime.start = without_seccomp
        await node.create()
        await node.until(ready)
        await node.create("next")
        await node.until(ready, name="next")
        assert made.profiles() == [PROFILE, "", ""]
        assert len(await node.containers()) == 4

    play(scene())


def test_a_sandbox_that_the_profile_ends_is_followed_by_one_without(node: Node, play: Any) -> None:
    async def scene() -> None:
        made, start = Made(node), node.runtime.start

        async def needs_more(container: str) -> None:
            await start(container)
            if made.specs[container].security.seccomp:
                asyncio.get_running_loop().call_later(0.05, node.runtime.end, container, 1)

        node.runtime.start = needs_more
        await node.create()
        await node.until(lambda pod: ready(pod) and made.profiles() == [PROFILE, ""])

    play(scene())
