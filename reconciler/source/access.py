"""How a remote repository lets us in, and whose signatures we trust. Pure but for the files.

Called by `git.py` for the environment of its processes. Nothing secret gets onto a command line,
nor onto a disk: what comes from a Secret and has to be a file lies in `run_dir`, on tmpfs, while
git runs.
"""

from __future__ import annotations

import base64
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

from reconciler.source.snapshot import SourceError

_SSH = ("ssh", "-F", "/dev/null", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10",
        "-o", "StrictHostKeyChecking=yes")  # fmt: skip
_NO_IDENTITY = ("-o", "IdentitiesOnly=yes", "-o", "IdentityFile=none", "-o", "IdentityAgent=none")
# What forges take as the user of a token.
_TOKEN_USER = "x-access-token"  # noqa: S105 - a user's name


@dataclass(frozen=True, slots=True)
class SecretData:
    """What a Secret holds; `name` is "NAMESPACE/NAME", for messages."""

    name: str
    data: Mapping[str, bytes]

    def first(self, *keys: str) -> str:
        """Return the value of the first of `keys` that is there, as text without end of line.

        Raises `SourceError` when none is, or it is no text.
        """
        for key in keys:
            if (value := self.data.get(key)) is not None:
                return self._text(key, value)
        wanted = " or ".join(f'"{key}"' for key in keys)
        raise SourceError("CredentialsMissing", f"Secret {self.name} has no key {wanted}")

    def _text(self, key: str, value: bytes) -> str:
        try:
            return value.decode().strip("\r\n")
        except UnicodeDecodeError as error:
            message = f'key "{key}" of Secret {self.name} is no text'
            raise SourceError("CredentialsMissing", message) from error


@dataclass(frozen=True, slots=True)
class Access:
    """Files of one source, or a Secret, read at each fetch so that they may change. All optional.

    `token_file` has a token, or "user:password", for https. `ssh_key_file` is a private key,
    `known_hosts_file` the hosts that ssh may talk to (the user's own without it); an unknown host
    is always refused. `ca_file` replaces the system's authorities. `secret` returns the Secret that
    lets the source in instead, or raises `SourceError`; its keys are those that Kubernetes and Flux
    use. Without `own` the daemon's own ssh identities are not offered. A commit has to be
    signed by one of `signers_file` (as ssh-keygen's allowed signers) or `gpg_keys_file` when either
    is given; `verify` returns a Secret with such keys instead, or raises `SourceError`.
    """

    token_file: Path | None = None
    ssh_key_file: Path | None = None
    known_hosts_file: Path | None = None
    ca_file: Path | None = None
    signers_file: Path | None = None
    gpg_keys_file: Path | None = None
    secret: Callable[[], SecretData] | None = None
    verify: Callable[[], SecretData] | None = None
    run_dir: Path | None = None
    own: bool = True

    @property
    def signed(self) -> bool:
        """Whether a revision has to be signed."""
        return any((self.signers_file, self.gpg_keys_file, self.verify))

    @contextmanager
    def environment(self, url: str) -> Iterator[dict[str, str]]:
        """Give git's environment for a fetch from `url` while it runs; raises `SourceError`."""
        secret = self.secret() if self.secret is not None else None
        with ExitStack() as stack:
            files = _Files(stack, self.run_dir)
            if url.startswith("https://"):
                yield {"GIT_SSH_COMMAND": shlex.join(_SSH), **self._https(url, secret, files)}
            elif secret is not None and not _is_ssh(url):
                message = (
                    f"Secret {secret.name} is for https and ssh, not for {url.partition(':')[0]}"
                )
                raise SourceError("CredentialsRefused", message)
            else:
                yield {"GIT_SSH_COMMAND": self._ssh(secret, files), "GIT_CONFIG_COUNT": "0"}

    def _https(self, url: str, secret: SecretData | None, files: _Files) -> dict[str, str]:
        header = self._authorization(secret)
        config: dict[str, str] = {}
        if header:
            parts = urlsplit(url)
            config[f"http.{parts.scheme}://{parts.netloc}/.extraHeader"] = header
            config["http.followRedirects"] = "false"  # the token is for this host alone
        ca = self.ca_file
        if secret is not None and "ca.crt" in secret.data:
            ca = files.put("ca.crt", secret.first("ca.crt"))
        trusted = {"GIT_SSL_CAINFO": str(ca)} if ca is not None else {}
        return {**trusted, **_counted(config)}

    def _authorization(self, secret: SecretData | None) -> str:
        if secret is not None:
            if "bearerToken" in secret.data:
                return f"Authorization: Bearer {_one_line(secret, 'bearerToken')}"
            if "token" in secret.data:
                return _basic(_TOKEN_USER, _one_line(secret, "token"))
            user = _one_line(secret, "username") if "username" in secret.data else _TOKEN_USER
            return _basic(user, _one_line(secret, "password", "token", "bearerToken"))
        if self.token_file is None:
            return ""
        user, colon, password = _read(self.token_file).partition(":")
        return _basic(user, password) if colon else _basic(_TOKEN_USER, user)

    def _ssh(self, secret: SecretData | None, files: _Files) -> str:
        key, known = self.ssh_key_file, self.known_hosts_file
        if secret is not None:
            key = files.put("key", secret.first("ssh-privatekey", "identity") + "\n")
            known = files.put("known_hosts", secret.first("known_hosts") + "\n")
        words = [*_SSH]
        if key is not None:
            words += ["-o", "IdentitiesOnly=yes", "-i", str(key)]
        elif not self.own:
            words += _NO_IDENTITY
        if known is not None:
            quoted = str(known).replace('"', "")
            words += [
                "-o",
                f'UserKnownHostsFile="{quoted}"',
                "-o",
                "GlobalKnownHostsFile=/dev/null",
            ]
        return shlex.join(words)


class _Files:
    """Files in memory that live as long as `stack`."""

    def __init__(self, stack: ExitStack, run_dir: Path | None) -> None:
        self._stack = stack
        self._run_dir = run_dir
        self._folder: Path | None = None

    def put(self, name: str, text: str) -> Path:
        """Return the path of a file that only we can read, with `text`."""
        if self._folder is None:
            made = TemporaryDirectory(prefix="git-", dir=self._run_dir)
            self._folder = Path(self._stack.enter_context(made))
        path = self._folder / name
        with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:  # noqa: PTH123 - with a mode
            file.write(text)
        return path


def _is_ssh(url: str) -> bool:
    return url.startswith("ssh://") or "://" not in url


def _basic(user: str, password: str) -> str:
    return "Authorization: Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _one_line(secret: SecretData, *keys: str) -> str:
    text = secret.first(*keys)
    if "\n" in text or "\r" in text:
        message = f'key "{keys[0]}" of Secret {secret.name} has more than one line'
        raise SourceError("CredentialsMissing", message)
    return text


def _counted(config: Mapping[str, str]) -> dict[str, str]:
    """Return git's environment for settings that its command line must not show."""
    counted = {"GIT_CONFIG_COUNT": str(len(config))}
    for index, (key, value) in enumerate(config.items()):
        counted |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
    return counted


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError("CredentialsMissing", f"cannot read {path}") from error
