"""How a source is read and followed, as the settings say it: one, or several by name.

`settings.py` reads them; `following.py` starts a loop for each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from reconciler.model.gitops import SourceSpec, SourceVerification, SubstituteReference
from reconciler.model.reference import LocalObjectReference
from reconciler.source.access import Access

NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
"""What a source may be called."""


class SourceSettings(BaseModel):
    """How one source is read and followed. Durations are seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    branch: str | None = Field(default=None, description="branch of the Git repository (its HEAD)")
    tag: str | None = Field(default=None, description="tag to follow instead of a branch")
    commit: str | None = Field(default=None, description="whole id of the one commit to run")
    semver: str | None = Field(
        default=None, description="range of versions; the highest tag in it is followed"
    )
    git_token_file: Path | None = Field(
        default=None, description="token, or user:password, for a repository over https"
    )
    git_ca_file: Path | None = Field(
        default=None, description="authorities that may vouch for a repository over https"
    )
    ssh_key_file: Path | None = Field(
        default=None, description="private key for a repository over ssh"
    )
    known_hosts_file: Path | None = Field(
        default=None, description="hosts that ssh may talk to, instead of the user's"
    )
    signers_file: Path | None = Field(
        default=None, description="SSH keys (allowed signers) that have to sign each revision"
    )
    gpg_keys_file: Path | None = Field(
        default=None, description="OpenPGP public keys that have to sign each revision"
    )
    path: str = Field(
        default="", description="sub-directory of the source that holds the manifests"
    )
    interval: float = Field(
        default=10.0, gt=0, description="seconds between two fetches of a remote"
    )
    on_failure: Literal["rollback", "hold"] = Field(
        default="rollback", description="what becomes of a failed revision: rollback or hold"
    )
    prune_threshold: int = Field(
        default=30,
        ge=0,
        le=100,
        description="percent of a source's objects above which deletions wait for approval",
    )
    prune_keep_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="how long what is declared no more rests, stopped, before it is removed",
    )

    @property
    def access(self) -> Access:
        """How a remote repository lets the daemon in, and whose signatures count."""
        return Access(
            token_file=self.git_token_file,
            ssh_key_file=self.ssh_key_file,
            known_hosts_file=self.known_hosts_file,
            ca_file=self.git_ca_file,
            signers_file=self.signers_file,
            gpg_keys_file=self.gpg_keys_file,
        )


class NamedSource(SourceSettings):
    """One of several sources: an entry of `sources` in the file of settings.

    `namespace` is where its Secrets and ConfigMaps are, and where objects go that name none;
    `namespaces` are those that it may write to, none for all. `secret` names the Secret that lets
    it in, `signers_secret` the one with the keys that have to sign. `substitute` and
    `substitute_from` are as in the spec of a Source.
    """

    name: str = Field(pattern=NAME, max_length=63)
    source: str = Field(min_length=1)
    namespace: str = ""
    namespaces: tuple[str, ...] = ()
    secret: str = ""
    signers_secret: str = ""
    submodules: bool = False
    substitute: dict[str, str] = {}
    substitute_from: tuple[SubstituteReference, ...] = ()

    @property
    def spec(self) -> SourceSpec:
        """The source as its object has it; what is in files on this host is not in it."""
        return SourceSpec(
            url=self.source,
            branch=self.branch or "",
            tag=self.tag or "",
            commit=self.commit or "",
            semver=self.semver or "",
            sub_path=self.path,
            interval=f"{self.interval:g}s",
            namespace=self.namespace,
            namespaces=self.namespaces,
            secret_ref=LocalObjectReference(name=self.secret) if self.secret else None,
            verify=_verification(self.signers_secret),
            submodules=self.submodules,
            substitute=self.substitute,
            substitute_from=self.substitute_from,
        )


def _verification(secret: str) -> SourceVerification | None:
    return SourceVerification(secret_ref=LocalObjectReference(name=secret)) if secret else None
