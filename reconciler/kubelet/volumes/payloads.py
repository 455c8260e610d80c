"""What secret, configMap, downwardAPI and projected volumes hold. Pure, but for its one reader.

Follows MakePayload of Kubernetes' secret and configmap plugins and CollectData of its downwardapi
plugin, words included. `Reader` gets the objects; nothing is written here.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Protocol, TypeVar

from reconciler.client.protocol import Client, NotFound
from reconciler.kubelet.env import ConfigError, Surroundings, field_value, resource_value
from reconciler.kubelet.volumes.atomic import File
from reconciler.kubelet.volumes.protocol import VolumeError
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod
from reconciler.model.volume import DownwardAPIVolumeFile, KeyToPath

K = TypeVar("K", bound=KubeObject)

DEFAULT_MODE = 0o644
_METADATA_MAPS = ("metadata.labels", "metadata.annotations")
_ESCAPES = {
    "\\": "\\\\", '"': '\\"', "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r",
    "\t": "\\t", "\v": "\\v",
}  # fmt: skip


class Keyed(Protocol):
    """A source that shows keys of an object: a volume's or a projection's."""

    @property
    def items(self) -> tuple[KeyToPath, ...]: ...  # noqa: D102

    @property
    def optional(self) -> bool | None: ...  # noqa: D102


class Reader:
    """Gets the objects that volumes are made of, and makes files of them."""

    def __init__(self, client: Client, allocatable: Mapping[str, str]) -> None:
        self._client, self._allocatable = client, allocatable

    async def secret(self, pod: Pod, name: str, source: Keyed, mode: int) -> dict[str, File]:
        """Return the files of a Secret. Raises `VolumeError`."""
        found = await self._get(Secret, "secret", pod, name, source)
        data = {key: base64.b64decode(value) for key, value in found.data.items()} if found else {}
        return _files(data, source, mode, "secret")

    async def config_map(self, pod: Pod, name: str, source: Keyed, mode: int) -> dict[str, File]:
        """Return the files of a ConfigMap. Raises `VolumeError`."""
        found = await self._get(ConfigMap, "configmap", pod, name, source)
        data: dict[str, bytes] = {}
        if found is not None:
            data.update((key, value.encode()) for key, value in found.data.items())
            binary = found.binary_data.items()
            data.update((key, base64.b64decode(value)) for key, value in binary)
        return _files(data, source, mode, "config")

    async def _get(self, kind: type[K], word: str, pod: Pod, name: str, source: Keyed) -> K | None:
        try:
            return await self._client.get(kind, name, pod.metadata.namespace)
        except NotFound as error:
            if source.optional:
                return None
            raise VolumeError(f'{word} "{name}" not found') from error

    def downward(
        self, pod: Pod, items: Iterable[DownwardAPIVolumeFile], mode: int
    ) -> dict[str, File]:
        """Return the files of a downwardAPI volume. Raises `VolumeError`."""
        return {
            item.path: File(
                self._value(pod, item).encode(), mode if item.mode is None else item.mode
            )
            for item in items
        }

    def _value(self, pod: Pod, item: DownwardAPIVolumeFile) -> str:
        if item.field_ref is not None:
            path = item.field_ref.field_path
            if path in _METADATA_MAPS:
                values = getattr(pod.metadata, path.removeprefix("metadata."))
                return "\n".join(f"{key}={_quoted(values[key])}" for key in sorted(values))
            try:
                return field_value(pod, path, Surroundings())
            except ConfigError as error:
                raise VolumeError(str(error)) from error
        selector = item.resource_field_ref
        containers = (*pod.spec.init_containers, *pod.spec.containers)
        named = (c for c in containers if selector and c.name == selector.container_name)
        container = next(named, None)
        if selector is None or container is None:
            raise VolumeError(f"{item.path}: its container does not exist")
        return resource_value(container, selector, self._allocatable)


def _files(data: Mapping[str, bytes], source: Keyed, mode: int, word: str) -> dict[str, File]:
    if not source.items:
        return {key: File(content, mode) for key, content in data.items()}
    found: dict[str, File] = {}
    for item in source.items:
        if item.key in data:
            found[item.path] = File(data[item.key], mode if item.mode is None else item.mode)
        elif not source.optional:
            raise VolumeError(f"references non-existent {word} key: {item.key}")
    return found


def _quoted(text: str) -> str:
    """Quote as Go's %q does."""
    return '"' + "".join(_ESCAPES.get(each) or _shown(each) for each in text) + '"'


def _shown(each: str) -> str:
    number = ord(each)
    if each.isprintable():
        return each
    if number < 0x80:  # noqa: PLR2004 - where ASCII ends
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 1 << 16 else f"\\U{number:08x}"
