"""Configuration, as the composition root reads it.

`RECONCILER_*` environment, then `--config FILE` (YAML), then flags; each stronger than the one
before.
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    ValidationError,
    model_validator,
)

from reconciler.controllers.loadbalancer.pool import parse_pool
from reconciler.controllers.replication.policy import DEFAULTS, RolloutDefaults, amount_fault
from reconciler.core.errors import ReconcilerError
from reconciler.kubelet.podadmit import pattern_fault
from reconciler.kubelet.volumes.drivers import TYPES
from reconciler.sourcesettings import NAME, NamedSource, SourceSettings

OWNERSHIP = "reconciler"
"""The abstract socket that the daemon of a network namespace holds."""

_ENVIRONMENT = "RECONCILER_"
_LAST_PORT = 65535


class SettingsError(ReconcilerError):
    """A setting is unknown or wrong; the message names it, its place and what would be right."""


def _network(text: str) -> str:
    return str(ipaddress.IPv4Network(text))


def _address(text: str) -> str:
    return str(ipaddress.IPv4Address(text))


def _listen(text: str) -> str:
    host, colon, port = text.rpartition(":")
    ipaddress.ip_address(host.strip("[]"))
    if not colon or not port.isascii() or not port.isdigit() or int(port) > _LAST_PORT:
        raise ValueError("expected ADDRESS:PORT")
    return text


def _networks(text: str) -> str:
    return ",".join(_network(part.strip()) for part in text.split(",") if part.strip())


def _pool(text: str) -> str:
    parse_pool(text)
    return text


def _pod_amount(given: object) -> str:
    text = str(given)  # YAML has 1, the command line "1"
    if fault := amount_fault(text):
        raise ValueError(fault)
    return text


PodAmount = Annotated[str, BeforeValidator(_pod_amount)]
Network = Annotated[str, AfterValidator(_network)]
Address = Annotated[str, AfterValidator(_address)]
Networks = Annotated[str, AfterValidator(_networks)]
Pool = Annotated[str, AfterValidator(_pool)]
Listen = Annotated[str, AfterValidator(_listen)]


def _drivers(given: object) -> object:
    """Read `TYPE=NAME,...`; a mapping, as in the YAML file, stays one."""
    if not isinstance(given, str):
        return given
    pairs = (part.partition("=") for part in given.split(",") if part.strip())
    return {kind.strip(): name.strip() for kind, _, name in pairs}


def _known_types(drivers: dict[str, str]) -> dict[str, str]:
    for kind, name in drivers.items():
        if kind not in TYPES.values():
            raise ValueError(f"{kind}: known types are {', '.join(sorted(TYPES.values()))}")
        if not name:
            raise ValueError(f"{kind}: expected the name of a Docker volume plugin")
    return drivers


def _words(given: object) -> object:
    """Read words separated by commas; a list, as in the YAML file, stays one."""
    if not isinstance(given, str):
        return given
    return tuple(part.strip() for part in given.split(",") if part.strip())


def _sysctl_patterns(patterns: tuple[str, ...]) -> tuple[str, ...]:
    for pattern in patterns:
        if fault := pattern_fault(pattern):
            raise ValueError(fault)
    return patterns


SysctlPatterns = Annotated[
    tuple[str, ...], BeforeValidator(_words), AfterValidator(_sysctl_patterns)
]
VolumeDrivers = Annotated[dict[str, str], BeforeValidator(_drivers), AfterValidator(_known_types)]


def _host_name() -> str:
    return socket.gethostname().lower()


class Settings(SourceSettings):
    """Everything that a user may set. Durations are seconds."""

    source: str | None = Field(
        default=None,
        min_length=1,
        description="directory, local Git repository or Git URL that holds the manifests",
    )
    webhook_listen: Listen | None = Field(
        default=None, description="address and port on which webhooks of the forge are received"
    )
    webhook_secret_file: Path | None = Field(
        default=None, description="secret or token that webhooks have to show"
    )
    source_name: str = Field(
        default="main",
        pattern=NAME,
        description="name of the source, in status and history",
    )
    sources: tuple[NamedSource, ...] = Field(
        default=(), description="several sources, each with a name and settings of its own"
    )
    age_key_file: Path | None = Field(
        default=None, description="file of age identities that open encrypted manifests"
    )
    max_surge: PodAmount = Field(
        default=DEFAULTS.max_surge,
        description="pods, or percent, that a rollout may make beyond replicas",
    )
    max_unavailable: PodAmount = Field(
        default=DEFAULTS.max_unavailable,
        description="pods, or percent, that a rollout may leave missing",
    )
    min_ready_seconds: int = Field(
        default=DEFAULTS.min_ready_seconds,
        ge=0,
        description="how long a pod has to be ready before a rollout counts on it",
    )
    progress_deadline_seconds: int = Field(
        default=DEFAULTS.progress_deadline_seconds,
        ge=1,
        description="how long a rollout may go without one more ready pod before it has failed",
    )
    notify_webhook: str = Field(
        default="", pattern="^(https?://.*)?$", description="URL that gets each outcome as JSON"
    )
    notify_slack: str = Field(
        default="",
        pattern="^(https?://.*)?$",
        description="URL of an incoming webhook of Slack, or of one like it",
    )
    notify_email: str = Field(
        default="",
        pattern="^(smtp://[^?]+[?](from=[^&]+&to=|to=[^&]+&from=).+)?$",
        description="smtp://HOST:PORT/?from=ADDRESS&to=ADDRESS[&user=NAME&password-file=FILE]",
    )
    otlp_endpoint: str = Field(
        default="",
        pattern="^(https?://.*)?$",
        description="base URL of an OpenTelemetry collector that gets a trace of each revision",
    )
    commit_status: Literal["", "github", "gitlab", "gitea", "generic"] = Field(
        default="",
        description="forge that is told how commits fare: github, gitlab, gitea, generic",
    )
    commit_status_url: str = Field(
        default="", pattern="^(https?://.*)?$", description="URL of the repository in its API"
    )
    commit_status_token_file: Path | None = Field(
        default=None, description="file with the token for it"
    )

    state_dir: Path = Field(default=Path("/var/lib/reconciler"), description="where state is kept")
    store_key_file: Path | None = Field(
        default=None, description="keys that encrypt Secrets in the state, instead of its own"
    )
    run_dir: Path = Field(default=Path("/run/reconciler"), description="run-time files, on tmpfs")
    docker_socket: Path = Field(
        default=Path("/var/run/docker.sock"), description="Docker's Unix socket"
    )

    listen: Listen = Field(
        default="127.0.0.1:6443",
        description="address and port of the API; another than loopback lets others connect",
    )

    node_name: str = Field(
        default_factory=_host_name, description="name of its Node object (default the host's name)"
    )
    register_node: bool = Field(default=True, description="whether the host registers itself")
    pod_cidr: Network = Field(default="10.244.0.0/24", description="addresses of this node's pods")
    service_cidr: Network = Field(default="10.96.0.0/16", description="addresses of services")
    cluster_dns: Address = Field(default="10.96.0.10", description="address of the cluster DNS")
    cluster_domain: str = Field(default="cluster.local", description="DNS domain of the cluster")
    node_port_min: int = Field(default=30000, ge=1, le=65535, description="first node port")
    node_port_max: int = Field(default=32767, ge=1, le=65535, description="last node port")
    node_port_addresses: Networks = Field(
        default="",
        description="networks of the local addresses on which node ports answer, separated by "
        "commas; empty for every address",
    )
    load_balancer_pool: Pool = Field(
        default="",
        description="addresses for load balancers without loadBalancerIP: networks, ranges "
        "(FIRST-LAST) and single addresses, separated by commas",
    )
    volume_drivers: VolumeDrivers = Field(
        default_factory=dict,
        description="Docker volume plugins by the type of volume that each serves: TYPE=NAME,"
        " separated by commas",
    )
    seccomp_profiles: Path | None = Field(
        default=None,
        description="folder of the seccomp profiles that pods may name (STATE_DIR/seccomp)",
    )
    allowed_unsafe_sysctls: SysctlPatterns = Field(
        default=(),
        description="sysctls that pods may set beside the safe ones: names, or prefixes that end"
        " in *, separated by commas",
    )
    let_go_timeout: float = Field(
        default=1.0,
        ge=0,
        description="longest wait for the proxies to let go of a pod before its SIGTERM",
    )

    git_repo_timeout: float = Field(
        default=300.0, gt=0, description="seconds that the clone of a gitRepo volume may take"
    )
    git_repo_size: int = Field(
        default=1 << 30, gt=0, description="bytes that the clone of a gitRepo volume may take"
    )
    git_repo_file: bool = Field(
        default=False,
        description="whether gitRepo volumes may clone repositories of this host (file://, paths)",
    )

    log_level: str = Field(
        default="info",
        pattern="^(debug|info|warning|error)$",
        description="least level logged: debug, info, warning or error",
    )
    audit: Literal["none", "writes", "all"] = Field(
        default="writes", description="which requests to the API are logged: none, writes or all"
    )

    @property
    def named_sources(self) -> Mapping[str, NamedSource]:
        """All sources by name: `sources`, and the one that `source` names."""
        found = {each.name: each for each in self.sources}
        if self.source:
            own = {name: getattr(self, name) for name in SourceSettings.model_fields}
            found[self.source_name] = NamedSource.model_construct(
                name=self.source_name, source=self.source, **own
            )
        return found

    @property
    def rollout(self) -> RolloutDefaults:
        """How controllers without annotations are rolled."""
        return RolloutDefaults(
            self.max_surge,
            self.max_unavailable,
            self.min_ready_seconds,
            self.progress_deadline_seconds,
        )

    @property
    def store_path(self) -> Path:
        """The file of the store."""
        return self.state_dir / "store.db"

    @property
    def store_keys(self) -> Path:
        """The file of the keys that encrypt what is secret in the store."""
        return self.store_key_file or self.state_dir / "store.keys"

    @property
    def pki_dir(self) -> Path:
        """The folder of the API's certificates and the administrator's token."""
        return self.state_dir / "pki"

    @property
    def api_socket(self) -> Path:
        """The API's Unix socket, for root on this host."""
        return self.run_dir / "api.sock"

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        services = ipaddress.IPv4Network(self.service_cidr)
        if ipaddress.IPv4Address(self.cluster_dns) not in services:
            raise ValueError(f"cluster_dns {self.cluster_dns} lies outside service_cidr {services}")
        if services.overlaps(ipaddress.IPv4Network(self.pod_cidr)):
            raise ValueError(f"pod_cidr {self.pod_cidr} overlaps service_cidr {services}")
        for name in ("service_cidr", "pod_cidr"):
            network = ipaddress.IPv4Network(getattr(self, name))
            if any(each.overlaps(network) for each in parse_pool(self.load_balancer_pool).ranges):
                raise ValueError(f"load_balancer_pool overlaps {name} {network}")
        names = [each.name for each in self.sources]
        names += [self.source_name] if self.source else []
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"sources: {twice[0]} is there twice; each needs a name of its own")
        if self.webhook_listen and not self.webhook_secret_file:
            raise ValueError("webhook_listen needs webhook_secret_file")
        if self.commit_status and not self.commit_status_url:
            raise ValueError("commit_status needs commit_status_url")
        if self.node_port_min > self.node_port_max:
            raise ValueError("node_port_min is greater than node_port_max")
        return self


def load(flags: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings that the three places give together.

    `flags` are the command line's values by setting name (`None`: not given); its `config` names
    the YAML file. Raises `SettingsError`.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    config = given.pop("config", None) or environment.get(f"{_ENVIRONMENT}CONFIG")
    merged = {**_from_environment(environment), **(_from_file(Path(config)) if config else {})}
    known = {name: value for name, value in given.items() if name in Settings.model_fields}
    try:
        return Settings.model_validate({**merged, **known})
    except ValidationError as error:
        raise SettingsError(_explain(error)) from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: environment[variable]
        for name in Settings.model_fields
        if name != "sources" and (variable := _ENVIRONMENT + name.upper()) in environment
    }


def _from_file(path: Path) -> dict[str, Any]:
    try:
        content = yaml.safe_load(path.read_text())
    except (OSError, yaml.YAMLError) as error:
        raise SettingsError(f"--config {path}: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise SettingsError(f"--config {path}: expected a mapping of settings")
    found = {_snake(str(name)): value for name, value in content.items()}
    if isinstance(listed := found.get("sources"), list):
        found["sources"] = [_one_source(each) for each in listed]
    return found


def _one_source(entry: object) -> object:
    if not isinstance(entry, dict):
        return entry
    return {_snake(str(name)): value for name, value in entry.items()}


def _snake(name: str) -> str:
    """Return the name of a setting: `volumeDrivers` and `volume-drivers` are volume_drivers."""
    return re.sub("(?<=[a-z])([A-Z])", r"_\1", name).lower().replace("-", "_")


def _explain(error: ValidationError) -> str:
    lines = []
    for fault in error.errors():
        name = ".".join(str(part) for part in fault["loc"])
        if fault["type"] == "extra_forbidden":
            lines.append(f"{name}: unknown setting; known are {', '.join(Settings.model_fields)}")
        else:
            lines.append(f"{name + ': ' if name else ''}{fault['msg']} (got {fault['input']!r})")
    return "\n".join(lines)
