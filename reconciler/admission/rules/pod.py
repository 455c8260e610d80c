"""Rules of pods and pod templates; what they hold has modules of its own."""

from __future__ import annotations

from reconciler.admission.alike import ALIKE
from reconciler.admission.errors import (
    Errors,
    duplicate,
    forbidden,
    invalid,
    not_supported,
    required,
)
from reconciler.admission.rules import names
from reconciler.admission.rules.container import (
    containers,
    host_network_ports,
    init_containers,
    trimmed_images,
)
from reconciler.admission.rules.dns import dns_config, dns_policy
from reconciler.admission.rules.meta import annotation_map, labels, validate_meta
from reconciler.admission.rules.priorityclass import preemption_policy
from reconciler.admission.rules.resources import amount, resource_name
from reconciler.admission.rules.scheduling import affinity, tolerations, topology_spread
from reconciler.admission.rules.security import pod_security
from reconciler.admission.rules.volume import named_volumes, volumes
from reconciler.model.pod import HostAlias, Pod, PodSpec, PodTemplate, PodTemplateSpec

RESTART_POLICIES = ("Always", "OnFailure", "Never")
DEADLINE_MAX = 2**31 - 1


def pod(obj: Pod) -> Errors:
    """ValidatePodCreate."""
    yield from validate_meta(obj)
    spec = obj.spec
    yield from pod_spec(spec, "spec")
    if spec.volumes:
        if not spec.service_account_name:
            yield from _tokens_without_account(spec)
        yield from _claim_names(obj)
    yield from trimmed_images(spec.containers, "spec.containers")
    yield from trimmed_images(spec.init_containers, "spec.initContainers")
    if spec.ephemeral_containers:
        yield forbidden("spec.ephemeralContainers", "cannot be set on create")
    if spec.scheduling_gates and spec.node_name:
        yield forbidden(
            "spec.nodeName", "cannot be set until all schedulingGates have been cleared"
        )


def _tokens_without_account(spec: PodSpec) -> Errors:
    for i, volume in enumerate(spec.volumes):
        for j, source in enumerate(volume.projected.sources if volume.projected else ()):
            if source.service_account_token is not None:
                yield forbidden(
                    f"spec.volumes[{i}].projected.sources[{j}].serviceAccountToken",
                    "must not be specified when serviceAccountName is not set",
                )


def _claim_names(obj: Pod) -> Errors:
    """An ephemeral volume's claim is named for the pod and the volume."""
    for index, volume in enumerate(obj.spec.volumes):
        if volume.ephemeral is None or not volume.name:
            continue
        claim = f"{obj.metadata.name}-{volume.name}"
        for message in names.dns_subdomain(claim):
            text = f'PVC name "{claim}": {message}'
            yield invalid(f"spec.volumes[{index}].name", volume.name, text)


def pod_template(obj: PodTemplate) -> Errors:
    """ValidatePodTemplate."""
    yield from validate_meta(obj)
    yield from pod_template_spec(obj.template, "template")


def pod_template_spec(template: PodTemplateSpec, path: str) -> Errors:
    """ValidatePodTemplateSpec; of the metadata only labels and annotations count."""
    if template.metadata.labels:
        yield from labels(template.metadata.labels, f"{path}.labels")
    if template.metadata.annotations:
        yield from annotation_map(template.metadata.annotations, f"{path}.annotations")
    yield from pod_spec(template.spec, f"{path}.spec")
    if template.spec.ephemeral_containers:
        text = "ephemeral containers not allowed in pod template"
        yield forbidden(f"{path}.spec.ephemeralContainers", text)


def pod_spec(spec: PodSpec, path: str) -> Errors:
    """ValidatePodSpec; what was found sound once is not judged again."""
    known = ALIKE.of(spec)
    if known is None:
        yield from _pod_spec(spec, path)
    elif not known.sound or spec is not known.defaulted:
        faults = tuple(_pod_spec(spec, path))
        known.sound = not faults and spec is known.defaulted
        yield from faults


def _pod_spec(spec: PodSpec, path: str) -> Errors:
    """The rules, in Kubernetes' order."""
    faults = tuple(volumes(spec.volumes, f"{path}.volumes")) if spec.volumes else ()
    yield from faults
    held = named_volumes(spec.volumes, sound=not faults)
    yield from containers(spec, held, path)
    if spec.init_containers:
        yield from init_containers(spec, held, path)
    if spec.restart_policy not in RESTART_POLICIES:
        where = f"{path}.restartPolicy"
        policy = spec.restart_policy
        yield not_supported(where, policy, RESTART_POLICIES) if policy else required(where)
    yield from dns_policy(spec.dns_policy, f"{path}.dnsPolicy")
    if spec.node_selector:
        yield from labels(spec.node_selector, f"{path}.nodeSelector")
    if spec.host_network:
        yield from host_network_ports(spec.containers, f"{path}.containers")
        yield from host_network_ports(spec.init_containers, f"{path}.initContainers")
    yield from pod_security(spec, f"{path}.securityContext")
    if spec.host_users is False:
        yield from _host_users(spec, path)
    if spec.affinity is not None:
        yield from affinity(spec.affinity, f"{path}.affinity")
    yield from dns_config(spec.dns_config, spec.dns_policy, f"{path}.dnsConfig")
    yield from _gates(spec, path)
    if spec.topology_spread_constraints:
        where = f"{path}.topologySpreadConstraints"
        yield from topology_spread(spec.topology_spread_constraints, where)
    yield from _names(spec, path)
    if spec.tolerations:
        yield from tolerations(spec.tolerations, f"{path}.tolerations")
    if spec.host_aliases:
        yield from _host_aliases(spec.host_aliases, f"{path}.hostAliases")
    yield from _rare(spec, path)


def _host_users(spec: PodSpec, path: str) -> Errors:
    """ValidateHostUsers: a user namespace of its own goes with no namespace of the host."""
    shared = (("hostNetwork", spec.host_network), ("hostPID", spec.host_pid),
              ("hostIPC", spec.host_ipc))  # fmt: skip
    for field, used in shared:
        if used:
            yield forbidden(f"{path}.{field}", "when `hostUsers` is false")


def _gates(spec: PodSpec, path: str) -> Errors:
    for index, readiness in enumerate(spec.readiness_gates):
        where = f"{path}.readinessGates[{index}].conditionType"
        messages = names.qualified_name(readiness.condition_type)
        yield from names.each(where, readiness.condition_type, messages)
    seen: set[str] = set()
    for index, gate in enumerate(spec.scheduling_gates):
        where = f"{path}.schedulingGates[{index}]"
        yield from names.each(where, gate.name, names.qualified_name(gate.name))
        if gate.name in seen:
            yield duplicate(where, gate.name)
        seen.add(gate.name)


_NAMES = (
    ("service_account_name", "serviceAccountName", names.dns_subdomain),
    ("node_name", "nodeName", names.dns_subdomain),
    ("hostname", "hostname", names.dns_label),
    ("subdomain", "subdomain", names.dns_label),
    ("priority_class_name", "priorityClassName", names.dns_subdomain),
    ("runtime_class_name", "runtimeClassName", names.dns_subdomain),
)


def _names(spec: PodSpec, path: str) -> Errors:
    for attribute, field, rule in _NAMES:
        value = getattr(spec, attribute)
        if value:
            yield from names.each(f"{path}.{field}", value, rule(value))
        if attribute == "node_name" and spec.active_deadline_seconds is not None:
            yield from _deadline(spec.active_deadline_seconds, f"{path}.activeDeadlineSeconds")


def _deadline(seconds: int, path: str) -> Errors:
    if not 1 <= seconds <= DEADLINE_MAX:
        yield invalid(path, seconds, f"must be between 1 and {DEADLINE_MAX}, inclusive")


def _host_aliases(aliases: tuple[HostAlias, ...], path: str) -> Errors:
    for i, alias in enumerate(aliases):
        yield from names.each(f"{path}[{i}].ip", alias.ip, names.ip_address(alias.ip))
        for j, hostname in enumerate(alias.hostnames):
            where = f"{path}[{i}].hostnames[{j}]"
            yield from names.each(where, hostname, names.dns_subdomain(hostname))


def _rare(spec: PodSpec, path: str) -> Errors:
    yield from preemption_policy(spec.preemption_policy, f"{path}.preemptionPolicy")
    for name, value in spec.overhead.items():
        where = f"{path}.overhead[{name}]"
        yield from resource_name(name, where)
        yield from amount(name, value, where)
    if spec.os is not None and spec.os.name not in ("linux", "windows"):
        if spec.os.name:
            yield not_supported(f"{path}.os", spec.os.name, ("linux", "windows"))
        else:
            yield required(f"{path}.os.name", "cannot be empty")
