"""What a namespace's labels demand of pods, and what a pod lacks. Pure.

Kubernetes' admission plug-in PodSecurity: the labels `pod-security.kubernetes.io/enforce`, `warn`
and `audit` name a level, and `-version` the minor version of Kubernetes whose checks count. What a
check demands is the newest: an older version leaves out the checks that it did not have.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from reconciler.admission.podsecurity import baseline, restricted
from reconciler.admission.podsecurity.names import Fault
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import PodSpec

Mode = Literal["enforce", "warn", "audit"]
Check = Callable[[ObjectMeta, PodSpec], Iterator[Fault]]

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
    baseline.windows_host_process,
)
# Those of baseline that are about one place of the host, and not about power over it.
_PLACES = (baseline.host_namespaces, baseline.host_path_volumes, baseline.host_ports)
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
# The version that brought a check, where it was not the first one.
_SINCE: dict[Check, int] = {
    restricted.allow_privilege_escalation: 8,
    restricted.capabilities: 22,
    restricted.run_as_user: 23,
    restricted.seccomp: 19,
    baseline.seccomp: 19,
}
# Before restricted said it more strictly, what baseline says held there.
_UNTIL: dict[Check, int] = {baseline.capabilities: 22}
_LATEST = 10_000
_VERSION = re.compile(r"v1\.(0|[1-9][0-9]{0,3})")
_MODES = ("enforce", "audit", "warn")
_LEVELS: dict[str, tuple[Check, ...]] = {
    "privileged": (),
    "baseline": _BASELINE,
    "restricted": _RESTRICTED,
}


def violation(labels: Mapping[str, str], mode: Mode, meta: ObjectMeta, spec: PodSpec) -> str:
    """Return what forbids a pod in a namespace with these labels, empty when nothing does.

    A level that does not exist counts as restricted, as in Kubernetes.
    """
    level = labels.get(_PREFIX + mode, "privileged")
    version = labels.get(f"{_PREFIX}{mode}-version", "latest")
    minor = _minor(version)
    faults = list(
        _faults(
            level if level in _LEVELS else "restricted",
            meta,
            spec,
            _LATEST if minor is None else minor,
        )
    )
    if not faults:
        return ""
    return f'violates PodSecurity "{level}:{version}": {", ".join(map(str, faults))}'


def privileges(meta: ObjectMeta, spec: PodSpec) -> Iterator[Fault]:
    """Yield what of a pod baseline forbids, but for paths, namespaces and ports of the host."""
    for check in _BASELINE:
        if check not in _PLACES:
            yield from check(meta, spec)


def label_faults(labels: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Yield (label, value, why) for each label that names no level or version."""
    for mode in _MODES:
        level, version = _PREFIX + mode, f"{_PREFIX}{mode}-version"
        if labels.get(level, "privileged") not in _LEVELS:
            yield level, labels[level], "must be one of privileged, baseline, restricted"
        if _minor(labels.get(version, "latest")) is None:
            yield version, labels[version], 'must be "latest" or "v1.x"'


def _minor(version: str) -> int | None:
    if version == "latest":
        return _LATEST
    found = _VERSION.fullmatch(version)
    return int(found[1]) if found else None


def _faults(level: str, meta: ObjectMeta, spec: PodSpec, minor: int) -> Iterator[Fault]:
    if level == "restricted":
        for earlier, until in _UNTIL.items():
            if minor < until:
                yield from earlier(meta, spec)
    for check in _LEVELS[level]:
        if minor >= _SINCE.get(check, 0):
            yield from check(meta, spec)
