"""Every kustomization of the corpus yields what the real `kubectl kustomize` prints."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from reconciler.desired.age import AgeKeys
from reconciler.desired.kustomize.build import build
from reconciler.desired.kustomize.resource import Bad
from reconciler.desired.kustomize.tree import Tree
from reconciler.desired.limits import ReadLimits
from reconciler.desired.written import FileReader
from reconciler.source.snapshot import FileRef
from tests.unit.desired.kustomize import corpus, oddities
from tests.unit.desired.kustomize.oddities import UNREAD
from tests.unit.desired.kustomize.trees import Case

CASES = corpus.CASES | oddities.CASES
REFUSED = corpus.REFUSED | oddities.REFUSED

needs_kubectl = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl, the judge of what is right, is not installed"
)
_TEMPLATE = "spec/template/spec"
# kustomize has no rule for ConfigMaps and Secrets of a ReplicationController; we do (names.py).
TOLD = {
    "nameReference": [
        {
            "kind": kind,
            "version": "v1",
            "fieldSpecs": [
                {"path": f"{_TEMPLATE}/{path}", "kind": "ReplicationController"} for path in paths
            ],
        }
        for kind, paths in {
            "ConfigMap": (
                "volumes/configMap/name", "containers/env/valueFrom/configMapKeyRef/name",
                "containers/envFrom/configMapRef/name", "volumes/projected/sources/configMap/name",
            ),
            "Secret": (
                "volumes/secret/secretName", "containers/env/valueFrom/secretKeyRef/name",
                "containers/envFrom/secretRef/name", "imagePullSecrets/name",
                "volumes/projected/sources/secret/name",
            ),
        }.items()
    ]
}  # fmt: skip


class _Memory:
    def __init__(self, files):
        self._files = files

    def read(self, files):
        return (self._files[file.path].encode() for file in files)


def ours(case: Case):
    refs = {path: FileRef(path, path, len(text)) for path, text in case.files.items()}
    tree = Tree(refs, _Memory(case.files))
    limits = ReadLimits()
    return [each.value for each in build(case.folder, tree, FileReader(limits, AgeKeys()), limits)]


def kubectl(case: Case, root: Path):
    for path, text in case.files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(text.encode())
    return subprocess.run(
        ["kubectl", "kustomize", str(root / case.folder)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def told(case: Case) -> Case:
    """Return the case with the rule of ours told to kustomize, wherever names change."""
    files = dict(case.files)
    for path, text in case.files.items():
        if path.endswith("kustomization.yaml") and text:
            files[path] = f"{text}configurations: [rc-names.yaml]\n"
            files[path.replace("kustomization.yaml", "rc-names.yaml")] = json.dumps(TOLD)
    return Case(files, case.folder)


def by_name(objects):
    found = {}
    for each in objects:
        metadata = each["metadata"]
        if each["kind"] == "Secret" and "data" in each:
            each["data"] = {key: "".join(text.split()) for key, text in each["data"].items()}
        found[each["kind"], metadata.get("namespace", ""), metadata["name"]] = each
    assert len(found) == len(objects)
    return found


@needs_kubectl
@pytest.mark.parametrize("name", CASES)
def test_a_build_is_what_kubectl_prints(name, tmp_path):
    said = kubectl(told(CASES[name]), tmp_path)
    assert said.returncode == 0, said.stderr
    theirs = [each for each in yaml.safe_load_all(said.stdout) if each is not None]
    assert by_name(ours(CASES[name])) == by_name(theirs)


@needs_kubectl
@pytest.mark.parametrize("name", REFUSED)
def test_what_kubectl_refuses_is_refused_with_a_place(name, tmp_path):
    said = kubectl(REFUSED[name], tmp_path)
    assert said.returncode != 0, said.stdout
    with pytest.raises(Bad) as refused:
        ours(REFUSED[name])
    problem = refused.value.problem
    assert problem.path
    assert problem.line >= 1
    assert problem.message


@pytest.mark.parametrize("name", UNREAD)
def test_what_is_not_read_is_refused_by_its_name(name):
    case, words = UNREAD[name]
    with pytest.raises(Bad, match=words) as refused:
        ours(case)
    assert refused.value.problem.line >= 1


def test_the_corpus_has_at_least_forty_cases():
    assert len(CASES) >= 40
