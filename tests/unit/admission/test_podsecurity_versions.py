"""The version labels of Pod Security: which checks an older one had."""

from typing import Any

import pytest

from reconciler.admission.admit import admit
from reconciler.admission.decode import decode
from reconciler.admission.errors import Refused
from reconciler.admission.podsecurity.policy import violation
from reconciler.admission.update import validate_update

PREFIX = "pod-security.kubernetes.io/"
SOUND = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def told(version: str, **security: Any) -> str:
    container = {"name": "a", "image": "x", "securityContext": {**SOUND, **security}}
    spec = {"containers": [container]}
    pod: Any = decode({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": spec})
    labels = {f"{PREFIX}enforce": "restricted", f"{PREFIX}enforce-version": version}
    return violation(labels, "enforce", pod.metadata, pod.spec)


@pytest.mark.parametrize(
    ("minor", "security"),
    [
        (8, {"allowPrivilegeEscalation": True}),
        (19, {"seccompProfile": {"type": "Unconfined"}}),
        (22, {"capabilities": {}}),
        (23, {"runAsUser": 0}),
    ],
)
def test_a_check_holds_from_the_version_that_brought_it(minor: int, security: Any) -> None:
    assert told(f"v1.{minor - 1}", **security) == ""
    assert told(f"v1.{minor}", **security).startswith(
        f'violates PodSecurity "restricted:v1.{minor}": '
    )
    assert told("latest", **security)


def test_before_all_had_to_be_dropped_restricted_refused_what_baseline_refuses() -> None:
    assert "non-default capabilities" in told("v1.21", capabilities={"add": ["NET_ADMIN"]})


def test_an_unknown_version_counts_as_the_latest() -> None:
    assert told("1.7", allowPrivilegeEscalation=True)


def namespace(**labels: str) -> Any:
    held = {PREFIX + name.replace("_", "-"): value for name, value in labels.items()}
    meta = {"name": "n", "labels": held}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": meta}


@pytest.mark.parametrize(
    ("label", "value", "why"),
    [
        ("enforce", "strict", "must be one of privileged, baseline, restricted"),
        ("warn_version", "1.25", 'must be "latest" or "v1.x"'),
    ],
)
def test_a_label_that_names_nothing_known_is_invalid(label: str, value: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        admit(namespace(**{label: value}))
    assert why in str(refused.value)
    plain, wrong = decode(namespace()), decode(namespace(**{label: value}))
    assert [fault.path for fault in validate_update(wrong, plain)] == [
        f"metadata.labels[{PREFIX}{label.replace('_', '-')}]"
    ]
    assert validate_update(wrong.replace(metadata=wrong.metadata.replace()), wrong) == ()


def test_a_windows_host_process_is_refused() -> None:
    assert told("latest", windowsOptions={"hostProcess": True}) == (
        'violates PodSecurity "restricted:latest": hostProcess (container "a" must not set'
        " securityContext.windowsOptions.hostProcess=true)"
    )
