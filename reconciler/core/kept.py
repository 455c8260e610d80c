"""A file of values by key that outlives the process: a cache, safe when torn or damaged.

Each entry carries a checksum; what is behind the first damaged one is forgotten, and so is a file
that was written under another stamp. Losing it costs time and nothing else, so it is never synced
to the disk. Used from one thread at a time; it knows nothing of what it keeps.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import structlog

_MAGIC = b"reconciler cache 1 "
_HEAD = struct.Struct(">II8s")
"""Length of the key, length of the value, checksum of both."""


class KeptFile:
    """The entries of one file; `stamp` names everything that their meaning depends on."""

    def __init__(self, path: Path, stamp: str) -> None:
        self._path = path
        self._first = _MAGIC + stamp.encode() + b"\n"
        self._whole = False
        self._log = structlog.get_logger(component="cache", path=str(path))

    def read(self) -> dict[str, bytes]:
        """Return what was kept; of two entries with one key the newer."""
        try:
            data = self._path.read_bytes()
        except OSError:
            return {}
        if not data.startswith(self._first):
            return {}
        entries, end = _entries(data, len(self._first))
        self._whole = end == len(data)
        return entries

    def add(self, entries: Mapping[str, bytes]) -> None:
        """Keep more entries; the file must have been read before."""
        if not self._whole:
            known = self.read()
            if not self._whole:
                self.replace({**known, **entries})
                return
        try:
            with open(self._path, "ab", opener=_private) as file:
                file.write(_encode(entries))
        except OSError as error:
            self._complain(error)

    def replace(self, entries: Mapping[str, bytes]) -> None:
        """Keep these entries and no others."""
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(fresh, "wb", opener=_private) as file:
                file.write(self._first + _encode(entries))
            fresh.replace(self._path)
        except OSError as error:
            self._complain(error)
            with suppress(OSError):
                fresh.unlink()
        else:
            self._whole = True

    def _complain(self, error: OSError) -> None:
        self._whole = False
        self._log.warning("cache.unusable", reason=str(error))


def stamp_of_sources(folders: Mapping[str, Path], *others: str) -> str:
    """Return a hash of the Python sources in `folders`, and of `others`; "" without any source.

    It differs whenever code differs, also between two builds of one version.
    """
    digest = hashlib.blake2b("\n".join(others).encode(), digest_size=16)
    found = False
    for name in sorted(folders):
        for path in sorted(folders[name].rglob("*.py")):
            found = True
            text = path.read_bytes()
            digest.update(f"{name}/{path.relative_to(folders[name])} {len(text)}\n".encode())
            digest.update(text)
    return digest.hexdigest() if found else ""


def _private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def _checksum(key: bytes, value: bytes) -> bytes:
    return hashlib.blake2b(value, digest_size=8, key=hashlib.sha256(key).digest()).digest()


def _encode(entries: Mapping[str, bytes]) -> bytes:
    parts: list[bytes] = []
    for text, value in entries.items():
        key = text.encode()
        parts += (_HEAD.pack(len(key), len(value), _checksum(key, value)), key, value)
    return b"".join(parts)


def _entries(data: bytes, at: int) -> tuple[dict[str, bytes], int]:
    """Return the entries from `at` on, and where the sound part of the data ends."""
    entries: dict[str, bytes] = {}
    while at + _HEAD.size <= len(data):
        of_key, of_value, checksum = _HEAD.unpack_from(data, at)
        start = at + _HEAD.size
        end = start + of_key + of_value
        key, value = data[start : start + of_key], data[start + of_key : end]
        if end > len(data) or checksum != _checksum(key, value):
            break
        entries[key.decode()] = value
        at = end
    return entries, at
