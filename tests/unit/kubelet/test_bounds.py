"""What is cut because others take no more of it, and who hears of that."""

from __future__ import annotations

from typing import Any

from tests.unit.kubelet.node import Node, ready
from tests.unit.kubelet.test_lifecycle import one


def test_a_resolver_that_is_cut_is_told(node: Node, play: Any) -> None:
    async def scene() -> None:
        await node.create(dnsConfig={"nameservers": ["192.0.2.1", "192.0.2.2", "192.0.2.3"]})
        pod = await node.until(ready)
        (file,) = (node.root / "run").glob(f"pods/{pod.metadata.uid}/etc/resolv.conf")
        servers = [line for line in file.read_text().splitlines() if "nameserver" in line]
        assert servers == [
            f"nameserver {each}" for each in ("10.96.0.10", "192.0.2.1", "192.0.2.2")
        ]
        assert node.events.reasons().count("DNSConfigForming") == 1

    play(scene())


def test_all_containers_of_a_pod_share_the_room_for_last_words(node: Node, play: Any) -> None:
    async def scene() -> None:
        names = ("a", "b", "c", "d")
        await node.create(containers=[one(name, "sleep", "2") for name in names],
                          restartPolicy="Never")  # fmt: skip
        pod = await node.until(ready)
        folder = node.root / "state" / "pods" / pod.metadata.uid / "containers"
        for name in names:
            (folder / f"{name}_0").write_text("é" * 2000)
        pod = await node.until(lambda pod: pod.status.phase == "Succeeded")
        ends = [status.state.terminated for status in pod.status.container_statuses]
        assert [end and end.message for end in ends] == ["é" * 1536] * 4

    play(scene())
