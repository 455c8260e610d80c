"""The pods' bridge and links on a real kernel, in a network namespace of the test's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.integration

# Runs inside a fresh network namespace, so that nothing of the host is touched.
SCENE = """
import asyncio, json, subprocess, sys
from pathlib import Path
from reconciler.kubelet.bridge import BridgeNetwork
from reconciler.kubelet.podnetwork import NetworkPlan, link_name

def ip(*arguments, pid=0):
    inside = ["nsenter", "-n", "-t", str(pid)] if pid else []
    return json.loads(subprocess.run(
        [*inside, "ip", "-j", *arguments], check=True, capture_output=True, text=True).stdout)

async def main():
    network = BridgeNetwork(NetworkPlan("10.244.7.0/24", "10.96.0.0/16", "10.96.0.10"), "rectest1")
    pods = [subprocess.Popen(["unshare", "-n", "sh", "-c", "echo x; exec sleep 60"],
                             stdout=subprocess.PIPE) for _ in range(2)]
    for pod in pods:
        pod.stdout.read(2)
    told = {}
    try:
        await network.ensure()
        await network.ensure()
        for number, pod in enumerate(pods):
            await network.attach(pod.pid, f"10.244.7.{number + 2}", link_name(f"pod-{number}"))
        told["links"] = sorted(await network.links())
        ways = ("conf/{}/send_redirects", "neigh/{}/delay_first_probe_time")
        told["switches"] = {
            way: [Path("/proc/sys/net/ipv4", way.format(link)).read_text().strip()
                  for link in ("rectest1", "lo")]
            for way in ways}
        told["bridge"] = ip("addr", "show", "rectest1")
        told["routes"] = ip("route", "show")
        ports = ["bridge", "-j", "-d", "link", "show"]
        told["ports"] = json.loads(
            subprocess.run(ports, check=True, capture_output=True, text=True).stdout)
        told["pod"] = ip("addr", "show", pid=pods[0].pid)
        told["pod routes"] = ip("route", "show", pid=pods[0].pid)
        await network.attach(pods[0].pid, "10.244.7.9", link_name("pod-0"))
        told["attached again"] = ip("addr", "show", "eth0", pid=pods[0].pid)
        await network.detach(link_name("pod-1"))
        await network.detach(link_name("pod-1"))
        told["links after detach"] = sorted(await network.links())
        await network.remove()
        told["left"] = [link["ifname"] for link in ip("link", "show")]
        try:
            await network.attach(2**22 + 1, "10.244.7.3", link_name("nobody"))
        except Exception as error:
            told["nobody"] = type(error).__name__
    finally:
        for pod in pods:
            pod.kill()
            pod.wait()
            pod.stdout.close()
        await network.close()
    print(json.dumps(told))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    if os.geteuid():
        pytest.skip("needs root")
    done = subprocess.run(
        ["unshare", "-n", sys.executable, "-c", SCENE],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def addresses(links: list[dict[str, Any]], name: str) -> set[str]:
    return {
        f"{info['local']}/{info['prefixlen']}"
        for link in links
        if link["ifname"] == name
        for info in link["addr_info"]
        if info["family"] == "inet"
    }


def test_the_bridge_has_its_addresses_and_the_services_route(told: dict[str, Any]) -> None:
    assert addresses(told["bridge"], "rectest1") == {"10.244.7.1/24", "10.96.0.10/32"}
    route = next(route for route in told["routes"] if route["dst"] == "10.96.0.0/16")
    assert (route["dev"], route["prefsrc"]) == ("rectest1", "10.244.7.1")


def test_the_bridge_alone_spares_packets_what_the_kernel_would_look_up(
    told: dict[str, Any],
) -> None:
    assert told["switches"] == {
        "conf/{}/send_redirects": ["0", "1"],
        "neigh/{}/delay_first_probe_time": ["0", "5"],
    }


def test_switches_that_are_read_only_are_no_obstacle() -> None:
    if os.geteuid():
        pytest.skip("needs root")
    read_only = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys"
    scene = "from reconciler.kubelet.bridge import quicken; quicken('lo')"
    subprocess.run(
        ["unshare", "-nm", "sh", "-c", f'{read_only} && exec {sys.executable} -c "{scene}"'],
        check=True,
        cwd=Path(__file__).parents[2],
        timeout=60,
    )


def test_ports_are_up_and_in_hairpin_mode(told: dict[str, Any]) -> None:
    ports = {port["ifname"]: port for port in told["ports"]}
    assert sorted(ports) == told["links"]
    assert all(port["hairpin"] and port["master"] == "rectest1" for port in ports.values())


def test_a_pod_has_loopback_address_and_default_route(told: dict[str, Any]) -> None:
    assert addresses(told["pod"], "eth0") == {"10.244.7.2/24"}
    assert addresses(told["pod"], "lo") == {"127.0.0.1/8"}
    (eth0,) = [link for link in told["pod"] if link["ifname"] == "eth0"]
    assert eth0["address"] == "0a:58:0a:f4:07:02"
    default = next(route for route in told["pod routes"] if route["dst"] == "default")
    assert (default["gateway"], default["dev"]) == ("10.244.7.1", "eth0")


def test_attaching_again_replaces_the_link(told: dict[str, Any]) -> None:
    assert addresses(told["attached again"], "eth0") == {"10.244.7.9/24"}


def test_all_that_was_made_goes(told: dict[str, Any]) -> None:
    assert len(told["links"]) == 2
    assert len(told["links after detach"]) == 1
    assert [name for name in told["left"] if name.startswith("rec")] == []


def test_a_process_that_is_gone_is_told(told: dict[str, Any]) -> None:
    assert told["nobody"] == "NetworkFailure"
