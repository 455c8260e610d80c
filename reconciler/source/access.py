"""How a remote repository lets us in, and whose signatures we trust: files, never values. Pure.

Called by `git.py` for the environment of its processes. Nothing secret gets onto a command line.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from reconciler.source.snapshot import SourceError

_SSH = ("ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10",
        "-o", "StrictHostKeyChecking=yes")  # fmt: skip
# What forges take as the user of a token.
_TOKEN_USER = "x-access-token"  # noqa: S105 - a user's name


@dataclass(frozen=True, slots=True)
class Access:
    """Files of one source, read at each fetch so that they may change. All are optional.

    `token_file` has a token, or "user:password", for https. `ssh_key_file` is a private key,
    `known_hosts_file` the hosts that ssh may talk to (the user's own without it); an unknown host
    is always refused. `ca_file` replaces the system's authorities. A commit has to be signed by
    one of `signers_file` (as ssh-keygen's allowed signers) or `gpg_keys_file` when either is given.
    """

    token_file: Path | None = None
    ssh_key_file: Path | None = None
    known_hosts_file: Path | None = None
    ca_file: Path | None = None
    signers_file: Path | None = None
    gpg_keys_file: Path | None = None

    @property
    def signed(self) -> bool:
        """Whether a revision has to be signed."""
        return self.signers_file is not None or self.gpg_keys_file is not None

    def environment(self, url: str) -> dict[str, str]:
        """Return git's environment for a fetch from `url`; raises `SourceError`."""
        config = dict(self._https(url)) if url.startswith("https://") else {}
        counted = {"GIT_CONFIG_COUNT": str(len(config))}
        for index, (key, value) in enumerate(config.items()):
            counted |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
        trusted = {"GIT_SSL_CAINFO": str(self.ca_file)} if self.ca_file is not None else {}
        return {"GIT_SSH_COMMAND": self._ssh(), **trusted, **counted}

    def _https(self, url: str) -> Iterable[tuple[str, str]]:
        if self.token_file is not None:
            parts = urlsplit(url)
            text = _read(self.token_file)
            pair = text if ":" in text else f"{_TOKEN_USER}:{text}"
            encoded = base64.b64encode(pair.encode()).decode()
            place = f"{parts.scheme}://{parts.netloc}/"
            yield f"http.{place}.extraHeader", f"Authorization: Basic {encoded}"
            yield "http.followRedirects", "false"  # the token is for this host alone

    def _ssh(self) -> str:
        words = [*_SSH]
        if self.ssh_key_file is not None:
            words += ["-o", "IdentitiesOnly=yes", "-i", str(self.ssh_key_file)]
        if self.known_hosts_file is not None:
            quoted = str(self.known_hosts_file).replace('"', "")
            words += [
                "-o",
                f'UserKnownHostsFile="{quoted}"',
                "-o",
                "GlobalKnownHostsFile=/dev/null",
            ]
        return shlex.join(words)


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError("CredentialsMissing", f"cannot read {path}") from error
