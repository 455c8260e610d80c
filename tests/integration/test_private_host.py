"""Services beside Docker's own networks and rules, and after both were torn down."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.harness import Daemon, Manifests, namespace_manifest, sleepers, wait_for
from tests.integration.images import BUSYBOX
from tests.integration.privatehost import ADDRESS, PrivateHost, private_host

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CLUSTER, PORT, NODE_PORT = "10.96.77.7", 80, 30077
SERVE = "trap 'exit 0' TERM; httpd -f -p 8080 -h /etc & wait"
SERVICE = f"""apiVersion: v1
kind: Service
metadata: {{name: web, namespace: test}}
spec:
  type: NodePort
  clusterIP: {CLUSTER}
  selector: {{app: web}}
  ports: [{{port: {PORT}, targetPort: 8080, nodePort: {NODE_PORT}}}]
"""
MINE = """table inet mine {
	chain input {
		type filter hook input priority filter; policy accept;
		tcp dport 9 counter packets 0 bytes 0 drop
	}
}"""


@pytest.fixture
def manifests(tmp_path: Path) -> Manifests:
    """Two web servers and their service."""
    made = Manifests(tmp_path / "source", git=False)
    web = sleepers("web", 2, BUSYBOX).replace(
        "trap 'exit 0' TERM; while :; do sleep 1 & wait $!; done", SERVE
    )
    for name, text in (("test", namespace_manifest("test")), ("web", web), ("service", SERVICE)):
        made.write(f"{name}.yaml", text)
    return made


def serving(host: PrivateHost) -> None:
    """Wait until the service answers on its cluster address and on node ports."""
    for address, port in ((CLUSTER, PORT), (ADDRESS, NODE_PORT), ("127.0.0.1", NODE_PORT)):
        wait_for(lambda a=address, p=port: host.fetch(a, p), f"{address}:{port}")


def containers(host: PrivateHost) -> set[str]:
    return set(host.run("docker", "ps", "--quiet", "--no-trunc").split())


def forwarding(host: PrivateHost) -> list[str]:
    rules = host.run("iptables", "-S", "DOCKER-USER").splitlines()
    return [rule for rule in rules if "reconciler0" in rule]


@pytest.mark.parametrize(
    ("flags", "restored"),
    [(("--userland-proxy=true",), False), (("--userland-proxy=false", "--live-restore"), True)],
)
def test_services_beside_docker_and_after_its_restart(
    host: None, manifests: Manifests, flags: tuple[str, ...], restored: bool
) -> None:
    with private_host(*flags) as here:
        daemon = here.launch(manifests)
        serving(here)
        reached_from_another_network(here)
        before = containers(here)
        here.stop_engine()
        if restored:  # the pods live on, and nobody needs Docker to reach them
            assert [here.fetch(CLUSTER, PORT)[:4] for _ in range(10)] == ["web-"] * 10
        here.start_engine()
        wait_for(lambda: heard_again(daemon), "Docker's events")
        if restored:
            assert containers(here) == before
        else:
            wait_for(lambda: len(containers(here) - before) == len(before), "new containers")
        serving(here)
        assert len(forwarding(here)) == 2
        reached_from_another_network(here)


def reached_from_another_network(here: PrivateHost) -> None:
    """Services answer a container of a network of Docker's own, and publish a port beside ours."""
    network = here.run("docker", "network", "create", "other")
    published = ("--network", "other", "--publish", f"{ADDRESS}:8099:8080")
    stranger = here.run("docker", "run", "--detach", *published, BUSYBOX, "sh", "-c", SERVE)
    field = "{{(index .IPAM.Config 0).Gateway}}"
    gateway = here.run("docker", "network", "inspect", "--format", field, "other")
    for address, port in ((CLUSTER, PORT), (ADDRESS, NODE_PORT), (gateway, NODE_PORT)):
        ask = f"printf 'GET /hostname HTTP/1.0\\r\\n\\r\\n' | nc {address} {port}"
        assert "\nweb-" in here.run("docker", "exec", stranger, "sh", "-c", ask), (address, port)
    wait_for(lambda: here.fetch(ADDRESS, 8099), "Docker's own published port")
    here.run("docker", "rm", "--force", stranger)
    here.run("docker", "network", "rm", network)


def heard_again(daemon: Daemon) -> bool:
    return any(each["event"] == "docker.events.lost" for each in daemon.events())


def test_firewall_reloads_are_mended_and_other_tables_left_alone(
    host: None, manifests: Manifests
) -> None:
    with private_host() as here:
        here.run("nft", "-f", "-", stdin=MINE.encode())
        before = here.run("nft", "list", "table", "inet", "mine")
        daemon = here.launch(manifests)
        serving(here)
        accepts = forwarding(here)
        assert len(accepts) == 2
        for command in (("-F", "DOCKER-USER"), ("-F", "FORWARD"), ("-P", "FORWARD", "DROP")):
            here.run("iptables", *command)
        wait_for(lambda: forwarding(here) == accepts, "our two accepts", deadline=20)
        # what firewalld and its like leave of Docker's chains, Docker itself puts back
        here.run("iptables", "-A", "FORWARD", "-j", "DOCKER-USER")
        serving(here)
        here.run("nft", "delete", "table", "ip", "reconciler")
        serving(here)
        assert [e["event"] for e in daemon.events()].count("proxy.table_mended") == 1
        assert here.run("nft", "list", "table", "inet", "mine") == before
        daemon.clean()
        assert here.run("nft", "list", "table", "inet", "mine") == before
        assert forwarding(here) == []


def test_a_host_without_the_library_is_told_its_package(host: None, manifests: Manifests) -> None:
    with private_host() as here:
        libraries = here.run("sh", "-c", "ls /usr/lib/*/libnftables.so.1")
        for library in libraries.split():
            here.run("mount", "--bind", "/dev/null", library)
        daemon = here.launch(manifests)
        assert daemon.process is not None
        assert daemon.process.wait(20) == 1
        reasons = [e["reason"] for e in daemon.events() if e["event"] == "daemon.failed"]
        assert len(reasons) == 1
        assert "libnftables.so.1 not found: install nftables" in reasons[0]
        here.run("umount", *libraries.split())  # `down` needs it
