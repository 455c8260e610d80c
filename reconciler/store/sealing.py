"""Values that are encrypted on disk: AES-256-GCM under keys from a file of the owner's.

Opened by the composition root, called by `journal.py`. As in Kubernetes' encryption at rest, the
first key of the file encrypts and every key of it decrypts; the key and revision of an object are
authenticated with its value, so that no row can stand in for another.

The file has one key a line, a name and 32 bytes in base64: `k1 3q2+7w...`; `#` begins a comment. To
rotate: put a new key on the first line and start the daemon, which encrypts everything anew; the
old line may then go.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import secrets
import stat
from collections.abc import Collection
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.model.meta import ObjectKey
from reconciler.store.protocol import StoreUnavailable

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

SEALED_KINDS = frozenset(("Secret",))
"""The kinds whose values never lie on a disk in plain text (law 9)."""

SEALED_MARK = b'"reconciler.dev/secret-fields"'
"""What an object of another kind holds when some of its fields came from a Secret (law 9)."""

_MARK = b"\x00sealed:"  # no JSON begins so
_KEY_SIZE, _NONCE_SIZE = 32, 12
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class _Key:
    """One key; its cipher is loaded when it is first used: it costs a daemon 8 MB."""

    def __init__(self, name: str, secret: bytes) -> None:
        self.name = name
        self._secret = secret

    @cached_property
    def cipher(self) -> AESGCM:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 - see `_Key`

        return AESGCM(self._secret)


class KeyRing:
    """Seals and opens the values of `kinds`, and those that hold `SEALED_MARK`; no other ones."""

    def __init__(
        self, keys: dict[str, bytes], origin: Path, kinds: Collection[str] = SEALED_KINDS
    ) -> None:
        self.kinds = kinds
        self._origin = origin
        self._keys = {name: _Key(name, secret) for name, secret in keys.items()}
        self._first = next(iter(self._keys.values()))

    def seal(self, key: ObjectKey, revision: int, value: bytes) -> bytes:
        """Return the value as it is written."""
        if not self.covers(key.kind, value):
            return value
        head = _MARK + self._first.name.encode() + b":"
        nonce = os.urandom(_NONCE_SIZE)
        return head + nonce + self._first.cipher.encrypt(nonce, value, _context(key, revision))

    def covers(self, kind: str, value: bytes) -> bool:
        """Return whether a value of that kind may not lie on a disk in plain text."""
        return kind in self.kinds or SEALED_MARK in value

    def open(self, key: ObjectKey, revision: int, written: bytes) -> bytes:
        """Return the value; raises `StoreUnavailable` without its key, or when it was changed.

        What an older version wrote in plain text is returned as it is.
        """
        if not written.startswith(_MARK):
            return written
        name, _, sealed = written.removeprefix(_MARK).partition(b":")
        known = self._keys.get(name.decode("ascii", "replace"))
        if known is None:
            raise StoreUnavailable(
                f'{key} is encrypted with the key "{name.decode("ascii", "replace")}", which is '
                f"not in {self._origin}: put that key back, below the one that is to encrypt"
            )
        return self._opened(known, key, revision, sealed)

    def is_stale(self, kind: str, written: bytes) -> bool:
        """Return whether a value of that kind is to be encrypted, or encrypted anew."""
        if plain(written):
            return self.covers(kind, written)
        return not written.startswith(_MARK + self._first.name.encode() + b":")

    def _opened(self, known: _Key, key: ObjectKey, revision: int, sealed: bytes) -> bytes:
        from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - see `_Key`

        nonce, body = sealed[:_NONCE_SIZE], sealed[_NONCE_SIZE:]
        try:
            return known.cipher.decrypt(nonce, body, _context(key, revision))
        except (InvalidTag, ValueError) as error:
            raise StoreUnavailable(
                f'{key} at revision {revision} does not open with the key "{known.name}" of '
                f"{self._origin}: the key is another of that name, or the store was changed"
            ) from error


def plain(written: bytes) -> bool:
    """Return whether a value lies on the disk in plain text."""
    return not written.startswith(_MARK)


def open_keys(path: Path) -> KeyRing:
    """Return the keys in the file at `path`; raises `StoreUnavailable` with what is wrong."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise StoreUnavailable(f"{path}: the keys of the store cannot be read: {error}") from error
    if mode & _OTHERS:
        raise StoreUnavailable(
            f"{path}: others than its owner may use the keys of the store: chmod 600 it"
        )
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.partition("#")[0].split()
        if words:
            name, secret = _key(words, f"{path}:{number}")
            if name in keys:
                raise StoreUnavailable(f'{path}:{number}: a key named "{name}" stands above')
            keys[name] = secret
    if not keys:
        raise StoreUnavailable(f"{path}: has no key: a line is a name and 32 bytes in base64")
    return KeyRing(keys, path)


def make_keys(path: Path) -> None:
    """Make a file with one key at `path`, for its owner alone, unless there is a file."""
    line = f"k1 {base64.b64encode(secrets.token_bytes(_KEY_SIZE)).decode()}\n"
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as written:
            written.write(line)
            written.flush()
            os.fsync(written.fileno())
        os.link(fresh, path)  # whole or not at all, and never over another
    except FileExistsError:
        return
    finally:
        fresh.unlink()


def _key(words: list[str], place: str) -> tuple[str, bytes]:
    if len(words) != 2 or not _NAME.fullmatch(words[0]):  # noqa: PLR2004 - a name and a key
        raise StoreUnavailable(f"{place}: a line is a name and 32 bytes in base64")
    try:
        secret = base64.b64decode(words[1], validate=True)
    except binascii.Error as error:
        raise StoreUnavailable(f"{place}: the key is not base64") from error
    if len(secret) != _KEY_SIZE:
        raise StoreUnavailable(f"{place}: the key has {len(secret)} bytes, AES-256 needs 32")
    return words[0], secret


def _context(key: ObjectKey, revision: int) -> bytes:
    return "\0".join((*key, str(revision))).encode()
