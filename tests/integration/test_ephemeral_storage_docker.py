"""Storage and huge pages that pods ask for, on real Docker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.integration.realnode import RealNode, of_process
from tests.unit.kubelet.node import ready

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
]

LIMITS = {"limits": {"ephemeral-storage": "3Mi"}}
WRITES = "printf '%{size}s' x >{file}; trap 'exit 0' TERM; while :; do sleep 0.1; done"


async def test_a_pod_that_writes_too_much_is_evicted(node: RealNode) -> None:
    await node.stop()
    node.options = replace(node.options, eviction_interval=0.5)
    await node.start()
    modest = ["sh", "-c", WRITES.format(size=1 << 20, file="/small")]
    await node.create("modest", container={"command": modest, "resources": LIMITS})
    await node.until(ready, "modest")
    layer = ["sh", "-c", WRITES.format(size=4 << 20, file="/big")]
    await node.create("layer", container={"command": layer, "resources": LIMITS})
    volume = ["sh", "-c", WRITES.format(size=4 << 20, file="/v/big")]
    mount = {"volumeMounts": [{"name": "v", "mountPath": "/v"}]}
    await node.create(
        "volume",
        container={"command": volume, "resources": LIMITS} | mount,
        volumes=[{"name": "v", "emptyDir": {}}],
    )
    for name in ("layer", "volume"):
        pod = await node.until(lambda pod: pod.status.phase == "Failed", name)
        assert (pod.status.reason, pod.status.message) == (
            "Evicted",
            "Pod ephemeral local storage usage exceeds the total limit of containers 3Mi. ",
        )
    kept = await node.pod("modest")
    assert kept is not None
    assert ready(kept)


@pytest.fixture
def huge_pages() -> Iterator[None]:
    """Two huge pages of 2 MiB beside those that the host has."""
    pool = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
    if not pool.exists():
        pytest.skip("this kernel has no huge pages of 2 MiB")
    before = int(pool.read_text())
    pool.write_text(str(before + 2))
    try:
        if int(pool.read_text()) < before + 2:
            pytest.skip("this host has no memory in a piece for huge pages")
        yield
    finally:
        pool.write_text(str(before))


async def test_huge_pages_are_mounted(node: RealNode, huge_pages: None) -> None:
    amount = {"hugepages-2Mi": "4Mi", "memory": "32Mi"}
    mount = {"volumeMounts": [{"name": "h", "mountPath": "/huge"}]}
    await node.create(
        container={"command": ["sleep", "600"], "resources": {"limits": amount}} | mount,
        volumes=[{"name": "h", "emptyDir": {"medium": "HugePages-2Mi"}}],
        terminationGracePeriodSeconds=0,
    )
    await node.until(ready)
    mounts = of_process((await node.app()).pid, "mounts")
    assert "/huge hugetlbfs rw" in mounts
    assert "pagesize=2M" in mounts
