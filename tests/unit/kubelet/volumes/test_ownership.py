"""fsGroup: what is given to the group, and when large volumes are left alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reconciler.kubelet.volumes.ownership import give_to_group
from tests.unit.kubelet.builders import pod

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give files away")

GROUP = 4321


def mode(path: Path) -> str:
    return f"{path.stat().st_gid}:{path.stat().st_mode & 0o7777:o}"


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    root = tmp_path / "volume"
    (root / "inner").mkdir(parents=True, mode=0o700)
    (root / "inner" / "file").write_text("x")
    (root / "inner" / "file").chmod(0o600)
    root.chmod(0o700)
    return root


@pytest.mark.parametrize("policy", ["Always", "OnRootMismatch", None])
def test_a_volume_with_another_root_is_given_whole(volume: Path, policy: str | None) -> None:
    wanted = pod(securityContext={"fsGroup": GROUP, "fsGroupChangePolicy": policy})
    give_to_group(volume, wanted, persistent=True)
    assert mode(volume) == f"{GROUP}:2770"
    assert mode(volume / "inner" / "file") == f"{GROUP}:660"


def test_a_right_root_is_trusted_where_the_policy_says_so(volume: Path) -> None:
    os.chown(volume, -1, GROUP)
    volume.chmod(0o2770)
    wanted = pod(securityContext={"fsGroup": GROUP, "fsGroupChangePolicy": "OnRootMismatch"})
    give_to_group(volume, wanted, persistent=True)
    assert mode(volume / "inner" / "file") == "0:600"
    give_to_group(volume, wanted)  # volumes of the pod's own are always given
    assert mode(volume / "inner" / "file") == f"{GROUP}:660"


def test_a_root_without_all_rights_is_no_match(volume: Path) -> None:
    os.chown(volume, -1, GROUP)
    volume.chmod(0o2750)
    wanted = pod(securityContext={"fsGroup": GROUP, "fsGroupChangePolicy": "OnRootMismatch"})
    give_to_group(volume, wanted, persistent=True)
    assert mode(volume / "inner" / "file") == f"{GROUP}:660"
