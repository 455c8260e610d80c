from __future__ import annotations

import asyncio
import json
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from reconciler.cli.explain import NotFound, asked_by, find, run_explain
from reconciler.cli.reading import open_world
from reconciler.model.gitops import Revision, RevisionSpec, RevisionStatus, RevisionStep
from reconciler.model.meta import ManagedFieldsEntry, ObjectMeta
from reconciler.model.pod import Pod
from reconciler.settings import Settings
from tests.unit.cli.test_reading_commands import WEB, daemon_wrote
from tests.unit.source.gitrepo import TestRepository
from tests.unit.sync.world import controller, pod, stored


def live(name, namespace="web", container="0123456789ab"):
    body = pod(name)
    body["metadata"] |= {"namespace": namespace, "uid": f"uid-{name}"}
    status = {"name": "app", "ready": True, "restartCount": 0, "image": "", "imageID": ""}
    status["containerID"] = f"docker://{container}"
    body["status"] = {"containerStatuses": [status]}
    return Pod.model_validate_json(json.dumps(body))


def test_a_pod_is_found_by_name_and_a_container_by_name_or_id():
    pods = [live("a"), live("b", container="fedcba987654")]
    assert find(pods, "a").pod.metadata.name == "a"
    assert find(pods, "web/b").container == ""
    assert find(pods, "fedcba").container == "app"
    assert find(pods, "k8s_app_a_web_uid-a_0").container == "app"
    assert find(pods, "k8s_POD_a_web_uid-a_0").container == ""


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("c", "no pod is named 'c'"),
        ("a", r"several namespaces \(other, web\)"),
        ("k8s_app_a_web_another_0", "is gone"),
    ],
)
def test_what_is_not_there_is_said(wanted, words):
    with pytest.raises(NotFound, match=words):
        find([live("a"), live("a", "other")], wanted)


def revision(sequence, planned, author):
    return Revision(
        metadata=ObjectMeta(name=f"main-{sequence}"),
        spec=RevisionSpec(source="main", revision="c" * 40, sequence=sequence, author=author),
        status=RevisionStatus(steps=(RevisionStep(phase="Planned", time=planned),)),
    )


def test_the_revision_that_last_changed_an_object_asked_for_it():
    obj = stored(controller("c"))
    entry = ManagedFieldsEntry(
        manager="reconciler:main", operation="Apply", time="2026-01-01T00:00:10Z"
    )
    obj = obj.replace(metadata=obj.metadata.replace(managed_fields=(entry,)))
    revisions = [
        revision(1, "2026-01-01T00:00:00Z", "A"),
        revision(2, "2026-01-01T00:00:09Z", "B"),
        revision(3, "2026-01-01T00:00:11Z", "C"),
    ]
    assert asked_by(obj, revisions).spec.author == "B"
    assert asked_by(obj, revisions[2:]) is None


def test_a_pod_that_a_source_declares_is_traced_to_its_line(tmp_path):
    tree = tmp_path / "tree"
    tree.mkdir()
    options = Settings(state_dir=tmp_path / "s", run_dir=tmp_path / "r", source=str(tree))
    followed = Revision(metadata=ObjectMeta(name="main-1"), spec=RevisionSpec(source="main"))
    asyncio.run(daemon_wrote(options, WEB, pod("p"), objects=(source(tree), followed)))
    (tree / "p.yaml").write_text("# first\n" + json.dumps(pod("p"), indent=1))
    Path(tree, "n.yaml").write_text(json.dumps(WEB))
    console = Console(file=StringIO(), width=200)
    assert run_explain(options, console, "p") == 0
    text = console.file.getvalue()
    assert "declared at p.yaml:2:1 in source main" in text
    assert "no longer remembered" in text
    with open_world(options) as world:
        (uid,) = [each.metadata.uid for each in world.all(Pod)]
    assert run_explain(options, console, f"k8s_app_p_web_{uid}_0") == 0
    assert "its image at p.yaml:13" in console.file.getvalue()


def test_the_line_is_the_one_of_the_commit_that_asked_for_it(tmp_path):
    """The newest commit may be a rejected one."""
    repository = TestRepository(tmp_path / "tree")
    written = json.dumps(pod("p"), indent=1)
    commit = repository.commit("good", p=f"# first\n{written}", n=json.dumps(WEB))
    repository.commit("bad", p=written.replace("image", "imago"))
    options = Settings(state_dir=tmp_path / "s", run_dir=tmp_path / "r")
    asked = revision(1, "2026-01-01T00:00:00Z", "A")
    asked = asked.replace(spec=asked.spec.replace(commit=commit))
    asyncio.run(daemon_wrote(options, WEB, pod("p"), objects=(source(tmp_path / "tree"), asked)))
    console = Console(file=StringIO(), width=200)
    assert run_explain(options, console, "p") == 0
    assert "declared at p.yaml:2:1 in source main" in console.file.getvalue()


def source(tree):
    from reconciler.model.gitops import Source, SourceSpec

    return Source(metadata=ObjectMeta(name="main"), spec=SourceSpec(path=str(tree)))
