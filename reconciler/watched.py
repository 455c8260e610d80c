"""The source that the settings name, with what earlier runs kept of it. Called by `app.py`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pydantic
import yaml

from reconciler.core.clock import Clock
from reconciler.core.kept import KeptFile, stamp_of_sources
from reconciler.settings import Settings
from reconciler.source.place import open_source
from reconciler.source.snapshot import Source


@dataclass(frozen=True, slots=True)
class Watched:
    """A source, and what earlier runs kept of it: the files read, the objects found clean."""

    source: Source
    declared: KeptFile | None = None
    clean: KeptFile | None = None


def open_watched(settings: Settings, clock: Clock) -> Watched | None:
    """Open the source that the settings name, if they name one."""
    if not settings.source:
        return None
    source = open_source(
        settings.source,
        clock=clock,
        state_dir=settings.state_dir,
        branch=settings.branch or "",
        sub_path=settings.path,
        interval=settings.interval,
        tag=settings.tag or "",
        commit=settings.commit or "",
        semver=settings.semver or "",
        access=settings.access,
    )
    return Watched(
        source,
        _kept_file(settings, "declared", "admission", "desired", "model"),
        _kept_file(settings, "clean", "admission", "desired", "model", "sync"),
    )


def _kept_file(settings: Settings, name: str, *rooms: str) -> KeptFile | None:
    """Return what earlier runs of the very code in `rooms` kept, where that can be told."""
    package = Path(__file__).parent
    folders = {room: package / room for room in rooms}
    stamp = stamp_of_sources(folders, sys.version, pydantic.VERSION, yaml.__version__)
    if not stamp:
        return None
    return KeptFile(settings.state_dir / "cache" / f"{settings.source_name}.{name}", stamp)
