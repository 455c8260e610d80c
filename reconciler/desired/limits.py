"""How much one manifest file may ask of the reader."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """Bounds on one file. Beyond one of them the file is refused, with a message that names it.

    `nodes` counts mappings, lists and scalars of one document, an alias as all that it stands for.
    """

    file_bytes: int = 16 * 1024 * 1024
    documents: int = 20_000
    depth: int = 64
    nodes: int = 4_000_000
    alias_nodes: int = 100_000
