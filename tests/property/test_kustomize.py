"""Whatever a kustomization says, it is built or refused with a place; nothing else ever happens."""

import copy
import random

import pytest
import yaml

from reconciler.desired.age import AgeKeys
from reconciler.desired.kustomize.build import build
from reconciler.desired.kustomize.resource import Bad
from reconciler.desired.kustomize.tree import Tree
from reconciler.desired.limits import ReadLimits
from reconciler.desired.written import FileReader
from reconciler.source.snapshot import FileRef
from tests.unit.desired.kustomize.corpus import CASES, REFUSED

_VALUES = (None, True, 0, -1, 1.5, "", "x", "../..", "a\nb", "(", [], {}, [None], [[]], {"a": None},
           {"name": []}, [{"name": {}}], {"path": 1}, "- {op: add}", "\0", "é")  # fmt: skip
_ROUNDS = 15


class _Memory:
    def __init__(self, files):
        self._files = files

    def read(self, files):
        return (self._files[file.path].encode("utf-8", "surrogatepass") for file in files)


def _places(value, path=()):
    yield path
    if isinstance(value, dict):
        for key in value:
            yield from _places(value[key], (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from _places(each, (*path, index))


def _spoilt(value, source):
    """Return a copy of `value` with another value at some place."""
    result = copy.deepcopy(value)
    path = source.choice([path for path in _places(value) if path] or [()])
    if not path:
        return source.choice(_VALUES)
    inner = result
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = source.choice(_VALUES)
    return result


@pytest.mark.parametrize("name", [*CASES, *(f"refused {name}" for name in REFUSED)])
def test_a_spoilt_source_is_built_or_refused_with_a_place(name):
    case = CASES.get(name) or REFUSED[name.removeprefix("refused ")]
    source = random.Random(name)
    limits = ReadLimits()
    places = []
    for _ in range(_ROUNDS):
        files = dict(case.files)
        path = source.choice(sorted(files))
        try:
            documents = list(yaml.safe_load_all(files[path]))
        except yaml.YAMLError:
            continue  # what a generator takes in is no YAML
        if not documents:
            continue
        at = source.randrange(len(documents))
        documents[at] = _spoilt(documents[at], source)
        files[path] = yaml.safe_dump_all(documents)
        refs = {path: FileRef(path, path, len(text)) for path, text in files.items()}
        try:
            build(case.folder, Tree(refs, _Memory(files)), FileReader(limits, AgeKeys()), limits)
        except Bad as refused:
            places.append((refused.problem.path, refused.problem.line))
    assert all(path and line >= 1 for path, line in places)
