"""What must be so at rest: the world is what the head of the branch declares, and nothing else."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from reconciler.controllers.podstate import controller_of, is_ready
from reconciler.kubelet.labels import MANAGED, PodContainer
from reconciler.model.config import Secret
from reconciler.model.endpointslice import EndpointSlice, service_of
from reconciler.model.gitops import Source
from reconciler.model.lease import Lease
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.model.retirement import UNDELETED
from reconciler.model.service import Endpoints, Service
from reconciler.model.token import validity
from reconciler.proxy import rules
from reconciler.sync.identity import source_of
from reconciler.sync.live import followed_kinds
from tests.sim.engine import Host
from tests.sim.manifests import Manifest
from tests.sim.world import World


def missing(world: World, declared: list[Manifest]) -> Iterator[str]:
    """Yield what is not as it must be."""
    if world.processes.plane is None or len(world.processes.running) < len(world.hosts):
        yield "not every process runs"
        return
    yield from _source(world)
    yield from _nodes(world)
    yield from _objects(world, declared)
    yield from _pods(world, declared)
    yield from _endpoints(world)
    for host in world.hosts:
        yield from _host(world, host)
    yield from _informers(world)


def _informers(world: World) -> Iterator[str]:
    """Yield what an informer shows otherwise than it is."""
    registry = world.processes.plane.registry
    for number, informers in world.processes.informers.items():
        for kind, informer in informers._made.items():
            shown, there = _versions(informer.items()), _versions(registry.list(kind))
            if kind in (Node, Lease):  # whose hearts beat meanwhile
                shown, there = dict.fromkeys(shown), dict.fromkeys(there)
            if shown != there:
                odd = sorted(dict(shown.items() ^ there.items()))
                yield f"the informer of {kind.__name__} on node{number} is wrong about {odd}"


def _versions(objects: Iterable[KubeObject]) -> dict[ObjectKey, str]:
    return {obj.key: obj.metadata.resource_version for obj in objects}


def _source(world: World) -> Iterator[str]:
    (source,) = world.processes.plane.registry.list(Source) or [None]
    head = world.remote.head
    if source is None:
        yield "there is no source"
        return
    status = source.status
    if status.phase != "Healthy" or status.applied_revision != head:
        found = f"{status.phase} at {status.applied_revision[:12]}: {status.message}"
        yield f"the source is not healthy at {head[:12]} but {found}"


def given_up(world: World) -> bool:
    """Say whether the head failed, by the faults it met: then it takes a new commit."""
    if world.processes.plane is None:
        return False
    return any(
        source.status.phase in ("RolledBack", "Failed", "Rejected")
        for source in world.processes.plane.registry.list(Source)
    )


def _nodes(world: World) -> Iterator[str]:
    nodes = world.processes.plane.registry.list(Node)
    ready = [
        node.metadata.name for node in nodes
        if not node.spec.taints
        and any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)
    ]  # fmt: skip
    if len(ready) != len(world.hosts):
        yield f"only {ready} are ready"


def _objects(world: World, declared: list[Manifest]) -> Iterator[str]:
    registry = world.processes.plane.registry
    live = {tuple(obj.key): obj for kind in followed_kinds() for obj in registry.list(kind)}
    wanted = set()
    for manifest in declared:
        meta = manifest["metadata"]
        key = (manifest["kind"], meta.get("namespace", ""), meta["name"])
        wanted.add(key)
        if key not in live:
            yield f"{key} is not there"
        elif path := _differs(manifest, live[key].to_dict()):
            yield f"{key} differs at {path}"
    for key, obj in live.items():
        if source_of(obj) and key not in wanted and UNDELETED not in obj.metadata.annotations:
            yield f"{key} is there and not declared"
    homes = {name for kind, _, name in live if kind == "Namespace"} | {"", "default", "kube-system"}
    for key in live:
        if key[1] not in homes:
            yield f"{key} is in a namespace that is not there"
    if ("ConfigMap", "default", "by-hand") not in live:
        yield "the object made by hand is gone"


def _differs(wanted: Any, found: Any, path: str = "") -> str:
    """Return the first place at which `found` has not what is wanted."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name, value in wanted.items():
            if name == "stringData":
                continue
            if name not in found:
                if value in ({}, [], "", 0):
                    continue
                return f"{path}.{name}"
            if at := _differs(value, found[name], f"{path}.{name}"):
                return at
        return ""
    if isinstance(wanted, list) and isinstance(found, list):
        if len(wanted) != len(found):
            return path
        pairs = enumerate(zip(wanted, found, strict=True))
        return next((at for n, (w, f) in pairs if (at := _differs(w, f, f"{path}[{n}]"))), "")
    return "" if wanted == found else f"{path} ({found!r}, not {wanted!r})"


def _pods(world: World, declared: list[Manifest]) -> Iterator[str]:
    pods = world.processes.plane.registry.list(Pod)
    controllers = world.processes.plane.registry.list(ReplicationController)
    for pod in pods:
        if _is_stranded(world, pod):
            continue
        if not is_ready(pod) or pod.metadata.deletion_timestamp is not None:
            yield f"pod {pod.metadata.name} is not ready"
        owner = controller_of(pod.metadata)
        if owner is not None and owner.uid not in {rc.metadata.uid for rc in controllers}:
            yield f"pod {pod.metadata.name} has outlived its controller"
        if (
            owner is None
            and pod.metadata.name != "lone"
            and pod.metadata.labels.get("app") != "lost"
        ):
            yield f"pod {pod.metadata.name} is nobody's"
    for rc in controllers:
        own = [
            p for p in pods
            if p.metadata.namespace == rc.metadata.namespace
            and any(o.uid == rc.metadata.uid for o in p.metadata.owner_references)
        ]  # fmt: skip
        if len(own) != rc.spec.replicas:
            yield f"{rc.metadata.name} has {len(own)} pods, not {rc.spec.replicas}"
        spec = rc.spec.template.spec.containers[0]
        for pod in own:
            main = pod.spec.containers[0]
            if (main.image, main.command) != (spec.image, spec.command):
                yield f"pod {pod.metadata.name} is not of the template"


def _is_stranded(world: World, pod: Pod) -> bool:
    """Say whether somebody took the pod from its controller, and its secret went meanwhile."""
    secrets = {each.key[1:] for each in world.processes.plane.registry.list(Secret)}
    wanted = {v.secret.secret_name for v in pod.spec.volumes if v.secret is not None}
    gone = any((pod.metadata.namespace, name) not in secrets for name in wanted)
    return pod.metadata.labels.get("app") == "lost" and gone


def _endpoints(world: World) -> Iterator[str]:
    pods = world.processes.plane.registry.list(Pod)
    for service in world.processes.plane.registry.list(Service):
        if not service.spec.selector:
            continue
        meta = service.metadata
        chosen = sorted(
            p.status.pod_ip for p in pods
            if p.metadata.namespace == meta.namespace
            and service.spec.selector.items() <= p.metadata.labels.items()
        )  # fmt: skip
        found = [
            e
            for e in world.processes.plane.registry.list(Endpoints)
            if e.key[1:] == service.key[1:]
        ]
        listed = sorted(a.ip for e in found for s in e.subsets for a in s.addresses)
        if listed != chosen:
            yield f"endpoints of {meta.name} are {listed}, not {chosen}"


def _host(world: World, host: Host) -> Iterator[str]:
    name = f"node{host.number}"
    pods = {
        p.metadata.uid: p
        for p in world.processes.plane.registry.list(Pod)
        if p.spec.node_name == name
    }
    ours = [c for c in host.engine.containers() if MANAGED in c.state.labels]
    if not any(c.state.name == "theirs" for c in host.engine.containers()):
        yield f"{name}: the foreign container is gone"
    for container in ours:
        if container.pod.uid not in pods:
            yield f"{name}: {container.state.name} belongs to no pod"
    yield from _containers(world, name, pods.values(), ours)
    addresses = sorted(pod.status.pod_ip for pod in pods.values())
    linked = sorted(address for _, address in host.network.attached.values())
    if linked != addresses:
        yield f"{name}: links have {linked}, pods {addresses}"
    if host.kernel != _rules(world, host) or host.kernel_foreign:
        yield f"{name}: the kernel's rules are not those of the services"
    folder = world.folder / name
    yield from _tokens(world, folder, pods.values())
    for place in (folder / "state" / "pods", folder / "run" / "pods"):
        strays = {entry.name for entry in place.iterdir()} - pods.keys() if place.exists() else ()
        if strays:
            yield f"{name}: folders of {sorted(strays)} are left"


def _containers(
    world: World, name: str, pods: Iterable[Pod], ours: list[PodContainer]
) -> Iterator[str]:
    """Yield the pods that do not run as they are declared."""
    for pod in pods:
        running = sorted(c.name for c in ours if c.pod.uid == pod.metadata.uid and c.running)
        wanted = sorted(["POD", *(c.name for c in pod.spec.containers)])
        if running != wanted and not _is_stranded(world, pod):
            yield f"{name}: of pod {pod.metadata.name} run {running}, not {wanted}"


def _tokens(world: World, folder: Path, pods: Iterable[Pod]) -> Iterator[str]:
    """Yield the pods whose account's token is not to be believed now."""
    if not world.history.accounts:
        return
    now = world.clock.now().timestamp()
    for pod in pods:
        found = [*folder.glob(f"*/pods/{pod.metadata.uid}/volumes/*/*/token")]
        known = [validity(file.read_text()) for file in found]
        if not any(each is not None and now < each.expires for each in known):
            yield f"pod {pod.metadata.name} has no token that is valid"


def _rules(world: World, host: Host) -> set[rules.Element]:
    """Return what the node's table must hold, compiled from nothing but the objects."""
    registry = world.processes.plane.registry
    cidr = ipaddress.IPv4Network(f"10.244.{host.number}.0/24")
    node = rules.Node(f"node{host.number}", cidr, f"192.0.2.{host.number + 1}")
    slices: dict[str, list[EndpointSlice]] = {}
    for each in registry.list(EndpointSlice):
        for service in service_of(each):
            slices.setdefault(service, []).append(each)
    found: set[rules.Element] = set()
    for service in registry.list(Service):
        meta = service.metadata
        own = slices.get(f"{meta.namespace}/{meta.name}", [])
        found |= set(rules.compile_service(service, own, node))
    return found
