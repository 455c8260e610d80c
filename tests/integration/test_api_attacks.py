"""What the API's port is exposed to: strangers, forged identities, odd bytes, very many of them.

On real sockets, against a control plane without Docker. What needs no socket is in
`tests/unit/apiserver/http/test_connection.py`.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import resource
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from reconciler.apiserver.security import jwt
from reconciler.apiserver.security.signing import SigningKeys
from tests.integration.harness import wait_for

pytestmark = pytest.mark.integration

NOW = dt.datetime.now(dt.UTC)
DAY = dt.timedelta(days=1)


@dataclass
class Door:
    """The port, and what a client needs to come in by it."""

    address: tuple[str, int]
    authority: str
    token: str
    pki: Path

    @classmethod
    def of(cls, config: dict[str, Any], pki: Path) -> Door:
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        host, _, port = cluster["server"].removeprefix("https://").rpartition(":")
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        return cls((host, int(port)), authority, user["token"], pki)

    @contextmanager
    def open(self, certificate: Path | None = None) -> Iterator[ssl.SSLSocket]:
        context = ssl.create_default_context(cadata=self.authority)
        if certificate is not None:
            context.load_cert_chain(certificate)
        with (
            socket.create_connection(self.address, timeout=20) as plain,
            context.wrap_socket(plain, server_hostname=self.address[0]) as secured,
        ):
            yield secured

    def send(self, data: bytes, certificate: Path | None = None) -> bytes:
        """Send bytes; return all that comes until the server closes."""
        with self.open(certificate) as connection:
            connection.sendall(data)
            answer = b""
            while piece := connection.recv(65536):
                answer += piece
            return answer

    def ask(
        self,
        target: str,
        *headers: str,
        method: str = "GET",
        body: bytes = b"",
        who: Path | None = None,
    ) -> tuple[int, bytes]:
        """Return code and body of one answer."""
        size = [f"Content-Length: {len(body)}"] if body else []
        lines = [f"{method} {target} HTTP/1.1", "Host: h", "Connection: close", *size, *headers]
        answer = self.send("\r\n".join((*lines, "\r\n")).encode() + body, who)
        if not answer:
            raise ConnectionError("the server closed without an answer")
        head, _, rest = answer.partition(b"\r\n\r\n")
        return int(head.split()[1]), rest

    @property
    def admin(self) -> str:
        return f"Authorization: Bearer {self.token}"


@pytest.fixture(scope="module")
def door(cluster: Path) -> Door:
    found = Door.of(yaml.safe_load(cluster.read_text()), cluster.parent / "pki")
    for space in ("ours", "theirs"):
        _create(found, "/api/v1/namespaces", {"metadata": {"name": space}})
        pod = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
        _create(found, f"/api/v1/namespaces/{space}/pods", pod)
        _create(found, f"/api/v1/namespaces/{space}/secrets", {"metadata": {"name": "s"}})
    rules = [{"apiGroups": [""], "resources": ["*"], "verbs": ["*"]}]
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/ours"
    _create(found, f"{roles}/roles", {"metadata": {"name": "all"}, "rules": rules})
    binding = {
        "metadata": {"name": "jane"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "all"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "jane"}],
    }
    _create(found, f"{roles}/rolebindings", binding)
    return found


def _create(door: Door, path: str, obj: dict[str, Any]) -> None:
    json_type = "Content-Type: application/json"
    code, told = door.ask(path, door.admin, json_type, method="POST", body=json.dumps(obj).encode())
    assert code == 201, told


def _certificate(
    door: Door, folder: Path, name: str, *groups: str, begins: dt.datetime = NOW - DAY,
    ends: dt.datetime = NOW + DAY, forged: bool = False,
    usage: x509.ObjectIdentifier = ExtendedKeyUsageOID.CLIENT_AUTH,
) -> Path:  # fmt: skip
    """Return the file of a client certificate; a forged one is signed by another CA's key."""
    key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.load_pem_x509_certificate((door.pki / "ca.crt").read_bytes())
    signer: Any = serialization.load_pem_private_key((door.pki / "ca.key").read_bytes(), None)
    if forged:
        signer = ec.generate_private_key(ec.SECP256R1())
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject = x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(authority.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .sign(signer, hashes.SHA256())
    )
    file = folder / f"{name}.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.fixture(scope="module")
def jane(door: Door, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The certificate of one who may do all in the namespace `ours`, and nothing elsewhere."""
    return _certificate(door, tmp_path_factory.mktemp("jane"), "jane")


@pytest.mark.parametrize("credentials", [
    (),
    ("Authorization: Bearer wrong",),
    ("Authorization: Bearer ",),
    ("Authorization: Basic eDp5",),
    ("Authorization: Bearer {token}x",),
    ("Authorization: Bearer {token}", "Authorization: Bearer x"),
    ("Authorization: Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJzeXN0ZW06bWFzdGVycyJ9.",),
    ("X-Remote-User: admin", "X-Remote-Group: system:masters"),
])  # fmt: skip
def test_strangers(door: Door, credentials: tuple[str, ...]) -> None:
    given = [each.format(token=door.token) for each in credentials]
    code, told = door.ask("/api/v1/namespaces/ours/secrets", *given)
    assert code == (401 if any("Authorization" in each for each in given) else 403)
    assert json.loads(told)["kind"] == "Status"
    assert door.token.encode() not in told


def test_certificates(door: Door, tmp_path: Path) -> None:
    secrets = "/api/v1/namespaces/ours/secrets"
    masters = _certificate(door, tmp_path, "root", "system:masters")
    assert door.ask(secrets, who=masters)[0] == 200
    nobody = _certificate(door, tmp_path, "nobody")
    assert door.ask(secrets, who=nobody)[0] == 403
    refused: list[Path] = [
        _certificate(door, tmp_path, "expired", "system:masters", ends=NOW - DAY / 2),
        _certificate(door, tmp_path, "early", "system:masters", begins=NOW + DAY / 2),
        _certificate(door, tmp_path, "forged", "system:masters", forged=True),
        _certificate(
            door, tmp_path, "server", "system:masters", usage=ExtendedKeyUsageOID.SERVER_AUTH
        ),
    ]
    for certificate in refused:
        with pytest.raises((ssl.SSLError, ConnectionError)):
            assert door.ask(secrets, who=certificate) is None


def _claims(door: Door, name: str, **changes: Any) -> dict[str, Any]:
    """Return what a token of an account in `ours` says."""
    path = f"/api/v1/namespaces/ours/serviceaccounts/{name}"
    account = json.loads(door.ask(path, door.admin)[1])
    uid, now = account["metadata"]["uid"], int(dt.datetime.now(dt.UTC).timestamp())
    issuer = "https://kubernetes.default.svc.cluster.local"
    return {
        "aud": [issuer], "iss": issuer, "iat": now, "nbf": now, "exp": now + 600, "jti": "1",
        "kubernetes.io": {"namespace": "ours", "serviceaccount": {"name": name, "uid": uid}},
        "sub": f"system:serviceaccount:ours:{name}", **changes,
    }  # fmt: skip


def test_tokens_of_accounts(door: Door, tmp_path: Path) -> None:
    _create(door, "/api/v1/namespaces/ours/serviceaccounts", {"metadata": {"name": "robot"}})
    roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/ours/rolebindings"
    binding = {
        "metadata": {"name": "robot"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "all"},
        "subjects": [{"kind": "ServiceAccount", "name": "robot", "namespace": "ours"}],
    }
    _create(door, roles, binding)
    signing = SigningKeys(door.pki / "service-account.keys")
    signing.ensure(dt.datetime.now(dt.UTC))
    strange = SigningKeys(tmp_path / "others.keys")
    strange.ensure(dt.datetime.now(dt.UTC))

    def code(keys: SigningKeys, path: str = "ours/secrets", **changes: Any) -> int:
        token = jwt.encode(_claims(door, "robot", **changes), *keys.signer)
        bearer = f"Authorization: Bearer {token}"
        return door.ask(f"/api/v1/namespaces/{path}", bearer)[0]

    past = int(dt.datetime.now(dt.UTC).timestamp()) - 10
    assert code(signing) == 200
    assert code(signing, "theirs/secrets") == 403
    assert code(signing, exp=past) == 401
    assert code(signing, nbf=past + 1000) == 401
    assert code(signing, aud=["vault"]) == 401
    assert code(strange) == 401
    another = {"namespace": "ours", "serviceaccount": {"name": "robot", "uid": "1"}}
    assert code(signing, **{"kubernetes.io": another}) == 401
    good = jwt.encode(_claims(door, "robot"), *signing.signer)
    head, claims, signature = good.split(".")
    nothing = base64.urlsafe_b64encode(b'{"alg":"none"}').decode().rstrip("=")
    for forged in (f"{nothing}.{claims}.", f"{nothing}.{claims}.{signature}", f"{head}.{claims}.",
                   f"{head}.{claims}.{signature[:-2]}AA", f"{head}.{claims}"):  # fmt: skip
        bearer = f"Authorization: Bearer {forged}"
        assert door.ask("/api/v1/namespaces/ours/secrets", bearer)[0] == 401


@pytest.mark.parametrize("part", ["", "/log", "/exec?command=id", "/attach", "/portforward",
                                  "/proxy/", "/status"])  # fmt: skip
def test_pods_of_others(door: Door, jane: Path, part: str) -> None:
    upgrade = (
        "Connection: Upgrade",
        "Upgrade: SPDY/3.1",
        "X-Stream-Protocol-Version: v4.channel.k8s.io",
    )
    theirs = door.ask(f"/api/v1/namespaces/theirs/pods/p{part}", *upgrade, who=jane)
    assert theirs[0] == 403
    assert json.loads(theirs[1])["reason"] == "Forbidden"
    assert door.ask(f"/api/v1/namespaces/ours/pods/p{part}", who=jane)[0] != 403


@pytest.mark.parametrize("path", [
    "/api/v1/namespaces/ours/../theirs/secrets/s",
    "/api/v1/namespaces/ours/%2e%2e/theirs/secrets/s",
    "/api/v1/namespaces/ours/secrets/..%2f..%2ftheirs%2fsecrets%2fs",
    "/api/v1/namespaces/ours%2f..%2ftheirs/secrets/s",
    "/api/v1/namespaces//theirs/secrets/s",
    "/api/v1//namespaces/theirs/secrets/s",
    "//api/v1/namespaces/theirs/secrets/s",
    "/api/v1/namespaces/theirs%2fsecrets/s",
    "/api/v1/namespaces/theirs/secrets/s%00",
    "/api/v1/namespaces/theirs/secrets/s;x=y",
    "/api/v1/%6eamespaces/theirs/secrets/s",
    "/api/v1/namespaces/theirs/secrets/s?namespace=ours",
    "/api/v1/secrets",
    "/api/v1/watch/namespaces/theirs/secrets",
    "https://h/api/v1/namespaces/theirs/secrets/s",
    "/healthz/../api/v1/namespaces/theirs/secrets/s",
    "/openapi/v3/../../api/v1/secrets",
])  # fmt: skip
def test_no_path_leads_around_a_namespace(door: Door, jane: Path, path: str) -> None:
    code, told = door.ask(path, who=jane)
    assert code in (301, 400, 403, 404), told
    assert b'"theirs"' not in told or code == 403


def test_who_may_not_act_as_others(door: Door, jane: Path) -> None:
    for headers in (("Impersonate-User: admin", "Impersonate-Group: system:masters"),
                    ("Impersonate-User: system:admin",), ("Impersonate-Group: system:masters",),
                    ("impersonate-uid: 1", "Impersonate-User: x")):  # fmt: skip
        assert door.ask("/api/v1/namespaces/theirs/secrets", *headers, who=jane)[0] in (
            401,
            403,
            500,
        )


def test_nothing_is_smuggled_behind_a_request(door: Door) -> None:
    hidden = f"GET /api/v1/secrets HTTP/1.1\r\nHost: h\r\n{door.admin}\r\n\r\n".encode()
    lead = b"POST /api/v1/namespaces HTTP/1.1\r\nHost: h\r\n"
    for framing in (
        b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
        b"Content-Length: 0\r\nContent-Length: 5\r\n\r\n",
        b"X: y\r\n Content-Length: 5\r\n\r\n",
        b"X: y\nContent-Length: 5\r\n\r\n",
    ):
        answer = door.send(lead + framing + hidden)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert answer.count(b"HTTP/1.1 ") == 1


def test_too_much_is_refused(door: Door) -> None:
    size = 64 * 1024 * 1024
    head = f"POST /api/v1/namespaces HTTP/1.1\r\nHost: h\r\n{door.admin}\r\nContent-Length: {size}"
    assert _first_line(door, head.encode() + b"\r\n\r\n", b"x" * size).startswith(b"HTTP/1.1 413 ")
    assert _first_line(door, b"GET / HTTP/1.1\r\nX: ", b"x" * size).startswith(b"HTTP/1.1 431 ")
    assert _first_line(door, b"GET /", b"x" * size).startswith(b"HTTP/1.1 431 ")


def _first_line(door: Door, head: bytes, endless: bytes) -> bytes:
    """Return how the answer begins that comes long before all was sent."""
    with door.open() as connection:
        with suppress(OSError):
            connection.sendall(head + endless)
        return connection.recv(1024).split(b"\r\n", 1)[0]


SERVER = """
import asyncio, json, sys, uvloop
from pathlib import Path
from reconciler.apiserver.http.server import ApiServer, ApiSettings
from reconciler.apiserver.registry.registry import Registry
from reconciler.cli.kubeconfig import kubeconfig
from reconciler.core import descriptors, log
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.settings import Settings
from reconciler.store.memory import MemoryStore

async def main():
    log.configure("warning")
    descriptors.allow_many()
    settings, clock = Settings(state_dir=Path(sys.argv[1]), listen="127.0.0.1:0"), SystemClock()
    registry = Registry(MemoryStore(), clock, Ids())
    await registry.start()
    api = ApiServer(registry, clock, ApiSettings(settings.listen, None, settings.pki_dir))
    running = asyncio.create_task(api.run())
    await api.ready.wait()
    known = kubeconfig(Settings(state_dir=settings.state_dir, listen=api.address))
    print(json.dumps(known), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    running.cancel()

uvloop.run(main())
"""


@pytest.fixture
def crowded(tmp_path: Path) -> Iterator[tuple[Door, int]]:
    """A server in a process of its own, so that both sides have their own descriptors."""
    command = [sys.executable, "-c", SERVER, str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        yield Door.of(json.loads(process.stdout.readline()), tmp_path / "pki"), process.pid
        process.stdin.close()


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


def test_ten_thousand_idle_connections(crowded: tuple[Door, int]) -> None:
    door, pid = crowded
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 12_000:
        pytest.skip(f"this process may have {hard} files open, and 12,000 are needed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    try:
        with ExitStack() as stack:
            before = _resident(pid)
            for _ in range(9_500):
                stack.enter_context(socket.create_connection(door.address, timeout=20))
            for _ in range(500):
                stack.enter_context(door.open())
            # Somebody who has something to say is heard all the same.
            assert door.ask("/readyz", door.admin) == (200, b"ok")
            held = _resident(pid) - before
            print(f"10,000 idle connections hold {held / 1e6:.0f} MB")  # noqa: T201 - the figure
            assert held < 100e6
        wait_for(lambda: door.ask("/readyz", door.admin)[0] == 200, "it still answers")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
