"""Files at a revision to declared objects, at the cost of what changed.

Called by `sync` and by the offline commands. It keeps the results of the last revision's files by
content hash: an unchanged file is neither read nor parsed again, wherever it moved.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace

from reconciler.core.derived import difference
from reconciler.core.gc import bulk_load
from reconciler.desired.age import SUFFIX, AgeKeys
from reconciler.desired.builds import Builds
from reconciler.desired.kept import KeptResults, Memory
from reconciler.desired.limits import ReadLimits
from reconciler.desired.manifest import FileResult, read_file
from reconciler.desired.objects import Desired, DesiredObject
from reconciler.desired.objecttree import ObjectTree
from reconciler.desired.problem import Problem
from reconciler.desired.variables import Variables
from reconciler.desired.written import plain_text
from reconciler.model.meta import ObjectKey
from reconciler.source.snapshot import FileRef, Snapshot, SourceError

_BULK = 500
_JSON = ".json"


class Loader:
    """Turns snapshots of one source into what they declare.

    `namespace` is for namespaced objects that name none; `memory` has what earlier runs read, by
    the same code with the same namespace; `keys` open what is encrypted.
    Not for two threads at once.
    """

    def __init__(
        self,
        namespace: str = "default",
        limits: ReadLimits | None = None,
        memory: Memory | None = None,
        keys: AgeKeys | None = None,
    ) -> None:
        self._keys = keys or AgeKeys()
        self._namespace = namespace
        self._limits = limits or ReadLimits()
        self._memory = memory
        self._start(None)

    def _start(self, variables: Variables | None) -> None:
        """Forget what was read; with variables nothing is kept for later runs (law 9)."""
        self._variables = variables
        self._kept = KeptResults(self._memory if variables is None else None)
        self._builds = Builds(self._namespace, self._limits, self._keys, variables)
        self._built: dict[str, FileResult] = {}
        self._snapshot: Snapshot | None = None
        self._files: Mapping[str, FileRef] = {}
        self._results: dict[str, FileResult] = {}
        self._by_content: dict[tuple[str, bool, bool], FileResult] = {}
        self._objects = ObjectTree({})
        self._duplicates: tuple[Problem, ...] = ()
        self._faulty: frozenset[str] = frozenset()
        self._sealed: frozenset[str] = frozenset()

    def load(self, snapshot: Snapshot, variables: Variables | None = None) -> Desired:
        """Return what the snapshot declares; blocking, long for a source seen first.

        With `variables` those in its objects are replaced; other ones, or other age keys, read the
        whole source again.
        Raises `SourceError` when bytes cannot be had; then the last state is still there.
        """
        if variables != self._variables or self._keys.renewed():
            self._start(variables)
        self._snapshot = snapshot
        if variables is not None and variables.missing:
            missing = [_missing(each) for each in variables.missing]
            return Desired(snapshot.revision, {}, tuple(missing))
        if snapshot.past:
            self._kept.reopen()
        built: list[FileResult] = []
        files = snapshot.files
        if snapshot.tree is not None:
            built, plain = self._builds.results(snapshot)
            files = {path: files[path] for path in files if path in plain}
        if files is not self._files:
            changed, gone = _differences(self._files, files)
            self._read_new(snapshot, changed)
            self._take_over(files, changed, gone)
        self._take_builds(built)
        problems = [each for path in self._faulty for each in self._results[path].problems]
        return Desired(
            snapshot.revision,
            self._objects,
            tuple(sorted((*problems, *self._duplicates))),
            _rendered(len(built), len(self._sealed)),
        )

    def text(self, revision: str, path: str) -> bytes:
        """Return a file of `revision`, decrypted when it is encrypted as a whole; blocking.

        Raises `SourceError` when its bytes cannot be had, or another revision was loaded last.
        """
        seen = self._snapshot if self._snapshot and self._snapshot.revision == revision else None
        ref = ((seen.tree or seen.files).get(path) or seen.files.get(path)) if seen else None
        if seen is None or ref is None:
            raise SourceError("FileMissing", f"{path} is not at hand at {revision[:12]}")
        return plain_text(path, next(seen.contents.read([ref])), self._keys)

    def _read_new(self, snapshot: Snapshot, changed: Iterable[FileRef]) -> None:
        """Parse the contents that were not seen yet."""
        contents = ((_cache_key(ref), ref) for ref in changed if not ref.refused)
        unseen = {key: ref for key, ref in contents if key not in self._by_content}
        with bulk_load() if len(unseen) >= _BULK else nullcontext():
            self._recall(unseen)
            refs = list(unseen.values())
            for ref, data in zip(refs, snapshot.contents.read(refs), strict=True):
                result = read_file(
                    ref.path, data, self._namespace, self._limits, self._keys, self._variables
                )
                key = _cache_key(ref)
                self._by_content[key] = result
                self._kept.note(_kept_key(key), data, result)
        used = (_kept_key(_cache_key(ref)) for ref in snapshot.files.values() if not ref.refused)
        self._kept.flush(used, len(snapshot.files))

    def _recall(self, unseen: dict[tuple[str, bool, bool], FileRef]) -> None:
        """Take what an earlier run read out of `unseen`."""
        for key, ref in list(unseen.items()):
            known = self._kept.recall(_kept_key(key), ref.path)
            if known is not None:
                self._by_content[key] = known
                del unseen[key]

    def _take_over(
        self, files: Mapping[str, FileRef], changed: list[FileRef], gone: list[str]
    ) -> None:
        """Make `files` the present state."""
        results = self._results
        touched = {*gone, *(ref.path for ref in changed)}
        left = [results[path] for path in touched if path in results]
        for path in gone:
            del results[path]
        for ref in changed:
            results[ref.path] = self._result(ref)
        came = [results[path] for path in sorted(touched) if path in results]
        objects = None if self._duplicates else _patched(self._objects, left, came)
        if objects is None:
            objects, self._duplicates = _joined(results)
        self._faulty = (self._faulty - touched) | {each.path for each in came if each.problems}
        self._sealed = (self._sealed - touched) | {each.path for each in came if each.sealed}
        self._files, self._objects = files, objects
        if len(self._by_content) > 2 * len(files) + _BULK:
            used = {_cache_key(ref) for ref in files.values()}
            self._by_content = {k: v for k, v in self._by_content.items() if k in used}

    def _take_builds(self, built: list[FileResult]) -> None:
        """Make the results of kustomizations the present ones; each stands as a file of its own."""
        present = {result.path: result for result in built}
        old = self._built
        touched = {p for p in old.keys() | present.keys() if old.get(p) is not present.get(p)}
        if not touched:
            return
        results = {path: each for path, each in self._results.items() if path not in touched}
        results |= {path: present[path] for path in touched if path in present}
        self._objects, self._duplicates = _joined(results)
        self._faulty = (self._faulty - touched) | {
            path for path in touched if path in present and present[path].problems
        }
        self._results, self._built = results, present

    def _result(self, ref: FileRef) -> FileResult:
        if ref.refused:
            return FileResult(ref.path, (), (Problem(ref.path, 1, 1, "", ref.refused),))
        return _at(self._by_content[_cache_key(ref)], ref.path)


def _missing(message: str) -> Problem:
    field, _, what = message.partition(": ")
    return Problem("", 0, 0, field, what)


def _rendered(built: int, opened: int) -> tuple[str, ...]:
    counted = ((built, "kustomization"), (opened, "encrypted file"))
    return tuple(f"{n} {what}{'s' if n != 1 else ''}" for n, what in counted if n)


def _differences(
    old: Mapping[str, FileRef], new: Mapping[str, FileRef]
) -> tuple[list[FileRef], list[str]]:
    """Return the files that are new or changed, and the paths that are gone."""
    touched = difference(new, old)
    changed = [new[path] for path in touched if path in new and new[path] != old.get(path)]
    return changed, [path for path in touched if path not in new and path in old]


def _cache_key(ref: FileRef) -> tuple[str, bool, bool]:
    path = ref.path.removesuffix(SUFFIX)
    return ref.content, path.endswith(_JSON), path != ref.path


def _kept_key(key: tuple[str, bool, bool]) -> str:
    content, is_json, is_sealed = key
    return f"{content}:{is_json}:{is_sealed}"


def _at(result: FileResult, path: str) -> FileResult:
    """Return the result of equal bytes in the file at `path`."""
    if result.path == path:
        return result
    return FileResult(
        path,
        tuple(each.at(path) for each in result.objects),
        tuple(replace(each, path=path) for each in result.problems),
        result.sealed,
    )


def _patched(
    objects: ObjectTree, left: Sequence[FileResult], came: Sequence[FileResult]
) -> ObjectTree | None:
    """Return `objects` with files replaced, or `None` when an object is declared twice."""
    free = {each.key for result in left for each in result.objects}
    patched = ObjectTree(objects, objects, [*free, *(o.key for each in came for o in each.objects)])
    for result in came:
        for each in result.objects:
            if each.key in patched and each.key not in free:
                return None
            free.discard(each.key)
            patched[each.key] = each
    for key in free:
        del patched[key]
    return patched


def _joined(
    results: Mapping[str, FileResult],
) -> tuple[ObjectTree, tuple[Problem, ...]]:
    """Return the objects of all files, and a problem at each place that declares one again."""
    objects: dict[ObjectKey, DesiredObject] = {}
    problems: list[Problem] = []
    for path in sorted(results):
        for each in results[path].objects:
            first = objects.setdefault(each.key, each)
            if first is not each:
                problems.append(_declared_twice(each, first))
    return ObjectTree(objects), tuple(problems)


def _declared_twice(again: DesiredObject, first: DesiredObject) -> Problem:
    return Problem(
        again.path,
        again.line,
        again.column,
        "metadata.name",
        f"{again.key} is declared twice: first at {first.place}",
        "keep one of the two, or give this one another name or namespace",
        str(again.key),
    )
