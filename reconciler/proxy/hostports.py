"""The host ports of one pod as elements of the kernel's maps. Pure; the loop is the caller.

A host port is a node port with one backend: it is served on the `hostIP` that the pod names, or
on every local address, from the moment the pod has an address until it ends.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.model.container import Container, ContainerPort
from reconciler.model.pod import Pod
from reconciler.model.podstatus import TERMINAL
from reconciler.proxy.endpoints import Backend
from reconciler.proxy.rules import Element, Frontend, Node, serve

_EVERY_ADDRESS = ("", "0.0.0.0")  # noqa: S104 - Kubernetes' word for every address


def compile_pod(pod: Pod, node: Node) -> tuple[Element, ...]:
    """Return the elements of `pod`'s host ports on `node`, in a fixed order, none twice.

    None for a pod of another node, of the host's network, without an address, or that has ended.
    """
    spec, status = pod.spec, pod.status
    if spec.node_name != node.name or spec.host_network:
        return ()
    if not status.pod_ip or status.phase in TERMINAL:
        return ()
    found: dict[Element, None] = {}
    for port in _ports(pod):
        address = "" if port.host_ip in _EVERY_ADDRESS else port.host_ip
        protocol = (port.protocol or "TCP").lower()
        frontend = Frontend(address, protocol, port.host_port, external=True)
        backend = Backend(status.pod_ip, port.container_port)
        found.update(dict.fromkeys(serve(frontend, (backend,), node)))
    return tuple(found)


def has_host_ports(pod: Pod) -> bool:
    """Tell whether a pod asks for any host port; most do not."""
    return any(_ports(pod))


def _ports(pod: Pod) -> Iterator[ContainerPort]:
    sidecars = (c for c in pod.spec.init_containers if c.restart_policy == "Always")
    containers: tuple[Container, ...] = (*pod.spec.containers, *sidecars)
    return (port for container in containers for port in container.ports if port.host_port)
