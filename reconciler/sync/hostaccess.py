"""What a source may ask of the host: paths, privileges, namespaces, ports, rights at the API. Pure.

Called by the loop for each valid revision before it is planned, and by `sources.py`. A source that
the daemon's own settings name is trusted with everything; every other one is closed until its
Source says `allow` and `hostPaths`, and never gets more than the source that declares it. What
counts as a privilege is what Kubernetes' Pod Security Standards forbid at the level baseline.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from posixpath import normpath

from reconciler.admission.podsecurity.policy import privileges
from reconciler.desired.objects import DesiredObject
from reconciler.model import rbac
from reconciler.model.gitops import Source, SourceSpec
from reconciler.model.meta import KubeObject, ObjectMeta
from reconciler.model.pod import Pod, PodSpec, PodTemplate
from reconciler.model.replication import ReplicationController
from reconciler.model.service import Service
from reconciler.sync.actions import Origin
from reconciler.sync.bounds import ORIGIN_ANNOTATION, Find, lineage
from reconciler.sync.identity import source_of
from reconciler.sync.refusal import Refusal

Faults = Iterator[tuple[str, str]]
"""Each a field path, and what the source would need to ask for it."""


@dataclass(frozen=True, slots=True)
class HostAccess:
    """The words of `allow` that hold for a source, and the folders of the host it may mount."""

    words: frozenset[str] = frozenset()
    paths: tuple[str, ...] = ()

    def within(self, spec: SourceSpec) -> HostAccess:
        """Return what is left of this under a source that says `spec`."""
        own = HostAccess(frozenset(spec.allow), tuple(map(normpath, spec.host_paths)))
        both = {path for path in own.paths if self.holds(path)}
        both |= {path for path in self.paths if own.holds(path)}
        return HostAccess(self.words & own.words, tuple(sorted(both)))

    def holds(self, path: str) -> bool:
        """Return whether `path` of the host is one of these, or inside one."""
        asked = normpath(path)
        return any(asked == each or asked.startswith(each.rstrip("/") + "/") for each in self.paths)


CLOSED = HostAccess()
Access = HostAccess | None
"""What a source may ask of the host; None is everything."""


def access_of(source: Source, find: Find) -> Access:
    """Return what `source` may ask for: its own words, and no more than those that declare it."""
    access: Access = None
    for each in lineage(source, find):
        if each.metadata.annotations.get(ORIGIN_ANNOTATION) and not source_of(each):
            return access
        own = HostAccess(frozenset(each.spec.allow), tuple(map(normpath, each.spec.host_paths)))
        access = own if access is None else access.within(each.spec)
        declarer = source_of(each)
        if declarer and find(declarer) is None:
            return CLOSED
    return access


def beyond_access(
    source: str, declared: Iterable[DesiredObject], access: Access
) -> tuple[Refusal, ...]:
    """Return what of `declared` asks for more than `access`, in the order of files and lines."""
    if access is None:
        return ()
    wrong = [
        Refusal(each.key, Origin(each.path, each.line), path, f'source "{source}" {message}')
        for each in declared
        for path, message in _faults(each.obj, access)
    ]
    return tuple(sorted(wrong, key=lambda refusal: (refusal.origin or Origin("", 0), refusal.path)))


def _faults(obj: KubeObject, access: HostAccess) -> Faults:
    match obj:
        case Pod():
            yield from _pod("spec", obj.metadata, obj.spec, access)
        case ReplicationController() if obj.spec.template is not None:
            template = obj.spec.template
            yield from _pod("spec.template.spec", template.metadata, template.spec, access)
        case PodTemplate():
            yield from _pod("template.spec", obj.template.metadata, obj.template.spec, access)
        case Service():
            yield from _service(obj, access)
        case Source():
            yield from _source(obj.spec, access)
        case _ if obj.api_version.startswith(rbac.GROUP) and "roleBindings" not in access.words:
            yield "kind", _needs("roleBindings", "give rights at the API")


def _pod(path: str, meta: ObjectMeta, spec: PodSpec, access: HostAccess) -> Faults:
    for index, volume in enumerate(spec.volumes):
        if volume.host_path is not None and not access.holds(volume.host_path.path):
            where = f"{path}.volumes[{index}].hostPath.path"
            yield where, f"may not mount {volume.host_path.path}: {_folders(access)}"
    if "privileged" not in access.words:
        for fault in privileges(meta, spec):
            yield path, _needs("privileged", f"ask for more than Pod Security baseline: {fault}")
    if "hostNamespaces" not in access.words:
        for field, used in (
            ("hostNetwork", spec.host_network),
            ("hostPID", spec.host_pid),
            ("hostIPC", spec.host_ipc),
        ):
            if used:
                yield f"{path}.{field}", _needs("hostNamespaces", "join namespaces of the host")
    if "hostPorts" not in access.words and not spec.host_network:
        yield from _host_ports(path, spec)


def _host_ports(path: str, spec: PodSpec) -> Faults:
    groups = (("initContainers", spec.init_containers), ("containers", spec.containers))
    for group, members in groups:
        for number, container in enumerate(members):
            for index, port in enumerate(container.ports):
                if port.host_port:
                    where = f"{path}.{group}[{number}].ports[{index}].hostPort"
                    yield where, _needs("hostPorts", "take ports of the host")


def _service(service: Service, access: HostAccess) -> Faults:
    if "nodePorts" in access.words:
        return
    if service.spec.type in ("NodePort", "LoadBalancer"):
        yield "spec.type", _needs("nodePorts", "serve on addresses of the host")
    if service.spec.external_ips:
        yield "spec.externalIPs", _needs("nodePorts", "serve on addresses of the host")


def _source(spec: SourceSpec, access: HostAccess) -> Faults:
    for index, word in enumerate(spec.allow):
        if word not in access.words:
            yield f"spec.allow[{index}]", f"may not allow another what it has not itself: {word}"
    for index, path in enumerate(spec.host_paths):
        if not access.holds(path):
            yield (
                f"spec.hostPaths[{index}]",
                f"may not let another mount {path}: {_folders(access)}",
            )


def _needs(word: str, what: str) -> str:
    return f'may not {what}: its Source would have to say "{word}" in spec.allow'


def _folders(access: HostAccess) -> str:
    if not access.paths:
        return "its Source names no folder in spec.hostPaths"
    return f"its Source names {', '.join(access.paths)} in spec.hostPaths"
