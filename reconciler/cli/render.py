"""`reconciler render`: print the objects that a source yields. Called by `cli.main`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.text import Text

from reconciler.cli.place import Place, followed, objects_of
from reconciler.cli.reading import open_world
from reconciler.cli.validate import DONE, INVALID, print_problems
from reconciler.core.clock import SystemClock
from reconciler.desired.age import AgeKeys
from reconciler.desired.load import Loader
from reconciler.desired.objects import DesiredObject
from reconciler.desired.redact import redacted
from reconciler.model.gitops import SourceSpec
from reconciler.settings import Settings
from reconciler.source.offline import read_once
from reconciler.source.snapshot import SourceError


def run_render(settings: Settings, console: Console, path: Path, name: str = "") -> int:
    """Print the objects at `path` as YAML, secrets redacted; return 0, or 3 if one is invalid.

    With `name` as that source of the daemon yields them: in its namespace, with its variables.
    Raises `NoSource`, `NoStore`.
    """
    place = Place(SourceSpec(), settings.access)
    if name:
        with open_world(settings) as world:
            place = followed(objects_of(world), name, settings)
    try:
        loader = Loader(place.spec.home, keys=AgeKeys(settings.age_key_file))
        desired = loader.load(read_once([path], SystemClock()), place.variables)
    except SourceError as error:
        console.print(Text(error.message, style="red"))
        return INVALID
    if desired.problems:
        print_problems(desired, console)
        return INVALID
    for key in sorted(desired.objects):
        console.print(Text(_document(desired.objects[key])), end="", soft_wrap=True)
    return DONE


class _Dumper(yaml.CSafeDumper):
    """Writes every list and mapping out, also one that an alias shared."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's own signature
        """Never write an alias."""
        return True


def _document(declared: DesiredObject) -> str:
    text = yaml.dump(
        redacted(declared.manifest), Dumper=_Dumper, sort_keys=False, allow_unicode=True
    )
    return f"---\n# {declared.place}\n{text}"
