"""The `List` wrapper of manifests: several objects in one document."""

from __future__ import annotations

from typing import Any, Literal

from reconciler.model.base import Model, always
from reconciler.model.meta import ListMeta


class List(Model):
    """Items of any kind, not decoded: `desired` takes each through admission by itself."""

    api_version: Literal["v1"] = always(lambda: "v1")
    kind: Literal["List"] = always(lambda: "List")
    metadata: ListMeta = always(ListMeta)
    items: tuple[dict[str, Any], ...] = always(tuple)
