"""`reconciler kubeconfig`."""

import base64
from pathlib import Path

import pytest

from reconciler.cli.kubeconfig import NoCredentials, kubeconfig
from reconciler.settings import Settings


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "pki").mkdir()
    (tmp_path / "pki" / "ca.crt").write_text("the CA")
    (tmp_path / "pki" / "admin.token").write_text("secret\n")
    return tmp_path


@pytest.mark.parametrize(
    ("listen", "server"),
    [
        ("127.0.0.1:6443", "https://127.0.0.1:6443"),
        ("0.0.0.0:7443", "https://127.0.0.1:7443"),
        ("[::]:7443", "https://[::1]:7443"),
        ("10.1.2.3:6443", "https://10.1.2.3:6443"),
    ],
)
def test_what_kubectl_needs(state: Path, listen: str, server: str) -> None:
    config = kubeconfig(Settings(state_dir=state, listen=listen))
    (cluster,), (user,) = config["clusters"], config["users"]
    assert cluster["cluster"]["server"] == server
    assert base64.b64decode(cluster["cluster"]["certificate-authority-data"]) == b"the CA"
    assert user["user"] == {"token": "secret"}


def test_before_the_first_start(tmp_path: Path) -> None:
    with pytest.raises(NoCredentials, match="start the daemon"):
        kubeconfig(Settings(state_dir=tmp_path))
