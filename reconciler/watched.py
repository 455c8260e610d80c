"""The place that a source names, with what earlier runs kept of it. Called by `following.py`."""

from __future__ import annotations

import os
import re
import shutil
import sys
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from uuid import uuid4

import pydantic
import yaml

from reconciler.core.clock import Clock
from reconciler.core.kept import KeptFile, stamp_of_sources
from reconciler.model.gitops import SourceSpec
from reconciler.settings import Settings
from reconciler.source.access import Access
from reconciler.source.address import AddressError
from reconciler.source.mirror import mirror_name
from reconciler.source.place import Opening, open_source
from reconciler.source.snapshot import Source
from reconciler.source.still import refused

_MODULES = ".modules"
_HASHED = re.compile(r"[0-9a-f]{16}(?:\.modules)?")
_GONE = ".gone-"


@dataclass(frozen=True, slots=True)
class Watched:
    """A source, and what earlier runs kept of it: the files read, the objects found clean."""

    source: Source
    declared: KeptFile | None = None
    clean: KeptFile | None = None


def open_watched(
    settings: Settings,
    name: str,
    spec: SourceSpec,
    access: Access,
    clock: Clock,
    executor: Executor,
    last_revision: str = "",
) -> Watched:
    """Open the place that the source `name` follows; one whose address is refused says why.

    A history that does not build on `last_revision` was rewritten while nobody looked.
    """
    _forget_former(settings.state_dir, name, spec.location, executor)
    try:
        source = open_source(
            spec,
            Opening(
                clock,
                settings.state_dir,
                settings.interval,
                access,
                name=name,
                last_revision=last_revision,
                executor=executor,
                past=KeptFile(settings.state_dir / "cache" / f"{name}.past", "files 1"),
            ),
        )
    except AddressError as error:
        source = refused(str(error), clock)
    return Watched(
        source,
        _kept_file(settings, f"{name}.declared", spec.home, "admission", "desired", "model"),
        _kept_file(settings, f"{name}.clean", "", "admission", "desired", "model", "sync"),
    )


def forget(state_dir: Path, name: str) -> None:
    """Remove the mirrors and what else was kept of a source that is gone."""
    for each in (state_dir / "cache").glob(f"{name}.*"):
        each.unlink(missing_ok=True)
    for each in _mirrors(state_dir, f"{name}-"):
        shutil.rmtree(each, ignore_errors=True)


def forget_unused(state_dir: Path, executor: Executor) -> None:
    """Remove the mirrors that nobody reads any more: once, before a source is opened.

    Those are mirrors that earlier versions named by their address alone, and what `_forget_former`
    did not get done.
    """
    for each in (*_mirrors(state_dir, ""), *(state_dir / "git").glob(f"{_GONE}*")):
        _remove(each, executor)


def _forget_former(state_dir: Path, name: str, location: str, executor: Executor) -> None:
    """Remove the mirrors of other places that the source followed before."""
    present = mirror_name(name, location)
    for each in _mirrors(state_dir, f"{name}-"):
        if each.name.removesuffix(_MODULES) != present:
            _remove(each, executor)


def _mirrors(state_dir: Path, prefix: str) -> list[Path]:
    """Return our mirrors whose names are `prefix` and the hash of an address."""
    folder = state_dir / "git"
    names = os.listdir(folder) if folder.is_dir() else []  # noqa: PTH208 - names alone, of thousands
    found = [
        folder / name
        for name in names
        if name.startswith(prefix) and _HASHED.fullmatch(name, len(prefix))
    ]
    return [each for each in found if each.is_dir() and not each.is_symlink()]


def _remove(mirror: Path, executor: Executor) -> None:
    """Put a mirror aside, so that nobody meets it half gone, and remove it on a thread."""
    gone = mirror
    if not mirror.name.startswith(_GONE):
        gone = mirror.with_name(f"{_GONE}{uuid4().hex}")
        try:
            mirror.rename(gone)
        except OSError:
            return  # it costs some room, no more; the next start tries again
    executor.submit(shutil.rmtree, gone, ignore_errors=True)


def _kept_file(settings: Settings, name: str, home: str, *rooms: str) -> KeptFile | None:
    """Return what earlier runs of the very code in `rooms` kept, where that can be told.

    It is worth nothing once the source lives in another namespace than `home`.
    """
    stamp = _stamp(rooms)
    return KeptFile(settings.state_dir / "cache" / name, f"{stamp} {home}") if stamp else None


@cache
def _stamp(rooms: tuple[str, ...]) -> str:
    package = Path(__file__).parent
    folders = {room: package / room for room in rooms}
    return stamp_of_sources(folders, sys.version, pydantic.VERSION, yaml.__version__)
