"""Rules of environment variables and of what they refer to."""

from __future__ import annotations

import re

from reconciler.admission.errors import Errors, invalid, not_supported, required
from reconciler.admission.rules import names
from reconciler.model import quantity
from reconciler.model.container import (
    ConfigMapKeySelector,
    EnvFromSource,
    EnvVar,
    EnvVarSource,
    ObjectFieldSelector,
    ResourceFieldSelector,
    SecretKeySelector,
)

ENV_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName",
    "spec.serviceAccountName", "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
VOLUME_FIELDS = (
    "metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace",
    "metadata.uid",
)  # fmt: skip
_KNOWN_FIELDS = frozenset((
    *ENV_FIELDS, *VOLUME_FIELDS, "spec.restartPolicy", "spec.schedulerName", "status.phase",
))  # fmt: skip
_CONTAINER_RESOURCES = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu",
    "requests.ephemeral-storage", "requests.memory",
)  # fmt: skip
_SUBSCRIPT = re.compile(r"(.+)\['(.*)'\]")
_BYTE_DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_DIVISORS = {
    "cpu": (("1m", "1"), "1m and 1", "cpu"),
    "memory": (_BYTE_DIVISORS, ", ".join(_BYTE_DIVISORS), "memory"),
    "ephemeral-storage": (_BYTE_DIVISORS, ", ".join(_BYTE_DIVISORS), "local ephemeral storage"),
}


def env(variables: tuple[EnvVar, ...], path: str) -> Errors:
    """ValidateEnv."""
    for index, variable in enumerate(variables):
        if not variable.name:
            yield required(f"{path}[{index}].name")
        elif messages := names.env_name(variable.name):
            yield from names.each(f"{path}[{index}].name", variable.name, messages)
        if variable.value_from is not None:
            where = f"{path}[{index}].valueFrom"
            yield from _value_from(variable.value_from, bool(variable.value), where)


def _value_from(source: EnvVarSource, has_value: bool, path: str) -> Errors:
    count = 0
    if source.field_ref is not None:
        count += 1
        yield from field_ref(source.field_ref, ENV_FIELDS, f"{path}.fieldRef")
    if source.resource_field_ref is not None:
        count += 1
        yield from resource_field_ref(source.resource_field_ref, f"{path}.resourceFieldRef")
    if source.config_map_key_ref is not None:
        count += 1
        yield from _key_ref(source.config_map_key_ref, f"{path}.configMapKeyRef")
    if source.secret_key_ref is not None:
        count += 1
        yield from _key_ref(source.secret_key_ref, f"{path}.secretKeyRef")
    if not count:
        yield invalid(
            path,
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or "
            "`secretKeyRef`",
        )
    if has_value and count:
        yield invalid(path, "", "may not be specified when `value` is not empty")
    elif count > 1:
        yield invalid(path, "", "may not have more than one field specified at a time")


def _key_ref(ref: ConfigMapKeySelector | SecretKeySelector, path: str) -> Errors:
    yield from names.each(f"{path}.name", ref.name, names.dns_subdomain(ref.name))
    if not ref.key:
        yield required(f"{path}.key")
    else:
        yield from names.each(f"{path}.key", ref.key, names.config_key(ref.key))


def field_ref(ref: ObjectFieldSelector, supported: tuple[str, ...], path: str) -> Errors:
    """ValidateObjectFieldSelector, with ConvertDownwardAPIFieldLabel's refusals."""
    if not ref.api_version:
        yield required(f"{path}.apiVersion")
        return
    if not ref.field_path:
        yield required(f"{path}.fieldPath")
        return
    field = "spec.nodeName" if ref.field_path == "spec.host" else ref.field_path
    subscript = _SUBSCRIPT.fullmatch(field)
    problem = _unreadable(ref.api_version, field, subscript)
    if problem:
        text = f"error converting fieldPath: {problem}"
        yield invalid(f"{path}.fieldPath", ref.field_path, text)
    elif subscript:
        key = subscript[2]
        tested = key.lower() if subscript[1] == "metadata.annotations" else key
        yield from names.each(path, key, names.qualified_name(tested))
    elif field not in supported:
        yield not_supported(f"{path}.fieldPath", field, supported)


def _unreadable(version: str, field: str, subscript: re.Match[str] | None) -> str:
    if version != "v1":
        return f"unsupported pod version: {version}"
    if subscript is not None:
        if subscript[1] in ("metadata.annotations", "metadata.labels"):
            return ""
        return f"field label does not support subscript: {field}"
    return "" if field in _KNOWN_FIELDS else f"field label not supported: {field}"


def resource_field_ref(ref: ResourceFieldSelector, path: str, *, volume: bool = False) -> Errors:
    """ValidateContainerResourceFieldSelector; in a volume the container must be named."""
    hugepages = ref.resource.startswith(("limits.hugepages-", "requests.hugepages-"))
    if volume and not ref.container_name:
        yield required(f"{path}.containerName")
    elif not ref.resource:
        yield required(f"{path}.resource")
    elif ref.resource not in _CONTAINER_RESOURCES and not hugepages:
        yield not_supported(f"{path}.resource", ref.resource, _CONTAINER_RESOURCES)
    yield from _divisor(ref, path)


def _divisor(ref: ResourceFieldSelector, path: str) -> Errors:
    rule = _DIVISORS.get(ref.resource.partition(".")[2])
    if rule is None or quantity.parse(ref.divisor).value == 0:
        return
    allowed, shown, name = rule
    if ref.divisor not in allowed:
        text = f"only divisor's values {shown} are supported with the {name} resource"
        yield invalid(f"{path}.divisor", ref.resource, text)


def env_from(sources: tuple[EnvFromSource, ...], path: str) -> Errors:
    """ValidateEnvFrom."""
    for index, source in enumerate(sources):
        where = f"{path}[{index}]"
        if source.prefix:
            yield from names.each(f"{where}.prefix", source.prefix, names.env_name(source.prefix))
        count = 0
        for field, ref in (
            ("configMapRef", source.config_map_ref),
            ("secretRef", source.secret_ref),
        ):
            if ref is not None:
                count += 1
                yield from _named(ref.name, f"{where}.{field}.name")
        if not count:
            yield invalid(path, "", "must specify one of: `configMapRef` or `secretRef`")
        elif count > 1:
            yield invalid(path, "", "may not have more than one field specified at a time")


def _named(name: str, path: str) -> Errors:
    if not name:
        yield required(path)
    else:
        yield from names.each(path, name, names.dns_subdomain(name))
