"""Where a field is asked for: in plain files, Lists, Secrets, and layers of kustomizations."""

from __future__ import annotations

from functools import partial

import pytest

from reconciler.core.clock import SystemClock
from reconciler.desired.asked import Asked
from reconciler.desired.load import Loader
from reconciler.source.snapshot import Snapshot
from reconciler.source.tree import DirectoryTree

CONTROLLER = """\
apiVersion: v1
kind: ReplicationController
metadata:
  name: c
  labels: {team: a}
spec:
  replicas: 2
  selector: {app: c}
  template:
    metadata:
      labels: {app: c}
    spec:
      containers:
      - name: one
        image: nginx:1
      - name: two
        image: redis:1
        ports:
        - {name: http, containerPort: 80}
        - containerPort: 81
        volumeMounts:
        - {name: v, mountPath: /one}
        - name: v
          mountPath: /two
          readOnly: true
      volumes:
      - {name: v, emptyDir: {}}
"""
IMAGE = "spec.template.spec.containers[{}].image"


class Files:
    """The files of a directory, and what they declare."""

    def __init__(self, root):
        self.root = root

    def spots(self, **files):
        """Return a function from an object's name and a field to `file:line`."""
        for name, text in files.items():
            path = self.root / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        clock = SystemClock()
        tree = DirectoryTree(self.root, clock)
        tree.rescan()
        loader = Loader()
        snapshot = Snapshot("r", "", clock.now(), "", tree.files(), tree, tree=tree.tree())
        desired = loader.load(snapshot)
        assert desired.problems == ()
        asked = Asked(partial(loader.text, "r"))
        named = {key.name: each for key, each in desired.objects.items()}
        return lambda name, field, value=None: str(asked.spot(named[name], field, value))


@pytest.fixture
def files(tmp_path):
    return Files(tmp_path)


@pytest.mark.parametrize(
    ("field", "line"),
    [
        ("spec.replicas", 7),
        ("metadata.labels.team", 5),
        (IMAGE.format("two"), 17),
        ("spec.template.spec.containers[two].ports[http].containerPort", 19),
        ("spec.template.spec.containers[two].ports[81].protocol", 20),
        ("spec.template.spec.containers[two].volumeMounts[/two].readOnly", 25),
        ("spec.template.spec.dnsPolicy", 12),
        ("metadata.annotations[example.com/gone]", 3),
        ("ReplicationController default/c is new", 1),
    ],
)
def test_a_field_has_its_own_line_and_an_absent_one_that_of_what_is_around_it(files, field, line):
    assert files.spots(a_yaml=CONTROLLER)("c", field) == f"a.yaml:{line}"


def test_the_document_and_the_list_item_count(files):
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\ndata:\n  k.v: x\n"
    item = config.replace("m}", "inner}").replace("\n", "\n  ").strip()
    spot = files.spots(
        a_yaml=f"# first\n---\n{CONTROLLER}---\n{config}",
        b_yaml=f"apiVersion: v1\nkind: List\nitems:\n- {item}\n",
    )
    assert spot("c", "spec.replicas") == "a.yaml:9"
    assert spot("m", "data[k.v]") == "a.yaml:35"
    assert spot("inner", "data[k.v]") == "b.yaml:8"


def test_a_secret_may_be_written_as_text(files):
    text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData:\n  a: b\n  c: d\n"
    assert files.spots(a_yaml=text)("s", "data.c") == "a.yaml:6"


def test_what_a_kustomization_changes_is_asked_for_there(files):
    kustomization = """\
resources: [base.yaml]
commonAnnotations:
  note: x
images:
- name: nginx
  newTag: "2"
replicas:
- name: c
  count: 3
patches:
- path: patch.yaml
- patch: |-
    - op: replace
      path: /spec/template/spec/dnsPolicy
      value: Default
  target: {kind: ReplicationController}
configMapGenerator:
- name: g
  options: {disableNameSuffixHash: true}
  literals:
  - one=1
  - two=2
"""
    patch = """\
apiVersion: v1
kind: ReplicationController
metadata: {name: c}
spec:
  template:
    spec:
      hostname: h
      containers:
      - name: two
        workingDir: /w
"""
    base = CONTROLLER.replace("    spec:\n", "    spec:\n      dnsPolicy: ClusterFirst\n")
    spot = files.spots(kustomization_yaml=kustomization, patch_yaml=patch, base_yaml=base)
    spec = "spec.template.spec"
    assert spot("c", IMAGE.format("one"), "nginx:2") == "kustomization.yaml:5"
    assert spot("c", IMAGE.format("two"), "redis:1") == "base.yaml:18"
    assert spot("c", "spec.replicas", 3) == "kustomization.yaml:8"
    assert spot("c", f"{spec}.dnsPolicy") == "kustomization.yaml:14"
    assert spot("c", f"{spec}.hostname") == "patch.yaml:7"
    assert spot("c", f"{spec}.containers[two].workingDir") == "patch.yaml:10"
    assert spot("c", "metadata.annotations.note") == "kustomization.yaml:3"
    assert spot("c", "metadata.labels.team") == "base.yaml:5"
    assert spot("g", "data.two") == "kustomization.yaml:22"
