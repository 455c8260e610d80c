"""What a namespace's labels demand of pods, and what a pod lacks. Pure.

Kubernetes' admission plug-in PodSecurity: the labels `pod-security.kubernetes.io/enforce`, `warn`
and `audit` name a level. The checks are the newest ones: a version label other than "latest" is
shown in messages, as Kubernetes shows it, and asks for no older ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from reconciler.admission.podsecurity import baseline, restricted
from reconciler.admission.podsecurity.names import Fault
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import PodSpec

Mode = Literal["enforce", "warn", "audit"]

_PREFIX = "pod-security.kubernetes.io/"
_BASELINE = (
    baseline.app_armor,
    baseline.capabilities,
    baseline.host_namespaces,
    baseline.host_path_volumes,
    baseline.host_ports,
    baseline.privileged,
    baseline.proc_mount,
    baseline.se_linux,
    baseline.seccomp,
    baseline.sysctls,
)
# Those of baseline that restricted says more strictly.
_REPLACED = (baseline.capabilities, baseline.host_path_volumes, baseline.seccomp)
_RESTRICTED = (
    *(check for check in _BASELINE if check not in _REPLACED),
    restricted.allow_privilege_escalation,
    restricted.capabilities,
    restricted.volume_types,
    restricted.run_as_non_root,
    restricted.run_as_user,
    restricted.seccomp,
)
_LEVELS = {"privileged": (), "baseline": _BASELINE, "restricted": _RESTRICTED}


def violation(labels: Mapping[str, str], mode: Mode, meta: ObjectMeta, spec: PodSpec) -> str:
    """Return what forbids a pod in a namespace with these labels, empty when nothing does.

    A level that does not exist counts as restricted, as in Kubernetes.
    """
    level = labels.get(_PREFIX + mode, "privileged")
    version = labels.get(f"{_PREFIX}{mode}-version", "latest")
    faults = list(_faults(level if level in _LEVELS else "restricted", meta, spec))
    if not faults:
        return ""
    return f'violates PodSecurity "{level}:{version}": {", ".join(map(str, faults))}'


def _faults(level: str, meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    for check in _LEVELS[level]:
        yield from check(meta, spec)
