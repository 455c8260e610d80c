"""The keys whose signatures count, as git and gpg want them: in files. Called by `git.py`.

They are read anew for each check, from files or from a Secret, so that they may change.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from reconciler.source.access import Access, SecretData
from reconciler.source.snapshot import SourceError

SIGNERS = "allowed_signers"
"""The key of a Secret that holds SSH keys, in ssh-keygen's format of allowed signers."""

ARMOURED = ".asc"
"""The end of the keys of a Secret that hold OpenPGP public keys."""


@dataclass(frozen=True, slots=True)
class Trusted:
    """SSH keys as a file of allowed signers, OpenPGP keys as gpg's folder."""

    signers: Path
    home: Path


@contextmanager
def trusted(access: Access, timeout: float) -> Iterator[Trusted]:
    """Give the keys while a signature is checked; raises `SourceError` when they cannot be had.

    `timeout` is for gpg, in seconds.
    """
    with TemporaryDirectory(prefix="reconciler-keys-") as folder:
        home = Path(folder)
        if access.verify is not None:
            signers, keys = _put(access.verify(), home)
        else:
            signers = access.signers_file
            keys = [access.gpg_keys_file] if access.gpg_keys_file is not None else []
        _import(keys, home, timeout)
        yield Trusted(signers or Path("/dev/null"), home)


def _put(secret: SecretData, folder: Path) -> tuple[Path | None, list[Path]]:
    """Write what a Secret holds to files; return that of signers, if any, and those for gpg."""
    signers: Path | None = None
    keys: list[Path] = []
    if SIGNERS in secret.data:
        signers = folder / SIGNERS
        signers.write_bytes(secret.data[SIGNERS])
    for name in sorted(each for each in secret.data if each.endswith(ARMOURED)):
        keys.append(folder / f"{len(keys)}{ARMOURED}")
        keys[-1].write_bytes(secret.data[name])
    if signers is None and not keys:
        message = f'Secret {secret.name} has no key "{SIGNERS}", and none that ends in {ARMOURED}'
        raise SourceError("KeysMissing", message)
    return signers, keys


def _import(keys: Sequence[Path], home: Path, timeout: float) -> None:
    if not keys:
        return
    command = ["gpg", "--homedir", str(home), "--batch", "--quiet", "--import", *map(str, keys)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=timeout)  # noqa: S603 - our own arguments
    except (OSError, subprocess.SubprocessError) as error:
        named = ", ".join(each.name for each in keys)
        raise SourceError("KeysUnreadable", f"gpg cannot import {named}") from error
