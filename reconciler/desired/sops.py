"""SOPS: decrypts the values of a file's documents and checks its MAC. Pure but for the keys.

Called by `written`. The format is getsops' own: each encrypted value is AES-256-GCM under a data
key, with the path of its keys as additional data; the data key is encrypted to age recipients; the
MAC is a SHA-512 over all values in their order, itself encrypted under the time of the last change.
Each fault is a `Sealed` that holds nothing of the plaintext.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.desired.age import AgeKeys, Sealed
from reconciler.desired.patterns import BadPattern, compiled

KEY = "sops"
_VALUE = re.compile(
    r"^ENC\[AES256_GCM,data:(?P<data>[^,]*),iv:(?P<iv>[^,]+),tag:(?P<tag>[^,]+),type:(?P<type>\w+)\]$"
)
_RULES = ("unencrypted_suffix", "encrypted_suffix", "unencrypted_regex", "encrypted_regex")
_COMMENT_RULES = ("unencrypted_comment_regex", "encrypted_comment_regex")
# sops starts a MAC over encrypted values alone with the SHA-256 of its own name.
_ONLY_ENCRYPTED = hashlib.sha256(b"sops").digest()
_DATA_KEY_BYTES = 32


def is_encrypted(value: Any) -> bool:
    """Return whether a document was written by sops."""
    return isinstance(value, dict) and isinstance(value.get(KEY), dict) and "mac" in value[KEY]


def opened(documents: Sequence[Any], keys: AgeKeys) -> list[Any]:
    """Return the plain documents of one file; raises `Sealed`."""
    metadata = documents[0].get(KEY) if is_encrypted(documents[0]) else None
    if metadata is None:
        raise Sealed("its first document has no sops metadata")
    opener = _Opener(metadata, _data_key(metadata, keys))
    plain = [opener.walk(_without_metadata(each), ()) for each in documents]
    opener.check_mac()
    return plain


def _without_metadata(document: Any) -> Any:
    if not isinstance(document, dict):
        raise Sealed("a document of it is no mapping")
    return {key: value for key, value in document.items() if key != KEY}


def _data_key(metadata: Mapping[str, Any], keys: AgeKeys) -> bytes:
    """Return the key of the values, by the first age recipient whose key we have."""
    groups = metadata.get("key_groups")
    if isinstance(groups, list) and len(groups) > 1:
        raise Sealed("it needs several key groups, and only one is supported")
    group = groups[0] if isinstance(groups, list) and groups else metadata
    recipients = group.get("age") if isinstance(group, dict) else None
    if not isinstance(recipients, list) or not recipients:
        raise Sealed("it is encrypted to no age key; only age keys are supported")
    last = Sealed("none of the age keys opens it")
    for each in recipients:
        text = each.get("enc") if isinstance(each, dict) else None
        try:
            key = keys.open(str(text).encode())
        except Sealed as error:
            last = error
            continue
        if len(key) == _DATA_KEY_BYTES:
            return key
    raise last


class _Opener:
    def __init__(self, metadata: Mapping[str, Any], key: bytes) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - as in `age`

        if any(metadata.get(rule) for rule in _COMMENT_RULES):
            raise Sealed("it is encrypted by comments, which is not supported")
        self._metadata = metadata
        self._cipher = AESGCM(key)
        self._rules = {rule: metadata[rule] for rule in _RULES if metadata.get(rule)}
        if not self._rules:
            self._rules = {"unencrypted_suffix": "_unencrypted"}
        self._only = bool(metadata.get("mac_only_encrypted"))
        self._digest = hashlib.sha512(_ONLY_ENCRYPTED if self._only else b"")

    def walk(self, value: Any, path: tuple[str, ...]) -> Any:
        """Return `value` decrypted; every leaf goes into the digest."""
        if isinstance(value, dict):
            return {key: self.walk(each, (*path, key)) for key, each in value.items()}
        if isinstance(value, list):
            return [self.walk(each, path) for each in value]
        if value is None:
            return None
        encrypted = self._should_be_encrypted(path)
        plain = value
        if encrypted and value != "":
            plain = self._decrypt(value, ":".join(path) + ":")
        if encrypted or not self._only:
            self._digest.update(_bytes(plain))
        return plain

    def check_mac(self) -> None:
        """Compare the digest of all leaves with the one that was made when they were encrypted."""
        try:
            wanted = self._decrypt(self._metadata["mac"], str(self._metadata.get("lastmodified")))
        except Sealed as error:
            raise Sealed("its MAC cannot be read: it was changed") from error
        if not hmac.compare_digest(str(wanted).upper(), self._digest.hexdigest().upper()):
            raise Sealed("its MAC does not match: it was changed after it was encrypted")

    def _should_be_encrypted(self, path: tuple[str, ...]) -> bool:
        (rule, pattern), *_ = self._rules.items()
        if not isinstance(pattern, str):
            raise Sealed(f"its {rule} is no text")
        if rule.endswith("suffix"):
            hit = any(step.endswith(pattern) for step in path)
        else:
            try:
                hit = any(compiled(pattern).search(step) for step in path)
            except BadPattern as error:
                raise Sealed(f"its {rule}: {error}") from error
        return not hit if rule.startswith("unencrypted") else hit

    def _decrypt(self, value: Any, additional: str) -> Any:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - as in `age`

        found = _VALUE.match(value) if isinstance(value, str) else None
        if found is None:
            raise Sealed("a value that should be encrypted is not: it was changed")
        try:
            parts = [base64.b64decode(found[name], validate=True) for name in ("iv", "data", "tag")]
            text = self._cipher.decrypt(parts[0], parts[1] + parts[2], additional.encode()).decode()
            return _typed(text, found["type"])
        except (InvalidTag, binascii.Error, ValueError) as error:
            # `from None`: the cause may quote what was decrypted.
            raise Sealed(
                f"a value does not decrypt ({type(error).__name__}): it was changed"
            ) from None


def _typed(text: str, kind: str) -> Any:
    match kind:
        case "str" | "bytes" | "time":
            return text
        case "int":
            return int(text)
        case "float":
            return float(text)
        case "bool":
            return text == "True"
        case _:
            raise ValueError(kind)


def _bytes(value: Any) -> bytes:
    """Return a leaf as sops hashes it: Go's shortest decimal for a float, a title-cased bool."""
    if isinstance(value, float):
        return _decimal(value).encode()
    return str(value).encode()


def _decimal(value: float) -> str:
    """Return the shortest decimal without an exponent, without ".0"."""
    text = repr(value)
    if "e" in text:
        from decimal import Decimal  # noqa: PLC0415 - rare

        text = format(Decimal(text), "f")
    return text.removesuffix(".0")
