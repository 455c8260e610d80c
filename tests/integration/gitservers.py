"""Real Git servers on loopback: git daemon, sshd, and https with a test authority; signing keys."""

from __future__ import annotations

import base64
import os
import socket
import ssl
import subprocess
import threading
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.unit.source.gitrepo import TestRepository

HOST = "127.0.0.1"
_BACKEND = "/usr/lib/git-core/git-http-backend"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        return int(listener.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise AssertionError(f"nothing listens on {port}")


def git_daemon(base: Path) -> tuple[subprocess.Popen[bytes], str]:
    """Serve the repositories in `base` by the git protocol."""
    port = free_port()
    # Not by `git daemon`, which would leave this child of its own behind when it is ended.
    folder = subprocess.run(["git", "--exec-path"], capture_output=True, text=True, check=True)
    program = Path(folder.stdout.strip()) / "git-daemon"
    command = [str(program), "--export-all", f"--base-path={base}", "--reuseaddr",
               f"--listen={HOST}", f"--port={port}", str(base)]  # fmt: skip
    process = subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)
    wait_for(port, process)
    return process, f"git://{HOST}:{port}"


class Sshd:
    """sshd with a host key, and one client key that may log in as root."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        for name in ("host", "client", "stranger"):
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)]
            subprocess.run(command, check=True)
        (folder / "authorized").write_text((folder / "client.pub").read_text())
        host = (folder / "host.pub").read_text()
        (folder / "known_hosts").write_text(f"[{HOST}]:{self.port} {host}")
        config = (
            f"Port {self.port}\nListenAddress {HOST}\nHostKey {folder}/host\nStrictModes no\n"
            f"AuthorizedKeysFile {folder}/authorized\nPasswordAuthentication no\nUsePAM no\n"
            f"PermitRootLogin yes\nPidFile none\n"
        )
        (folder / "config").write_text(config)
        Path("/run/sshd").mkdir(exist_ok=True)
        command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "config")]
        self.process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wait_for(self.port, self.process)

    def url(self, path: Path) -> str:
        return f"ssh://root@{HOST}:{self.port}{path}"


class HttpsServer:
    """`git http-backend` behind TLS and basic authentication (user:password in `login`)."""

    def __init__(self, base: Path, folder: Path, login: str) -> None:
        self.ca = folder / "ca.pem"
        key = _certificates(folder)
        wanted = "Basic " + base64.b64encode(login.encode()).decode()
        self._server = ThreadingHTTPServer((HOST, 0), _handler(base, wanted))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.ca, key)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"https://{HOST}:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def _certificates(folder: Path) -> Path:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address(HOST))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(private, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (folder / "ca.pem").write_bytes(certificate.public_bytes(pem))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(
        private.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    )
    return folder / "key.pem"


def _handler(base: Path, wanted: str) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            if self.headers.get("Authorization") != wanted:
                self.send_response(401)
                self.send_header("WWW-Authenticate", "Basic")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            environment = {
                **os.environ, "GIT_PROJECT_ROOT": str(base), "GIT_HTTP_EXPORT_ALL": "1",
                "PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": self.command,
                "CONTENT_TYPE": self.headers.get("Content-Type", ""),
                "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
                "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            }  # fmt: skip
            answer = subprocess.run(
                [_BACKEND], check=False, input=body, capture_output=True, env=environment
            )
            head, _, content = answer.stdout.partition(b"\r\n\r\n")
            fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
            self.send_response(int(fields.pop("Status", "200 OK").split()[0]))
            fields["Content-Length"] = str(len(content))
            for field, value in fields.items():
                self.send_header(field, value)
            self.end_headers()
            self.wfile.write(content)

    return Handler


class Signer:
    """An SSH key that signs, and the file that trusts it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.key = folder / name
        command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)]
        subprocess.run(command, check=True)
        self.trust = folder / f"{name}.signers"
        self.trust.write_text(f"* {self.key.with_suffix('.pub').read_text()}")

    def commit(self, repository: TestRepository, message: str) -> str:
        repository.write(f"{message}.yaml", "a: 1")
        repository.git("add", "--all")
        repository.git(*self._config, "commit", "--quiet", "-S", "-m", message)
        return repository.git("rev-parse", "HEAD")

    def tag(self, repository: TestRepository, name: str) -> None:
        repository.git(*self._config, "tag", "-s", "-m", name, name)

    @property
    def _config(self) -> list[str]:
        return ["-c", "gpg.format=ssh", "-c", f"user.signingkey={self.key}"]
