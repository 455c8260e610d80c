"""A container's environment: `env`, `envFrom`, `valueFrom`, service variables. Pure.

Called by `worker.py` when it starts a container, with the objects that `references` named.
Values from a Secret, and values made from such ones, are kept apart: they must not pass through
Docker (law 9), the launcher adds them.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from reconciler.core.errors import ReconcilerError
from reconciler.kubelet.expansion import expand
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.container import (
    ConfigMapKeySelector,
    Container,
    EnvFromSource,
    EnvVar,
    EnvVarSource,
    ResourceFieldSelector,
    SecretKeySelector,
)
from reconciler.model.pod import Pod
from reconciler.model.quantity import to_int, to_milli

# Printable ASCII but "=": Kubernetes' IsRelaxedEnvVarName.
_NAME = re.compile(r"[ -<>-~]+")
_KEYED = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")


class ConfigError(ReconcilerError):
    """What the environment refers to is not there: Kubernetes' CreateContainerConfigError."""


@dataclass(frozen=True, slots=True)
class Reference:
    """An object that a container's environment needs."""

    kind: type[ConfigMap | Secret]
    name: str


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where values come from. An object that does not exist is None in its map.

    `services` are the service variables; `allocatable` the node's, for resourceFieldRef.
    """

    config_maps: Mapping[str, ConfigMap | None] = field(default_factory=dict)
    secrets: Mapping[str, Secret | None] = field(default_factory=dict)
    services: Mapping[str, str] = field(default_factory=dict)
    allocatable: Mapping[str, str] = field(default_factory=dict)
    host_ip: str = ""
    pod_ip: str = ""


@dataclass(frozen=True, slots=True)
class Environment:
    """The variables in their order; `secret` names those whose values stay secret.

    `skipped` says in Kubernetes' words which keys of envFrom are no names of variables.
    """

    variables: Mapping[str, str]
    secret: frozenset[str] = frozenset()
    skipped: tuple[str, ...] = ()

    def expand(self, texts: tuple[str, ...]) -> tuple[str, ...]:
        """Expand a command or its arguments; what `reveals` secrets must not be shown."""
        return tuple(expand(text, self.variables.get) for text in texts)

    def reveals(self, texts: tuple[str, ...]) -> bool:
        """Tell whether a secret value would be part of the expanded texts."""
        used: set[str] = set()

        def note(name: str) -> None:
            used.add(name)

        for text in texts:
            expand(text, note)
        return not used.isdisjoint(self.secret)

    def plain(self) -> tuple[tuple[str, str], ...]:
        """Return what Docker may see."""
        return tuple(pair for pair in self.variables.items() if pair[0] not in self.secret)

    def hidden(self) -> bytes:
        """Return the rest as the launcher reads it: NAME=VALUE, each ended by a zero byte."""
        pairs = (
            f"{name}={self.variables[name]}\0" for name in self.variables if name in self.secret
        )
        return "".join(pairs).encode()


def references(container: Container) -> frozenset[Reference]:
    """Return the objects that `environment` needs to have looked up."""
    found: set[Reference] = set()
    for source in container.env_from:
        if source.config_map_ref:
            found.add(Reference(ConfigMap, source.config_map_ref.name))
        if source.secret_ref:
            found.add(Reference(Secret, source.secret_ref.name))
    for variable in container.env:
        origin = variable.value_from
        if origin and origin.config_map_key_ref:
            found.add(Reference(ConfigMap, origin.config_map_key_ref.name))
        if origin and origin.secret_key_ref:
            found.add(Reference(Secret, origin.secret_key_ref.name))
    return frozenset(found)


def environment(pod: Pod, container: Container, around: Surroundings) -> Environment:
    """Return the environment; raises `ConfigError`."""
    builder = _Builder(pod, container, around)
    for source in container.env_from:
        builder.add_all(source)
    for variable in container.env:
        builder.add(variable)
    return builder.finish()


class _Builder:
    def __init__(self, pod: Pod, container: Container, around: Surroundings) -> None:
        self._pod, self._container, self._around = pod, container, around
        self._variables: dict[str, str] = {}
        self._secret: set[str] = set()
        self._skipped: list[str] = []

    def add_all(self, source: EnvFromSource) -> None:
        """Add every key of a ConfigMap or Secret that is a variable's name."""
        if source.config_map_ref:
            config = self._config_map(source.config_map_ref.name, source.config_map_ref.optional)
            values = dict(config.data) if config else {}
        elif source.secret_ref:
            secret = self._get_secret(source.secret_ref.name, source.secret_ref.optional)
            values = {key: _text(value) for key, value in secret.data.items()} if secret else {}
        else:
            return
        names = {source.prefix + key: value for key, value in sorted(values.items())}
        for name, value in names.items():
            if _NAME.fullmatch(name):
                self._set(name, value, secret=source.secret_ref is not None)
        self._skip(source, [name for name in names if not _NAME.fullmatch(name)])

    def _skip(self, source: EnvFromSource, names: list[str]) -> None:
        if not names:
            return
        kind, held = "configMap", source.config_map_ref or source.secret_ref
        if source.secret_ref is not None:
            kind = "secret"
        place = f"{self._pod.metadata.namespace}/{held.name if held else ''}"
        self._skipped.append(
            f"Keys [{', '.join(sorted(names))}] from the EnvFrom {kind} {place} were skipped since "
            "they are considered invalid environment variable names."
        )

    def add(self, variable: EnvVar) -> None:
        """Add one variable; its value may refer to those before it."""
        if variable.value_from is None:
            used: set[str] = set()
            value = expand(variable.value, lambda name: self._look_up(name, used))
            self._set(variable.name, value, secret=not used.isdisjoint(self._secret))
            return
        resolved = self._resolve(variable.value_from)
        if resolved is not None:
            secret = variable.value_from.secret_key_ref is not None
            self._set(variable.name, resolved, secret=secret)

    def finish(self) -> Environment:
        """Add the service variables that nothing else set."""
        for name, value in self._around.services.items():
            self._variables.setdefault(name, value)
        return Environment(self._variables, frozenset(self._secret), tuple(self._skipped))

    def _set(self, name: str, value: str, *, secret: bool) -> None:
        if "\0" in value:  # no program can be given such a one; to the launcher it would be two
            raise ConfigError(f"the value of variable {name} has a zero byte")
        self._variables.pop(name, None)
        self._variables[name] = value
        (self._secret.add if secret else self._secret.discard)(name)

    def _look_up(self, name: str, used: set[str]) -> str | None:
        used.add(name)
        return self._variables.get(name, self._around.services.get(name))

    def _resolve(self, source: EnvVarSource) -> str | None:
        if source.field_ref is not None:
            return field_value(self._pod, source.field_ref.field_path, self._around)
        if source.resource_field_ref is not None:
            return self._resource(source.resource_field_ref)
        if source.config_map_key_ref is not None:
            return self._from_config_map(source.config_map_key_ref)
        if source.secret_key_ref is not None:
            return self._from_secret(source.secret_key_ref)
        return None

    def _resource(self, selector: ResourceFieldSelector) -> str:
        containers = (*self._pod.spec.init_containers, *self._pod.spec.containers)
        name = selector.container_name or self._container.name
        target = next((c for c in containers if c.name == name), self._container)
        return resource_value(target, selector, self._around.allocatable)

    def _from_config_map(self, selector: ConfigMapKeySelector) -> str | None:
        config = self._config_map(selector.name, selector.optional)
        if config is not None and selector.key in config.data:
            return config.data[selector.key]
        self._missing(selector.key, "ConfigMap", selector.name, selector.optional)
        return None

    def _from_secret(self, selector: SecretKeySelector) -> str | None:
        secret = self._get_secret(selector.name, selector.optional)
        if secret is not None and selector.key in secret.data:
            return _text(secret.data[selector.key])
        self._missing(selector.key, "Secret", selector.name, selector.optional)
        return None

    def _missing(self, key: str, kind: str, name: str, optional: bool | None) -> None:
        if not optional:
            place = f"{self._pod.metadata.namespace}/{name}"
            raise ConfigError(f"couldn't find key {key} in {kind} {place}")

    def _config_map(self, name: str, optional: bool | None) -> ConfigMap | None:
        config = self._around.config_maps.get(name)
        if config is None and not optional:
            raise ConfigError(f'configmap "{name}" not found')
        return config

    def _get_secret(self, name: str, optional: bool | None) -> Secret | None:
        secret = self._around.secrets.get(name)
        if secret is None and not optional:
            raise ConfigError(f'secret "{name}" not found')
        return secret


def _text(encoded: str) -> str:
    return base64.b64decode(encoded).decode(errors="replace")


def field_value(pod: Pod, path: str, around: Surroundings) -> str:
    """Return what a fieldRef means; raises `ConfigError` for a path that means nothing."""
    keyed = _KEYED.fullmatch(path)
    if keyed is not None:
        values: Mapping[str, str] = getattr(pod.metadata, keyed[1])
        return values.get(keyed[2], "")
    known = dict(_fields(pod, around))
    if path not in known:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return known[path]


def _fields(pod: Pod, around: Surroundings) -> Iterator[tuple[str, str]]:
    yield "metadata.name", pod.metadata.name
    yield "metadata.namespace", pod.metadata.namespace
    yield "metadata.uid", pod.metadata.uid
    yield "spec.nodeName", pod.spec.node_name
    yield "spec.serviceAccountName", pod.spec.service_account_name
    yield "status.hostIP", around.host_ip
    yield "status.hostIPs", around.host_ip
    yield "status.podIP", around.pod_ip
    yield "status.podIPs", around.pod_ip


def resource_value(
    container: Container, selector: ResourceFieldSelector, allocatable: Mapping[str, str]
) -> str:
    """Return a request or limit in units of the divisor, rounded up; the node's by default."""
    side, _, resource = selector.resource.partition(".")
    amounts = container.resources.limits if side == "limits" else container.resources.requests
    amount = amounts.get(resource) or (allocatable.get(resource) if side == "limits" else None)
    divisor = selector.divisor if to_milli(selector.divisor) else "1"
    if resource == "cpu":
        return str(math.ceil(to_milli(amount or "0") / to_milli(divisor)))
    return str(math.ceil(to_int(amount or "0") / to_int(divisor)))
