"""The Pod Security Standards: each check breaks, and says how; a good pod passes each level."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.admission.decode import decode
from reconciler.admission.podsecurity import policy
from reconciler.model.pod import Pod

GOOD: dict[str, Any] = {
    "containers": [
        {
            "name": "c",
            "image": "i",
            "securityContext": {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "runAsNonRoot": True,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        }
    ]
}
PLAIN: dict[str, Any] = {"containers": [{"name": "c", "image": "i"}]}


def told(spec: dict[str, Any], level: str, annotations: dict[str, str] | None = None) -> str:
    labels = {"pod-security.kubernetes.io/enforce": level} if level else {}
    meta = {"name": "p", "annotations": annotations or {}}
    pod: Pod = decode({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})
    return policy.violation(labels, "enforce", pod.metadata, pod.spec)


def with_container(**context: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "i", "securityContext": context}]}


@pytest.mark.parametrize("level", ["", "privileged", "baseline", "restricted"])
def test_a_hardened_pod_passes_every_level(level: str) -> None:
    assert not told(GOOD, level)


def test_a_plain_pod_passes_baseline_alone() -> None:
    assert not told(PLAIN, "baseline")
    assert told(PLAIN, "restricted") == (
        'violates PodSecurity "restricted:latest": allowPrivilegeEscalation != false (container "c"'
        " must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities"
        ' (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true'
        ' (pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or'
        ' container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or'
        ' "Localhost")'
    )


@pytest.mark.parametrize(
    ("spec", "detail"),
    [
        ({**PLAIN, "hostNetwork": True, "hostPID": True}, "(hostNetwork=true, hostPID=true)"),
        (
            {**PLAIN, "volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
            'hostPath volumes (volume "v")',
        ),
        (
            {"containers": [{"name": "c", "ports": [{"containerPort": 1, "hostPort": 80}]}]},
            'hostPort (container "c" uses hostPort 80)',
        ),
        (
            with_container(privileged=True),
            'privileged (container "c" must not set securityContext.privileged=true)',
        ),
        (
            with_container(capabilities={"add": ["SYS_ADMIN", "KILL"]}),
            (
                'non-default capabilities (container "c" must not include "SYS_ADMIN" in'
                " securityContext.capabilities.add)"
            ),
        ),
        (
            with_container(procMount="Unmasked"),
            'procMount (container "c" must not set securityContext.procMount to "Unmasked")',
        ),
        (
            with_container(seccompProfile={"type": "Unconfined"}),
            (
                'seccompProfile (container "c" must not set securityContext.seccompProfile.type to'
                ' "Unconfined")'
            ),
        ),
        (
            with_container(seLinuxOptions={"type": "spc_t", "user": "u"}),
            (
                'seLinuxOptions (container "c" set forbidden securityContext.seLinuxOptions: type'
                ' "spc_t"; user may not be set ("u"))'
            ),
        ),
        (
            with_container(appArmorProfile={"type": "Unconfined"}),
            (
                'forbidden AppArmor profile (container "c" must not set AppArmor profile type to'
                ' "Unconfined")'
            ),
        ),
        (
            {**PLAIN, "securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
            "forbidden sysctl (kernel.msgmax)",
        ),
    ],
)
def test_what_baseline_forbids_restricted_forbids_too(spec: dict[str, Any], detail: str) -> None:
    assert not told(spec, "privileged")
    assert detail in told(spec, "baseline")
    assert "violates" in told(spec, "restricted")


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        ({"volumes": [{"name": "v", "nfs": {"server": "s", "path": "/"}}]},
         'restricted volume types (volume "v" uses restricted volume type "nfs")'),
        ({"securityContext": {"runAsUser": 0}}, "runAsUser=0 (pod must not set runAsUser=0)"),
        ({"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
         'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")'),
    ],
)  # fmt: skip
def test_what_restricted_forbids(change: dict[str, Any], detail: str) -> None:
    assert detail in told({**GOOD, **change}, "restricted")


def test_a_capability_may_come_back_and_no_other() -> None:
    context = {**GOOD["containers"][0]["securityContext"]}
    context["capabilities"] = {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}
    assert not told(with_container(**context), "restricted")
    context["capabilities"] = {"drop": ["ALL"], "add": ["CHOWN"]}
    assert 'must not include "CHOWN"' in told(with_container(**context), "restricted")


def test_init_containers_count_and_are_listed_first() -> None:
    bad = {"image": "i", "securityContext": {"privileged": True}}
    spec = {"containers": [{"name": "c", **bad}], "initContainers": [{"name": "i", **bad}]}
    assert 'containers "i", "c" must not set' in told(spec, "baseline")


def test_an_annotation_of_old_is_looked_at() -> None:
    key = "container.apparmor.security.beta.kubernetes.io/c"
    assert "forbidden AppArmor profile" in told(PLAIN, "baseline", {key: "unconfined"})
    assert not told(PLAIN, "baseline", {key: "localhost/mine"})


def test_a_level_that_is_none_counts_as_the_strictest() -> None:
    assert 'violates PodSecurity "strict:latest"' in told(PLAIN, "strict")
