"""Several sources on a real Git server: a push acts within a second, and wakes its own alone."""

import asyncio
import socket

import pytest

from benchmarks.sources import Bench, Server
from reconciler.model.gitops import Source

pytestmark = pytest.mark.integration


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


async def test_a_push_has_its_effect_within_a_second_and_wakes_one_source_alone(tmp_path):
    hook = free_port()
    server = Server(tmp_path, 5, hook)
    try:
        bench = Bench(tmp_path, server, hook, 5)
        async with asyncio.timeout(60):
            await bench.start()
            looked = []
            for name, loop in bench.following.sources.loops.items():
                loop.look = lambda name=name, look=loop.look: (looked.append(name), look())
            effects = [(await bench.push(value))[0] for value in (1, 2, 3)]
            await bench.stop()
    finally:
        server.close()
    assert min(effects) < 1.0
    assert looked == ["s0"] * 3
    assert {each.status.phase for each in bench.registry.list(Source)} == {"Healthy"}
