"""Storage and huge pages that pods ask for, on real Docker."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.kubelet.cgroups import Cgroups
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


async def test_huge_pages_are_limited_to_what_a_container_asks_for(
    node: RealNode, huge_pages: None
) -> None:
    """Also of one whose kubelet ended between its start and its limit; the others have none."""
    groups, page = Cgroups(), 2 << 20
    if not groups.limits_huge_pages():
        pytest.skip("this kernel has no control group of huge pages")
    await node.stop()
    node.options = replace(node.options, huge_pages={page: 2 * page})
    await node.start()
    asking = {"limits": {"hugepages-2Mi": "2Mi", "memory": "32Mi"}}
    await node.create("asking", container={"command": ["sleep", "600"], "resources": asking})
    await node.create("modest", container={"command": ["sleep", "600"]})

    async def limit(name: str) -> Path:
        pod = await node.until(ready, name)
        container = pod.status.container_statuses[0].container_id.removeprefix("docker://")
        group = groups.of((await node.runtime.inspect(container)).pid, "hugetlb")
        assert group is not None
        found = [group / f"hugetlb.2MB.{word}" for word in ("limit_in_bytes", "max")]
        return next(file for file in found if file.exists())

    assert (await limit("asking")).read_text().strip() == str(page)
    assert (await limit("modest")).read_text().strip() == "0"
    await node.stop()
    (await limit("asking")).write_text(str(2 * page))
    await node.start()
    await node.create("later", container={"command": ["sleep", "600"]})
    # What was found is limited before any pod is worked on
    await node.until(ready, "later")
    assert (await limit("asking")).read_text().strip() == str(page)
