"""Which kustomizations of a source are built, and what each declares. Pure but for the reading.

Called by `load` for a source that has a kustomization. One at the top of the source is the source.
Otherwise each folder with one is built, unless another refers to it, or it is a Component; and
files outside all such folders are plain manifests.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.desired.age import AgeKeys
from reconciler.desired.kustomize.build import build
from reconciler.desired.kustomize.file import Kustomization
from reconciler.desired.kustomize.resource import Bad, Place, Resource
from reconciler.desired.kustomize.tree import Tree, join
from reconciler.desired.limits import ReadLimits
from reconciler.desired.manifest import FileResult, ManifestReader
from reconciler.desired.objects import DesiredObject
from reconciler.desired.positions import Positions
from reconciler.desired.problem import Problem
from reconciler.desired.variables import Variables
from reconciler.desired.written import FileReader, Item, plain_text
from reconciler.desired.yaml import Document
from reconciler.source.files import is_kustomization
from reconciler.source.snapshot import FileRef, Snapshot


@dataclass(frozen=True, slots=True)
class Built:
    """What one kustomization declares, and the contents that this follows from, by path."""

    result: FileResult
    looked: Mapping[str, str]


class Builds:
    """Builds the kustomizations of one source; an unchanged one is not built again."""

    def __init__(
        self,
        namespace: str,
        limits: ReadLimits,
        keys: AgeKeys,
        variables: Variables | None = None,
    ) -> None:
        self._namespace = namespace
        self._limits = limits
        self._keys = keys
        self._reader = FileReader(limits, keys)
        self._variables = variables
        self._built: dict[str, Built] = {}

    def results(self, snapshot: Snapshot) -> tuple[list[FileResult], set[str]]:
        """Return what the snapshot's kustomizations declare, and the manifests left over.

        Raises `SourceError` when bytes cannot be had.
        """
        files = snapshot.tree or {}
        tree = Tree(files, snapshot.contents)
        folders = _folders(snapshot.files)
        tree.fetch(path for path in files if is_kustomization(path))
        present = {
            folder: self._result(folder, files, snapshot)
            for folder in self._roots(folders, snapshot.scope, tree)
        }
        self._built = present
        plain = {path for path in snapshot.files if not _inside(path, folders)}
        return [built.result for built in present.values()], plain

    def _result(self, folder: str, files: Mapping[str, FileRef], snapshot: Snapshot) -> Built:
        known = self._built.get(folder)
        if known is not None and all(
            _content(files, path) == content for path, content in known.looked.items()
        ):
            return known
        tree = Tree(files, snapshot.contents)
        result = self._build(folder, tree)
        return Built(result, {path: _content(files, path) for path in tree.looked})

    def _build(self, folder: str, tree: Tree) -> FileResult:
        unit = f"{folder}/" if folder else "/"
        try:
            resources = build(folder, tree, self._reader, self._limits)
        except Bad as bad:
            return FileResult(unit, (), (bad.problem,))
        declarer = _Declarer(tree, self._namespace, self._limits, self._keys, self._variables)
        objects = tuple(each for each in map(declarer.declare, resources) if each is not None)
        twins = _twins(objects)
        return FileResult(unit, objects, tuple(sorted((*declarer.problems(), *twins))))

    def _roots(self, folders: set[str], scope: str, tree: Tree) -> list[str]:
        if scope in folders:
            return [scope]
        referred: set[str] = set()
        components: set[str] = set()
        for folder in folders:
            paths = tree.kustomizations(folder)
            try:
                file = Kustomization(paths[0], tree.data(paths[0]), self._limits)
            except Bad:
                continue  # its own build says what is wrong
            if file.kind == "Component":
                components.add(folder)
            names = (entry.value for entry in file.entries("resources", "bases", "components"))
            referred |= {join(folder, name) for name in names}
        nested = {each for each in folders if each and _inside(each, folders)}
        roots = folders - referred - components - nested
        return sorted(roots)


def _folders(files: Iterable[str]) -> set[str]:
    return {posixpath.dirname(path) for path in files if is_kustomization(path)}


def _inside(path: str, folders: set[str]) -> bool:
    """Return whether `path` is in one of `folders` or below."""
    folder = posixpath.dirname(path)
    while folder not in folders:
        if not folder:
            return False
        folder = posixpath.dirname(folder)
    return True


def _content(files: Mapping[str, FileRef], path: str) -> str:
    ref = files.get(path)
    return f"{ref.content}{ref.refused}" if ref is not None else ""


def _twins(objects: Iterable[DesiredObject]) -> list[Problem]:
    """Return a problem for each object that another of the build is, once namespaces are known."""
    first: dict[object, DesiredObject] = {}
    return [
        Problem(each.path, each.line, each.column, "metadata.name",
                f"{each.key} is declared twice: first at {first[each.key].place}",
                "", str(each.key))
        for each in objects
        if first.setdefault(each.key, each) is not each
    ]  # fmt: skip


class _Declarer:
    """Admits the objects of a build; errors are placed in the files that they come from."""

    def __init__(
        self,
        tree: Tree,
        namespace: str,
        limits: ReadLimits,
        keys: AgeKeys,
        variables: Variables | None,
    ) -> None:
        self._variables = variables
        self._keys = keys
        self._tree = tree
        self._namespace = namespace
        self._limits = limits
        self._readers: dict[str, ManifestReader] = {}
        self._positions: dict[str, Positions] = {}
        self._problems: list[Problem] = []

    def problems(self) -> list[Problem]:
        """Return what is wrong with the objects declared so far."""
        return self._problems

    def declare(self, each: Resource) -> DesiredObject | None:
        """Return an object as the source declares it, `None` when it is refused."""
        reader = self._reader(each.place.path)
        place = each.place
        document = Document(place.document, each.value, place.line, place.column)
        item = Item(each.value, document, place.within, place.line, place.column)
        declared = reader.declare(item)
        found, reader.problems = reader.problems, []
        self._problems += [self._placed(problem, each) for problem in found]
        if declared is None or not each.patches:
            return declared
        return replace(declared, layers=tuple(each.patches))

    def _reader(self, path: str) -> ManifestReader:
        if path not in self._readers:
            data = self._text(path)
            self._readers[path] = ManifestReader(
                path, data, self._namespace, self._limits, self._keys, self._variables
            )
        return self._readers[path]

    def _text(self, path: str) -> bytes:
        return plain_text(path, self._tree.data(path), self._keys)

    def _placed(self, problem: Problem, each: Resource) -> Problem:
        """Return the problem at the last patch that sets its field, if one does."""
        within = each.place.within
        field = problem.field.removeprefix(f"{within}.") if within else problem.field
        for patch in reversed(each.patches):
            place = self._exact(patch, field)
            if place is not None:
                line, column = place
                return replace(problem, path=patch.path, line=line, column=column, field=field)
        return problem

    def _exact(self, patch: Place, field: str) -> tuple[int, int] | None:
        if not field or is_kustomization(patch.path):
            return None
        positions = self._positions.setdefault(patch.path, Positions(self._text(patch.path)))
        return positions.exact(patch.document, field)
