"""The server's own CA and certificate: made at first start, renewed before they expire.

Called by the server at start and once a day, and by `reconciler kubeconfig` for the paths. The
files lie in the state directory, readable by root alone.
"""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reconciler.core.errors import ReconcilerError

_DAY = 86400.0
_RENEW_BEFORE = 60 * _DAY
_RENEW_CA_BEFORE = 400 * _DAY  # no leaf may outlive its CA
_ISSUER = "reconciler.apiserver.security.issue"
_TIMEOUT = 60.0


class CertificateError(ReconcilerError):
    """The certificates can be neither read nor made."""


@dataclass(frozen=True, slots=True)
class _Facts:
    """For whom the serving certificate is, and when it and its CA end (seconds of the epoch)."""

    names: tuple[str, ...]
    expires: float
    ca_expires: float


@dataclass(frozen=True, slots=True)
class Authority:
    """The folder with the CA and the serving certificate."""

    directory: Path

    @property
    def ca_file(self) -> Path:
        """The CA's certificate, which clients trust."""
        return self.directory / "ca.crt"

    @property
    def key_file(self) -> Path:
        """The key of the serving certificate."""
        return self.directory / "serving.key"

    @property
    def certificate_file(self) -> Path:
        """The serving certificate."""
        return self.directory / "serving.crt"

    def ensure(self, names: tuple[str, ...], now: datetime) -> bool:
        """Make what is missing, too old, or for other `names`; return whether anything was made.

        Blocks: called on a thread. Raises `CertificateError`.
        """
        facts = self._facts()
        renew_ca = facts.ca_expires - now.timestamp() < _RENEW_CA_BEFORE
        fresh = facts.expires - now.timestamp() > _RENEW_BEFORE
        if fresh and not renew_ca and facts.names == names and self._is_complete():
            return False
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        order = {
            "directory": str(self.directory),
            "names": list(names),
            "now": now.timestamp(),
            "renew_ca": renew_ca,
        }
        self._issue(json.dumps(order))
        return True

    def ca(self) -> str:
        """Return the CA's certificate in PEM, empty while there is none.

        Raises `CertificateError`.
        """
        try:
            return self.ca_file.read_text()
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise CertificateError(f"{self.ca_file}: {error}") from error

    def context(self) -> ssl.SSLContext:
        """Return how connections are secured: TLS 1.2 at least, client certificates welcome."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.verify_mode = ssl.CERT_OPTIONAL
        self.load(context)
        return context

    def load(self, context: ssl.SSLContext) -> None:
        """Use the present certificate for connections to come; raises `CertificateError`."""
        try:
            context.load_cert_chain(self.certificate_file, self.key_file)
            context.load_verify_locations(self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise CertificateError(f"{self.directory}: {error}") from error

    def _facts(self) -> _Facts:
        """Return what was noted of the certificates; of none at all, that they have expired."""
        try:
            known = json.loads((self.directory / "serving.json").read_text())
            times = float(known["expires"]), float(known["ca_expires"])
            return _Facts(tuple(known["names"]), *times)
        except (OSError, ValueError, KeyError, TypeError):
            return _Facts((), 0.0, 0.0)

    def _is_complete(self) -> bool:
        files = (self.ca_file, self.key_file, self.certificate_file, self.directory / "ca.key")
        return all(file.exists() for file in files)

    def _issue(self, order: str) -> None:
        command = [sys.executable, "-m", _ISSUER]
        try:
            subprocess.run(  # noqa: S603 - our own module, by our own interpreter
                command, input=order, check=True, capture_output=True, text=True, timeout=_TIMEOUT
            )
        except subprocess.CalledProcessError as error:
            last = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise CertificateError(f"no certificate could be made: {last}") from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise CertificateError(f"no certificate could be made: {error}") from error
