"""The level restricted: today's practice of hardening pods. Pure; called by `policy.py`.

Checks that a pod must pass besides baseline's; three replace one of baseline.
"""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.admission.podsecurity.names import (
    Fault,
    containers,
    context,
    everybody,
    offenders,
    quoted,
)
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import PodSpec
from reconciler.model.security import SecurityContext
from reconciler.model.volume import Volume

_VOLUMES = frozenset(
    {
        *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral"),
        *("persistentVolumeClaim", "projected", "secret"),
    }
)
_PROFILES = ("RuntimeDefault", "Localhost")


def allow_privilege_escalation(_meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """Processes may gain no rights."""
    names = offenders(spec, lambda each: each.allow_privilege_escalation is not False)
    if names:
        text = "must set securityContext.allowPrivilegeEscalation=false"
        yield Fault("allowPrivilegeEscalation != false", f"{containers(names)} {text}")


def capabilities(_meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """All capabilities are dropped; NET_BIND_SERVICE may come back."""
    keeping = offenders(spec, _keeps)
    adding, added = [], set()
    for each in everybody(spec):
        given = context(each).capabilities
        more = set(given.add) - {"NET_BIND_SERVICE"} if given is not None else set()
        if more:
            adding.append(each.name)
            added |= more
    told = []
    if keeping:
        told.append(f'{containers(keeping)} must set securityContext.capabilities.drop=["ALL"]')
    if adding:
        text = f"must not include {quoted(sorted(added))} in securityContext.capabilities.add"
        told.append(f"{containers(adding)} {text}")
    if told:
        yield Fault("unrestricted capabilities", "; ".join(told))


def _keeps(each: SecurityContext) -> bool:
    return each.capabilities is None or "ALL" not in each.capabilities.drop


def volume_types(_meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """Volumes are of the kinds that reach nothing of the host."""
    bad = [(volume.name, _source(volume)) for volume in spec.volumes]
    bad = [(name, source) for name, source in bad if source not in _VOLUMES]
    if not bad:
        return
    many = len(bad) > 1
    names = f"volume{'s' if many else ''} {quoted(name for name, _ in bad)}"
    types = sorted({source for _, source in bad})
    word = f"use{'' if many else 's'} restricted volume type{'s' if len(types) > 1 else ''}"
    yield Fault("restricted volume types", f"{names} {word} {quoted(types)}")


def _source(volume: Volume) -> str:
    for name, info in type(volume).model_fields.items():
        if name != "name" and getattr(volume, name) is not None:
            return info.alias or name
    return "unknown"


def run_as_non_root(_meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """Everything runs as somebody else than root."""
    pod = spec.security_context.run_as_non_root if spec.security_context else None
    wrong = offenders(spec, lambda each: each.run_as_non_root is False)
    silent = [] if pod else offenders(spec, lambda each: each.run_as_non_root is None)
    text = "securityContext.runAsNonRoot"
    told = []
    if pod is False and silent:
        told.append(f"pod must not set {text}=false")
    if wrong:
        told.append(f"{containers(wrong)} must not set {text}=false")
    if silent and not told:
        told.append(f"pod or {containers(silent)} must set {text}=true")
    if told:
        yield Fault("runAsNonRoot != true", "; ".join(told))


def run_as_user(_meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """User 0 is nobody's."""
    pod = spec.security_context.run_as_user if spec.security_context else None
    setters = ["pod"] if pod == 0 else []
    names = offenders(spec, lambda each: each.run_as_user == 0)
    setters += [containers(names)] if names else []
    if setters:
        yield Fault("runAsUser=0", f"{' and '.join(setters)} must not set runAsUser=0")


def seccomp(_meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """A filter of system calls is named."""
    pod = spec.security_context.seccomp_profile if spec.security_context else None
    wrong = ["pod"] if pod is not None and pod.type not in _PROFILES else []
    names = offenders(
        spec,
        lambda each: (
            each.seccomp_profile is not None and each.seccomp_profile.type not in _PROFILES
        ),
    )
    wrong += [containers(names)] if names else []
    silent = [] if pod is not None else offenders(spec, lambda each: each.seccomp_profile is None)
    text = "securityContext.seccompProfile.type"
    told = []
    if wrong:
        told.append(f'{" and ".join(wrong)} must not set {text} to "Unconfined"')
    if silent:
        told.append(
            f'pod or {containers(silent)} must set {text} to "RuntimeDefault" or "Localhost"'
        )
    if told:
        yield Fault("seccompProfile", "; ".join(told))
