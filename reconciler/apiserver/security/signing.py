"""The keys that sign tokens of ServiceAccounts: a file for root alone, renewed by itself.

Called by the server at start and once a day. The newest key signs; the older ones only prove what
they signed, and go when the longest token has ended.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from reconciler.core import privatefile
from reconciler.core.errors import ReconcilerError

LONGEST_TOKEN = 365 * 86400
"""The seconds that a token lasts at most."""

_RENEW_AFTER = 90 * 86400
_BYTES = 32


class SigningKeyError(ReconcilerError):
    """The file of keys can be neither read nor written."""


@dataclass(frozen=True, slots=True)
class _Key:
    """One key; `created` in seconds of the epoch. It has no repr: it is secret."""

    id: str
    secret: bytes
    created: float

    def __repr__(self) -> str:
        return f"_Key({self.id})"


class SigningKeys:
    """The keys of `file`, once `ensure` was called."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._keys: tuple[_Key, ...] = ()

    def ensure(self, now: datetime) -> bool:
        """Read the keys; make one when there is none or the newest is old; drop the outlived.

        Returns whether anything changed. Blocks. Raises `SigningKeyError`: a file that cannot be
        read is not replaced, for that would end every token.
        """
        moment = now.timestamp()
        known = self._read()
        kept = [key for key in known if moment - key.created < _RENEW_AFTER + LONGEST_TOKEN]
        if not kept or moment - max(key.created for key in kept) > _RENEW_AFTER:
            kept.append(_Key(secrets.token_hex(8), secrets.token_bytes(_BYTES), moment))
        self._keys = tuple(sorted(kept, key=lambda key: key.created))
        changed = self._keys != known
        if changed:
            self._write()
        return changed

    @property
    def signer(self) -> tuple[str, bytes]:
        """The id and the secret of the key that signs."""
        newest = self._keys[-1]
        return newest.id, newest.secret

    @property
    def by_id(self) -> dict[str, bytes]:
        """Every key that may have signed what is still valid."""
        return {key.id: key.secret for key in self._keys}

    def _read(self) -> tuple[_Key, ...]:
        try:
            rows = json.loads(self._file.read_text())["keys"]
            return tuple(
                _Key(str(row["id"]), base64.b64decode(row["secret"]), float(row["created"]))
                for row in rows
            )
        except FileNotFoundError:
            return ()
        except (OSError, ValueError, KeyError, TypeError, binascii.Error) as error:
            raise SigningKeyError(f"{self._file}: {error}") from error

    def _write(self) -> None:
        """Replace the file, all or nothing, readable by root alone."""
        rows = [
            {"id": key.id, "secret": base64.b64encode(key.secret).decode(), "created": key.created}
            for key in self._keys
        ]
        try:
            privatefile.write(self._file, json.dumps({"keys": rows}).encode())
        except OSError as error:
            raise SigningKeyError(f"{self._file}: {error}") from error
