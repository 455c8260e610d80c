"""What the cache of containers believes, and what it has the engine asked about."""

from __future__ import annotations

from dataclasses import replace

from reconciler.kubelet.cache import ContainerCache
from reconciler.kubelet.runtime import Container, Happened, NoSuchContainer
from tests.unit.kubelet.builders import NOW, container


async def test_a_container_that_died_before_its_start_was_answered_is_asked_about() -> None:
    """The answer says that it runs, and is older than the event of its death."""
    running = container("app").state
    cache = ContainerCache(lambda: NOW)
    pod = cache.put(replace(running, phase="created"))
    assert cache.take(Happened("die", running.id, exit_code=3)) is None
    cache.put(running)
    asked = list[str]()

    async def inspect(name: str) -> Container:
        asked.append(name)
        return replace(running, phase="exited", exit_code=3)

    await cache.settle(pod, inspect)
    assert asked == [running.id]
    assert [each.state.phase for each in cache.of(pod)] == ["exited"]


async def test_the_kernels_word_of_memory_counts_also_when_it_comes_after_the_end() -> None:
    """The engine itself forgets it then."""
    running = container("app").state
    cache = ContainerCache(lambda: NOW)
    pod = cache.put(running)
    ended = replace(running, phase="exited", exit_code=137, finished=NOW)
    cache.put(ended)
    assert cache.take(Happened("oom", running.id)) == pod
    assert [each.state.oom_killed for each in cache.of(pod)] == [True]
    cache.put(ended)
    assert [each.state.oom_killed for each in cache.of(pod)] == [True]


async def test_of_a_pod_that_is_gone_only_what_may_still_run_is_asked_about() -> None:
    ended, running = container("app").state, container("other").state
    cache = ContainerCache(lambda: NOW)
    pod = cache.put(ended)
    cache.put(running)
    assert cache.take(Happened("die", ended.id, exit_code=0)) == pod
    cache.doubt(running.id)
    asked = list[str]()

    async def inspect(name: str) -> Container:
        asked.append(name)
        raise NoSuchContainer(name)

    await cache.settle(pod, inspect, told=False)
    await cache.settle(pod, inspect)
    assert asked == [running.id]
    assert not any(each.running for each in cache.of(pod))
