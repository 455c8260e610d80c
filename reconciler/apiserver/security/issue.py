"""Makes certificates: a CA, and what it signs. A program of its own, run by `authority.py`.

It is the only module that knows the cryptography library, and runs in a process that ends, so
that the daemon does not carry that library's memory for what happens once a year.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import sys
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from reconciler.core import privatefile

_BEFORE = dt.timedelta(minutes=5)  # clocks differ
_CA_DAYS, _LEAF_DAYS = 3650, 365

Key = ec.EllipticCurvePrivateKey


def main() -> None:
    """Read an order as JSON from standard input and write the files that it names."""
    order = json.load(sys.stdin)
    directory = Path(order["directory"])
    now = dt.datetime.fromtimestamp(order["now"], dt.UTC)
    ca_key, ca = _authority(directory, now, renew=order["renew_ca"])
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = _serving(key, ca_key, ca, order["names"], now)
    privatefile.write(directory / "serving.key", _private(key))
    privatefile.write(directory / "serving.crt", _pem(leaf))
    facts = {
        "names": order["names"],
        "expires": leaf.not_valid_after_utc.timestamp(),
        "ca_expires": ca.not_valid_after_utc.timestamp(),
    }
    privatefile.write(directory / "serving.json", json.dumps(facts).encode())


def _authority(directory: Path, now: dt.datetime, *, renew: bool) -> tuple[Key, x509.Certificate]:
    """Return the CA, made anew when there is none or its time is nearly over."""
    key_file, file = directory / "ca.key", directory / "ca.crt"
    if not renew and key_file.exists() and file.exists():
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)  # noqa: S101 - we wrote it
        return key, x509.load_pem_x509_certificate(file.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named("reconciler")
    usage = x509.KeyUsage(
        digital_signature=True, key_cert_sign=True, crl_sign=True,
        content_commitment=False, key_encipherment=False, data_encipherment=False,
        key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    certificate = (
        _builder(name, name, key, now, _CA_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    privatefile.write(key_file, _private(key))
    privatefile.write(file, _pem(certificate))
    return key, certificate


def _serving(
    key: Key, ca_key: Key, ca: x509.Certificate, names: list[str], now: dt.datetime
) -> x509.Certificate:
    alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    return (
        _builder(_named("reconciler-apiserver"), ca.subject, key, now, _LEAF_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(alternatives, critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(authority, critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, now: dt.datetime, days: int
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + dt.timedelta(days=days))
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _private(key: Key) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


if __name__ == "__main__":
    main()
