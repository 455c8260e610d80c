"""How far a pull is, from the lines that the engine sends meanwhile. Pure.

Called by `docker.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_DONE = ("Pull complete", "Already exists")
_UNIT = 1_000_000


class PullProgress:
    """The layers of one image by id: bytes here, bytes in all, and whether each is done."""

    def __init__(self) -> None:
        self._layers: dict[str, tuple[int, int]] = {}
        self._done: set[str] = set()

    def take(self, line: Mapping[str, Any]) -> None:
        """Note one line."""
        layer, status = line.get("id", ""), line.get("status", "")
        if not layer or status.startswith("Pulling from"):
            return
        here, whole = self._layers.get(layer, (0, 0))
        detail = line.get("progressDetail") or {}
        if status == "Downloading":
            here, whole = detail.get("current", here), detail.get("total", whole)
        elif status == "Download complete":
            here = whole
        elif status in _DONE:
            here = whole
            self._done.add(layer)
        self._layers[layer] = here, whole

    def text(self) -> str:
        """Return how far it is, for a reader."""
        here = sum(part for part, _ in self._layers.values()) / _UNIT
        whole = sum(size for _, size in self._layers.values()) / _UNIT
        layers = f"{len(self._done)} of {len(self._layers)} layers done"
        return f"{layers}, {here:.1f} of {whole:.1f} MB downloaded"
