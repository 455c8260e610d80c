"""Age identities and what they open: the only module that imports pyrage.

Called by `written` and `sops`. Identities are read from a file when something is encrypted to
them, as age-keygen and ssh-keygen write them. Plaintext stays in memory, and no message has any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from reconciler.core.errors import ReconcilerError

if TYPE_CHECKING:
    from pyrage import ssh, x25519  # type: ignore[import-untyped]

    Identity: TypeAlias = ssh.Identity | x25519.Identity

_State = tuple[int, ...]
"""When a file was written last, its size and its inode; empty when it is not there."""

SUFFIX = ".age"
_OPENSSH = "-----BEGIN"
_AGE = "AGE-SECRET-KEY-"


class Sealed(ReconcilerError):
    """What is encrypted cannot be opened; the message says why, and nothing of what is in it."""


class AgeKeys:
    """The identities of a file, as it is now; without one nothing can be opened."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._identities: Sequence[Identity] = ()
        self._read_at: _State | None = None

    def renewed(self) -> bool:
        """Return whether the file is another one than what was tried last to open something."""
        return self._read_at is not None and self._read_at != self._state()

    def _state(self) -> _State:
        try:
            found = self._path.stat() if self._path is not None else None
        except OSError:
            found = None
        return (found.st_mtime_ns, found.st_size, found.st_ino) if found is not None else ()

    def open(self, data: bytes) -> bytes:
        """Return what `data`, binary or armored, is the encryption of; raises `Sealed`."""
        import pyrage  # noqa: PLC0415 - only a source with encrypted files pays for it

        identities = self._read()
        try:
            opened: bytes = pyrage.decrypt(data, identities)
        except pyrage.DecryptError as error:
            raise Sealed("none of the age keys opens it, or it was changed") from error
        return opened

    def _read(self) -> Sequence[Identity]:
        if self._path is None:
            raise Sealed("it is encrypted, and no age key is given (--age-key-file)")
        state = self._state()
        if state != self._read_at or not self._identities:
            self._read_at, self._identities = state, ()
            try:
                text = self._path.read_text()
            except (OSError, UnicodeDecodeError) as error:
                raise Sealed(f"the age keys in {self._path} cannot be read") from error
            self._identities = list(_identities(text, self._path))
        return self._identities


def _identities(text: str, path: Path) -> Iterator[Identity]:
    from pyrage import IdentityError, ssh, x25519  # noqa: PLC0415 - see `open`

    try:
        if text.lstrip().startswith(_OPENSSH):
            yield ssh.Identity.from_buffer(text.encode())
            return
        for line in text.splitlines():
            if line.strip().startswith(_AGE):
                yield x25519.Identity.from_str(line.strip())
    except IdentityError as error:
        raise Sealed(f"{path} holds no age key that can be read") from error
