"""As whom a container runs and what it may do, from the contexts of pod, container and image."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.kubelet.accounts import Accounts, parse_accounts
from reconciler.kubelet.dockerapi import host_config
from reconciler.kubelet.runtime import ContainerSpec, Image, Security
from reconciler.kubelet.securityspec import (
    SecurityRefused,
    needs_accounts,
    seccomp_profile,
    security,
)
from reconciler.model.pod import Pod
from tests.unit.kubelet.builders import pod

ACCOUNTS = parse_accounts(
    "root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001::/home/app:\nnonsense\nodd:x:no:1::/:\n",
    "root:x:0:\napp:x:1001:\nextra:x:50000:other,app\nlast:x:60000:app\n",
)


def made(shared: dict[str, Any], own: dict[str, Any] | None = None) -> Pod:
    containers = [{"name": "app", "image": "app:1", "securityContext": own or {}}]
    return pod(containers=containers, securityContext=shared)


def rights(
    shared: dict[str, Any],
    own: dict[str, Any] | None = None,
    image_user: str = "",
    accounts: Accounts | None = ACCOUNTS,
) -> Security:
    wanted = made(shared, own)
    container = wanted.spec.containers[0]
    known = accounts if needs_accounts(wanted, container) else None
    return security(wanted, container, Image("i", user=image_user), known, "")


STRICT = {"supplementalGroupsPolicy": "Strict"}


@pytest.mark.parametrize(
    ("shared", "image_user", "user", "groups"),
    [
        # The engine merges by itself as long as no group is given.
        ({"runAsUser": 1000, "supplementalGroups": [7]}, "", "1000", ("7",)),
        ({"runAsUser": 1000, "runAsGroup": 5}, "", "1000:5", ("50000", "60000")),
        ({"runAsUser": 1000, "runAsGroup": 5, "fsGroup": 50000}, "", "1000:5", ("50000", "60000")),
        ({"runAsGroup": 5}, "app", "1000:5", ("50000", "60000")),
        ({"runAsGroup": 5}, "", "0:5", ()),
        (STRICT | {"runAsUser": 1000}, "", "1000:1001", ()),
        (STRICT | {"runAsUser": 1000, "runAsGroup": 5}, "", "1000:5", ()),
        (STRICT | {"runAsUser": 4000, "supplementalGroups": [7]}, "", "4000:0", ("7",)),
        (STRICT | {"fsGroup": 0}, "app:extra", "1000:50000", ("0",)),
        (STRICT, "", "0:0", ()),
    ],
)
def test_user_and_groups(
    shared: dict[str, Any], image_user: str, user: str, groups: tuple[str, ...]
) -> None:
    found = rights(shared, image_user=image_user)
    assert (found.user, found.groups) == (user, groups)


def test_an_image_that_does_not_know_its_own_user_is_refused() -> None:
    with pytest.raises(SecurityRefused, match="unable to find user ghost"):
        rights(STRICT, image_user="ghost")
    with pytest.raises(SecurityRefused, match="unable to find group ghosts"):
        rights(STRICT, image_user="app:ghosts")


def test_profiles_of_the_container_go_before_the_pods() -> None:
    local = {"type": "Localhost", "localhostProfile": "mine.json"}
    both = made({"seccompProfile": {"type": "Unconfined"}}, {"seccompProfile": local})
    assert seccomp_profile(both, both.spec.containers[0]) == "mine.json"
    given = security(both, both.spec.containers[0], Image("i"), None, "{}")
    assert given.seccomp == "{}"
    assert rights({"seccompProfile": {"type": "Unconfined"}}).seccomp == "unconfined"
    app_armor = {"appArmorProfile": {"type": "Localhost", "localhostProfile": "mine"}}
    assert rights(app_armor).app_armor == "mine"
    assert rights(app_armor, {"privileged": True}).app_armor == ""
    unconfined = {"appArmorProfile": {"type": "Unconfined"}}
    assert rights(app_armor, unconfined).app_armor == "unconfined"
    assert rights({"appArmorProfile": {"type": "RuntimeDefault"}}).app_armor == ""


def test_what_the_engine_is_told() -> None:
    label = {"seLinuxOptions": {"type": "spc_t", "level": "s0:c1,c2"}}
    wanted = rights(label | {"appArmorProfile": {"type": "Unconfined"}})
    options = host_config(ContainerSpec("n", "i", security=wanted))["SecurityOpt"]
    assert options == ["apparmor=unconfined", "label=type:spc_t", "label=level:s0:c1,c2"]


@pytest.mark.parametrize(
    ("shared", "own", "image_user", "words"),
    [
        ({"runAsNonRoot": True}, {}, "", "image will run as root"),
        ({"runAsNonRoot": True}, {}, "0:5", "image will run as root"),
        ({"runAsNonRoot": True}, {}, "app", r"image has non-numeric user \(app\), cannot verify"),
        ({"runAsNonRoot": True, "runAsUser": 0}, {}, "5", "runAsUser breaks non-root policy"),
        ({"runAsUser": 5}, {"runAsNonRoot": True, "runAsUser": 0}, "5", "breaks non-root policy"),
    ],
)
def test_who_must_not_be_root_and_would_be_is_refused(
    shared: dict[str, Any], own: dict[str, Any], image_user: str, words: str
) -> None:
    place = r' \(pod: "web_default\(uid-1\)", container: app\)$'
    with pytest.raises(SecurityRefused, match=words + ".*" + place):
        rights(shared, own, image_user)


@pytest.mark.parametrize(
    ("shared", "own", "image_user"),
    [
        ({"runAsNonRoot": True}, {}, "1000:0"),
        ({"runAsNonRoot": True, "runAsUser": 5}, {}, "root"),
        ({"runAsNonRoot": True}, {"runAsNonRoot": False}, ""),
    ],
)
def test_who_must_not_be_root_and_is_not_runs(
    shared: dict[str, Any], own: dict[str, Any], image_user: str
) -> None:
    assert rights(shared, own, image_user)
