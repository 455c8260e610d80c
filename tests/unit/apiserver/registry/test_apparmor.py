"""AppArmor profiles: fields and the old annotations say the same on every new pod."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.apiserver.registry.registry import Registry
from reconciler.model.pod import Pod

KEY = "container.apparmor.security.beta.kubernetes.io/c"


@pytest.fixture
def create(virtual: Any, registry: Registry, make: Any) -> Any:
    def pod(note: str = "", own: Any = None, shared: Any = None) -> Pod:
        container = {"name": "c", "image": "x"}
        if own:
            container |= {"securityContext": {"appArmorProfile": own}}
        spec = {"containers": [container]}
        if shared:
            spec |= {"securityContext": {"appArmorProfile": shared}}
        notes = {"annotations": {KEY: note}} if note else {}
        made = make("Pod", "p", metadata=notes, spec=spec)
        return virtual.run_until_complete(registry.create(made))

    return pod


@pytest.mark.parametrize(
    ("note", "profile"),
    [
        ("runtime/default", {"type": "RuntimeDefault"}),
        ("unconfined", {"type": "Unconfined"}),
        ("localhost/mine", {"type": "Localhost", "localhostProfile": "mine"}),
    ],
)
def test_one_makes_the_other(create: Any, note: str, profile: dict[str, str]) -> None:
    assert create(own=profile).metadata.annotations[KEY] == note


@pytest.mark.parametrize(
    ("note", "kind", "name"),
    [
        ("runtime/default", "RuntimeDefault", None),
        ("localhost/mine", "Localhost", "mine"),
    ],
)
def test_an_annotation_makes_the_field(create: Any, note: str, kind: str, name: str | None) -> None:
    found = create(note=note).spec.containers[0].security_context.app_armor_profile
    assert (found.type, found.localhost_profile) == (kind, name)


def test_the_pods_profile_is_told_for_each_container(create: Any) -> None:
    made = create(shared={"type": "RuntimeDefault"})
    assert made.metadata.annotations == {KEY: "runtime/default"}
    assert made.spec.containers[0].security_context is None


def test_an_annotation_without_sense_makes_no_field(create: Any) -> None:
    assert create(note="nonsense").spec.containers[0].security_context is None
