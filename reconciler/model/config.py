"""Secrets and ConfigMaps. Secret data is base64 text, as it travels; it must not be logged."""

from __future__ import annotations

from typing import Literal

from reconciler.model.base import EMPTY, always
from reconciler.model.meta import KubeObject
from reconciler.model.scalar import Bytes


class Secret(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["Secret"] = always(lambda: "Secret")
    immutable: bool | None = None
    data: dict[str, Bytes] = EMPTY
    string_data: dict[str, str] = EMPTY
    type: str = ""


class ConfigMap(KubeObject):
    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["ConfigMap"] = always(lambda: "ConfigMap")
    immutable: bool | None = None
    data: dict[str, str] = EMPTY
    binary_data: dict[str, Bytes] = EMPTY
