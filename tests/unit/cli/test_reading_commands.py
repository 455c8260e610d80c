from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from reconciler.apiserver.registry.registry import Registry
from reconciler.cli import sync as sync_command
from reconciler.cli.history import run_history
from reconciler.cli.place import Unreadable
from reconciler.cli.plan import NoSource, run_plan
from reconciler.cli.reading import NoStore, open_world
from reconciler.cli.status import ailing, run_status, workloads
from reconciler.client.local import LocalClient
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.gitops import (
    Revision,
    RevisionError,
    RevisionSpec,
    RevisionStatus,
    RevisionStep,
    Source,
    SourceSpec,
    SourceStatus,
)
from reconciler.model.meta import ObjectKey, ObjectMeta
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.replication import ReplicationController
from reconciler.model.retirement import REMOVE_AT, UNDELETED
from reconciler.model.storage import PersistentVolume
from reconciler.settings import Settings
from reconciler.store.sqlite import open_store
from reconciler.sync.identity import manager_of
from reconciler.sync.manifest import applied_manifest
from tests.unit.source.gitrepo import TestRepository
from tests.unit.sync.test_plan import annotated
from tests.unit.sync.world import WEB, controller, desired, manifest, settings, stored


@pytest.fixture
def console():
    return Console(file=StringIO(), width=200, force_terminal=False)


def printed(console: Console) -> str:

    return console.file.getvalue()


@pytest.fixture
def options(tmp_path) -> Settings:
    tree = tmp_path / "tree"
    tree.mkdir()
    return Settings(state_dir=tmp_path / "state", run_dir=tmp_path / "run", source=str(tree))


def declare(options: Settings, *manifests) -> None:
    for number, each in enumerate(manifests):
        text = each if isinstance(each, str) else json.dumps(each)
        Path(options.source, f"{number}.yaml").write_text(text)


async def daemon_wrote(options: Settings, *manifests, objects=(), claims=()) -> None:
    """Write a store as a daemon that followed `manifests` leaves it."""
    options.state_dir.mkdir(exist_ok=True)
    store = await open_store(options.store_path)
    registry = Registry(store, SystemClock(), Ids())
    await registry.start()
    client = LocalClient(registry)
    for key, declared in desired(*manifests).items():
        applied = applied_manifest(declared.manifest, "main", key)
        await client.apply(applied, manager=manager_of("main"), force=True)
    for obj in objects:
        await client.create(obj.replace(status=type(obj.status)()))
        live = await client.get(type(obj), obj.metadata.name)
        live = await client.update(live.replace(status=obj.status), subresource="status")
        if isinstance(live, Node):  # one that is ready has no taint of a new one any more
            await client.update(live.replace(spec=obj.spec))
    for obj in claims:
        live = await client.create(obj.replace(status=type(obj.status)()))
        await client.update(live.replace(status=obj.status), subresource="status")
    await store.close()


def test_a_plan_shows_what_an_edit_would_do_before_it_is_committed(options, console):
    repository = TestRepository(Path(options.source))
    declare(options, WEB)
    repository.commit("The namespace")
    declare(options, WEB, controller("c", 3))
    assert run_plan(options, console) == 2
    assert "ReplicationController" not in printed(console)
    assert run_plan(options, console, uncommitted=True) == 2
    assert "+ create  ReplicationController web/c  1.yaml:1" in printed(console)


def test_what_is_far_away_has_no_uncommitted_files(options, console):
    far = options.model_copy(update={"source": "https://example.com/r.git"})
    with pytest.raises(Unreadable, match="only a folder on this host"):
        run_plan(far, console, uncommitted=True)


def test_a_plan_without_a_store_creates_everything(options, console):
    declare(options, WEB, controller("c", 3))
    assert run_plan(options, console) == 2
    text = printed(console)
    assert "+ create  Namespace web  0.yaml:1" in text
    assert "+ start   web/c-* x3 [app]  ReplicationController web/c is new" in text
    assert "2 to create, 0 to change, 0 to remove, 0 unchanged" in text


def test_a_plan_of_what_runs_is_empty(options, console):
    asyncio.run(daemon_wrote(options, WEB, settings("m", a="1"), controller("c", 3)))
    declare(options, WEB, settings("m", a="1"), controller("c", 3))
    assert run_plan(options, console) == 0
    assert "0 to create, 0 to change, 0 to remove, 3 unchanged" in printed(console)


def test_a_plan_names_fields_and_pods(options, console):
    asyncio.run(daemon_wrote(options, WEB, settings("gone"), controller("c", 3)))
    declare(options, WEB, controller("c", 5))
    assert run_plan(options, console) == 2
    text = printed(console)
    assert "spec.replicas: 3 → 5" in text
    assert "+ start   web/c-* x2 [app]  spec.replicas" in text
    assert "- retire  ConfigMap web/gone  no longer declared; rests, is removed at 2" in text


def test_a_plan_as_json_is_one_document(options, console):
    declare(options, WEB)
    assert run_plan(options, console, output="json") == 2
    document = json.loads(printed(console))
    assert [(each["action"], each["kind"]) for each in document["actions"]] == [
        ("create", "Namespace")
    ]


TEMPLATE = """
apiVersion: v1
kind: ReplicationController
metadata: {name: c, namespace: web}
spec:
  replicas: 5
  selector: {app: c}
  template:
    metadata: {labels: {app: c}}
    spec:
      containers:
      - name: app
        image: app:2
"""


def test_each_field_of_a_plan_has_the_line_that_asks_for_it(options, console):
    live = Pod.model_validate_json(json.dumps(manifest("Pod", "one", "web", spec={
        "containers": [{"name": "app", "image": "app:1"}],
    })))  # fmt: skip
    asyncio.run(daemon_wrote(options, WEB, controller("c", 3, "app:1"), live.to_dict()))
    single = TEMPLATE.replace("---", "")
    one = "---\napiVersion: v1\nkind: Pod\nmetadata: {name: one, namespace: web}\nspec:\n"
    declare(options, WEB, single + one + "  containers:\n  - name: app\n    image: app:2\n")
    assert run_plan(options, console, output="json") == 2
    document = json.loads(printed(console))
    found = {
        (action["name"], each["path"]): (each["file"], each["line"])
        for action in document["actions"]
        for each in action["fields"]
    }
    assert found["c", "spec.replicas"] == ("1.yaml", 6)
    assert found["c", "spec.template.spec.containers[app].image"] == ("1.yaml", 13)
    assert found["one", "spec.containers[app].image"] == ("1.yaml", 21)
    pods = {(each["fate"], each["pod"]): (each["cause"], each["line"]) for each in document["pods"]}
    assert pods["start", "c-*"] == ("spec.replicas", 6)
    assert pods["in-place", "one"] == ("spec.containers[app].image", 21)
    assert run_plan(options, console) == 2
    assert (
        "~ in-place web/one [app]  spec.containers[app].image (with a gap)  1.yaml:21"
        in printed(console)
    )


def test_what_cannot_be_planned_is_told_with_the_line_of_the_field(options, console):
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "2Gi"}}}
    asyncio.run(
        daemon_wrote(options, manifest("PersistentVolumeClaim", "d", "default", spec=claim))
    )
    text = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: d}\nspec:\n"
    more = "  accessModes: [ReadWriteOnce]\n  resources:\n    requests:\n      storage: 1Gi\n"
    declare(options, text + more)
    assert run_plan(options, console) == 3
    assert "0.yaml:8: PersistentVolumeClaim default/d: spec.resources" in printed(console)


def node(pods: str) -> Node:
    room = {"cpu": "4", "memory": "8Gi", "pods": pods}
    body = {"metadata": {"name": "n"}, "status": {"allocatable": room, "capacity": room}}
    body["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    return Node.model_validate_json(json.dumps(body))


def test_a_plan_names_the_images_that_a_node_lacks(options, console):
    there = node("10").to_dict()
    there["status"]["images"] = [{"names": ["app:1", "docker.io/library/app@sha256:0"]}]
    has = Node.model_validate_json(json.dumps(there))
    asyncio.run(daemon_wrote(options, WEB, objects=[has]))
    never = {"name": "n", "image": "app:3", "imagePullPolicy": "Never"}
    lone = manifest("Pod", "p", "web", spec={"containers": [never]})
    declare(options, WEB, controller("a", 1, "app:1"), controller("b", 1, "docker.io/app:2"), lone)
    assert run_plan(options, console) == 2
    told = [line for line in printed(console).splitlines() if " pull " in line]
    assert told == [
        "! pull    app:3  is never pulled to node n",
        "+ pull    docker.io/app:2  to node n",
    ]


def docker_volume(name: str) -> PersistentVolume:
    source = {"driver": "docker.reconciler.dev", "volumeHandle": name}
    spec = {"csi": source, "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    body = {**spec, "persistentVolumeReclaimPolicy": "Delete"}
    return PersistentVolume.model_validate_json(
        json.dumps({"metadata": {"name": name}, "spec": body})
    )


def test_a_plan_warns_of_what_does_not_fit_and_what_would_be_lost(options, console):
    bound = {"metadata": {"name": "data"}, "status": {"phase": "Bound"}}
    claim = manifest("PersistentVolumeClaim", "data", "default", spec={
        "accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}},
        "volumeName": "pvc-1",
    })  # fmt: skip
    live = PersistentVolumeClaim.model_validate_json(json.dumps({**claim, **bound}))
    signed = applied_manifest({}, "main", ObjectKey("PersistentVolumeClaim", "default", "data"))
    notes = signed["metadata"]["annotations"]
    live = live.replace(metadata=live.metadata.replace(annotations=notes, namespace="default"))
    objects = (node("2"), docker_volume("pvc-1"))
    asyncio.run(daemon_wrote(options, WEB, objects=objects, claims=(live,)))
    declare(options, WEB, controller("c", 3))
    assert run_plan(options, console) == 2
    text = printed(console)
    assert "- wipe    volume pvc-1 of claim default/data" in text
    assert "does not fit: web/c-*: 0/1 nodes are available: 1 Too many pods." in text
    assert "waits for approval: PersistentVolumeClaim default/data would be deleted" in text


def test_an_invalid_tree_is_told_with_its_place(options, console):
    declare(options, "apiVersion: v1\nkind: Nonsense\nmetadata: {name: x}\n")
    assert run_plan(options, console) == 3
    assert "0.yaml:2" in printed(console)


def test_a_tree_that_does_not_fit_what_is_live_is_invalid(options, console):
    declare(options, settings("m"))
    assert run_plan(options, console) == 3
    assert 'namespaces "web" not found' in printed(console)


@pytest.mark.parametrize("tree", [{"kind": "Nonsense", "apiVersion": "v1"}, settings("m")])
def test_what_is_invalid_is_json_for_programs(options, console, tree):
    declare(options, json.dumps(tree))
    assert run_plan(options, console, output="json") == 3
    (error,) = json.loads(printed(console))["errors"]
    assert (error["file"], error["line"]) == ("0.yaml", 1)
    assert error["message"]


def test_without_a_source_a_plan_asks_for_one(tmp_path, console):
    with pytest.raises(NoSource, match="--source"):
        run_plan(Settings(state_dir=tmp_path / "none", run_dir=tmp_path), console)


def revision(number=1, phase="Healthy", **status):
    steps = (
        RevisionStep(phase="Fetched"),
        RevisionStep(phase="Planned", duration_seconds=0.25),
    )
    return Revision(
        metadata=ObjectMeta(name=f"main-{number}"),
        spec=RevisionSpec(
            source="main",
            revision="c" * 40,
            author="A",
            message="Scale up\n\nbody",
            sequence=number,
            time="2026-01-01T00:00:00Z",
        ),
        status=RevisionStatus(phase=phase, steps=steps, **status),
    )


def source(phase="Healthy", **status):
    return Source(
        metadata=ObjectMeta(name="main"),
        spec=SourceSpec(url="/srv/repo", branch="trunk"),
        status=SourceStatus(phase=phase, applied_revision="c" * 40, **status),
    )


def test_history_tells_each_revision_newest_first(options, console):
    asyncio.run(daemon_wrote(options, objects=(revision(1), revision(2, "Rejected"))))
    assert run_history(options, console) == 0
    assert printed(console).splitlines() == [
        "main #2 cccccccccccc  Rejected  2026-01-01T00:00:00Z  A",
        "    Scale up",
        "    Planned 0.25s",
        "main #1 cccccccccccc  Healthy  2026-01-01T00:00:00Z  A",
        "    Scale up",
        "    Planned 0.25s",
    ]


def test_status_shows_the_source_its_revision_and_each_workload(options, console):
    error = RevisionError(file="a.yaml", line=3, column=5, field="spec.x", message="unknown field")
    failed = revision(2, "Rejected", errors=(error,))
    asyncio.run(
        daemon_wrote(options, WEB, controller("c", 3), objects=(source("Rejected"), failed))
    )
    assert run_status(options, console) == 0
    text = printed(console)
    assert "source main  /srv/repo trunk  Rejected" in text
    assert "a.yaml:3:5: spec.x: unknown field" in text
    assert "ReplicationController/c" in text
    assert "0/3" in text


def test_status_without_a_store_says_so(tmp_path, console):
    with pytest.raises(NoStore, match="no daemon has run"):
        run_status(Settings(state_dir=tmp_path, run_dir=tmp_path), console)


def test_workloads_name_why_each_pod_is_not_ready():
    rc = stored(controller("c", 2))
    assert isinstance(rc, ReplicationController)
    owner = {"kind": "ReplicationController", "name": "c", "uid": rc.metadata.uid}
    pod = Pod.model_validate(
        {
            "metadata": {
                "name": "c-1",
                "namespace": "web",
                "ownerReferences": ({"apiVersion": "v1", "controller": True, **owner},),
            },
            "status": {
                "conditions": (
                    {"type": "PodScheduled", "status": "False", "reason": "Unschedulable"},
                )
            },
        }
    )
    (line,) = workloads([rc], [pod])
    assert (line.ready, line.wanted) == (0, 2)
    assert "c-1: Unschedulable" in line.reasons


def test_a_sync_is_over_when_the_source_says_so(options):
    asked = datetime(2026, 1, 1, 12, tzinfo=UTC)
    done = source("Healthy", last_sync_time="2026-01-01T12:00:00Z")
    asyncio.run(daemon_wrote(options, objects=(done,)))
    with open_world(options) as world:
        found = sync_command.wait_for_sync(world, "main", asked, seconds=1e9, news=0)
        assert found is not None
        assert found.status.phase == "Healthy"
        assert sync_command.wait_for_sync(world, "other", asked, seconds=0.1) is None


def test_the_daemon_is_found_by_the_name_it_owns():
    from reconciler import app

    assert app.OWNERSHIP == sync_command.OWNERSHIP


def test_declared_objects_that_are_ill_or_rest_are_listed_too():
    failed = stored(manifest("PersistentVolume", "v", spec={"capacity": {"storage": "1Gi"}}))
    failed = failed.replace(status=failed.status.replace(phase="Failed", message="no plugin"))
    resting = annotated(stored(settings("m")), **{REMOVE_AT: "2026-01-01T00:00:00Z"})
    back = annotated(stored(settings("z")), **{UNDELETED: "2026-01-01T00:00:00Z"})
    fine = stored(settings("fine"))
    lines = ailing([failed, resting, back, fine, stored(settings("x"), source="")])
    assert [(str(line.key), line.state) for line in lines] == [
        ("PersistentVolume v", "Failed"),
        ("ConfigMap web/m", "Retired"),
        ("ConfigMap web/z", "Kept"),
    ]
    assert "no source declares it" in lines[2].reasons[0]
    workload = annotated(stored(controller("c")), **{UNDELETED: "2026-01-01T00:00:00Z"})
    assert workloads([workload], [])[0].reasons[0] == lines[2].reasons[0]
    assert lines[0].reasons == ("no plugin",)
    assert "undelete" in lines[1].reasons[0]
    assert ailing([failed], "other") == []
