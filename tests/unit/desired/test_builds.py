"""Sources with kustomizations: which are built, what follows a change, where errors are placed."""

import subprocess
from contextlib import aclosing

import pytest

from reconciler.core.clock import SystemClock
from reconciler.desired.load import Loader
from reconciler.model.gitops import SourceSpec
from reconciler.source.offline import read_once
from reconciler.source.place import Opening, open_source
from reconciler.source.snapshot import Snapshot
from reconciler.source.tree import DirectoryTree
from tests.unit.desired.kustomize.trees import CONFIG, NAMESPACE
from tests.unit.source.gitrepo import TestRepository


def config(name, **data):
    lines = "".join(f"  {key}: {value!r}\n" for key, value in data.items())
    return f"apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\ndata:\n{lines}"


class Place:
    """A directory and a loader that follows it."""

    def __init__(self, root, scope=""):
        self.root, self.scope = root, scope
        self.loader = Loader()

    def write(self, **files):
        for name, text in files.items():
            path = self.root / name.replace("__", "/").replace("_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def load(self):
        tree = DirectoryTree(self.root, SystemClock(), scope=self.scope)
        tree.rescan()
        files, clock = tree.files(), SystemClock()
        return self.loader.load(
            Snapshot("r", "", clock.now(), "", files, tree, tree=tree.tree(), scope=self.scope)
        )

    def names(self):
        desired = self.load()
        assert desired.problems == ()
        return sorted(f"{key.namespace}/{key.name}" for key in desired.objects)


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_a_kustomization_at_the_top_is_the_whole_source(place):
    place.write(
        kustomization_yaml="resources: [a.yaml]\nnamePrefix: p-\n", a_yaml=config("a", k="v"),
        other_yaml=config("other", k="v"),
    )  # fmt: skip
    assert place.names() == ["default/p-a"]


def test_folders_with_one_are_built_and_the_rest_is_plain(place):
    place.write(
        plain_yaml=config("plain", k="v"),
        one__kustomization_yaml="resources: [a.yaml]\nnameSuffix: -one\n",
        one__a_yaml=config("a", k="v"),
        two__kustomization_yml="resources: [a.yaml]\nnameSuffix: -two\n",
        two__a_yaml=config("a", k="v"),
    )
    assert place.names() == ["default/a-one", "default/a-two", "default/plain"]


def test_what_another_refers_to_and_components_are_not_built_alone(place):
    place.write(
        base__kustomization_yaml="resources: [a.yaml]\n", base__a_yaml=config("a", k="v"),
        comp__kustomization_yaml="apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
        "commonAnnotations: {by: comp}\n",
        prod__kustomization_yaml="resources: [../base]\ncomponents: [../comp]\nnamePrefix: prod-\n",
        dev__kustomization_yaml="resources: [../base]\nnamePrefix: dev-\n",
    )  # fmt: skip
    assert place.names() == ["default/dev-a", "default/prod-a"]


def test_a_scope_reaches_a_base_outside_of_it(tmp_path):
    place = Place(tmp_path, "prod")
    place.write(
        base__kustomization_yaml="resources: [a.yaml]\n", base__a_yaml=config("a", k="v"),
        prod__kustomization_yaml="resources: [../base]\nnamePrefix: prod-\n",
        dev__kustomization_yaml="resources: [../base]\nnamePrefix: dev-\n",
    )  # fmt: skip
    assert place.names() == ["default/prod-a"]


def test_an_origin_is_the_file_that_has_the_object(place):
    place.write(
        kustomization_yaml="resources: [a.yaml]\nnamePrefix: p-\nconfigMapGenerator:\n"
        "- {name: gen, literals: [x=1]}\n",
        a_yaml=NAMESPACE + "---\n" + config("a", k="v"),
    )
    desired = place.load()
    places = {key.kind + "/" + key.name: each.place for key, each in desired.objects.items()}
    assert places.pop("Namespace/team") == "a.yaml:1:1"
    assert places.pop("ConfigMap/p-a") == "a.yaml:5:1"
    assert list(places.values()) == ["kustomization.yaml:4:3"]


def test_an_error_in_a_field_that_a_patch_sets_is_placed_in_the_patch(place):
    place.write(
        kustomization_yaml="resources: [a.yaml]\npatches: [{path: p.yaml}]\n",
        a_yaml=config("a", k="v"),
        p_yaml="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  k: 5\n",
    )
    (problem,) = place.load().problems
    assert (problem.path, problem.line, problem.field) == ("p.yaml", 5, "data.k")


def test_an_error_in_a_resource_is_placed_in_its_own_file(place):
    place.write(
        kustomization_yaml="resources: [sub/a.yaml]\nnamePrefix: p-\n",
        sub__a_yaml=config("a", k="v") + "dat: {}\n",
    )
    (problem,) = place.load().problems
    assert problem.place == "sub/a.yaml:6:1"
    assert problem.hint == 'did you mean "data"?'


def test_a_changed_file_of_a_generator_gives_a_new_name(place):
    place.write(
        kustomization_yaml="configMapGenerator: [{name: g, files: [a.conf], envs: [.env]}]\n",
        a_conf="one",
    )
    (place.root / ".env").write_text("A=1\n")
    (before,) = place.names()
    (place.root / ".env").write_text("A=2\n")
    (after,) = place.names()
    assert before != after


def test_an_unchanged_build_keeps_its_objects(place):
    place.write(
        a__kustomization_yaml="resources: [a.yaml]\n", a__a_yaml=config("a", k="v"),
        b__kustomization_yaml="resources: [b.yaml]\n", b__b_yaml=config("b", k="v"),
    )  # fmt: skip
    before = place.load().objects
    place.write(a__a_yaml=config("a", k="changed"))
    after = place.load().objects
    kept = {key.name for key in after if after[key] is before.get(key)}
    assert kept == {"b"}


def test_a_kustomization_that_goes_leaves_plain_files(place):
    place.write(kustomization_yaml="resources: [a.yaml]\nnamePrefix: p-\n", a_yaml=CONFIG)
    assert place.names() == ["default/p-cfg"]
    (place.root / "kustomization.yaml").unlink()
    assert place.names() == ["default/cfg"]


def test_two_builds_that_declare_one_object_are_a_problem_that_names_both(place):
    place.write(
        a__kustomization_yaml="resources: [a.yaml]\n", a__a_yaml=CONFIG,
        b__kustomization_yaml="resources: [b.yaml]\n", b__b_yaml=CONFIG,
    )  # fmt: skip
    (problem,) = place.load().problems
    assert "declared twice: first at a/a.yaml:1:1" in problem.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resources: ['https://example.org/base']\n", "remote bases are not fetched"),
        ("resources: [../../etc]\n", "outside the source's tree"),
        ("helmCharts: []\n", "Helm charts are not rendered"),
        ("vars: []\n", "vars are deprecated"),
        ("commonLabels: {a: 1}\n", "expected a string"),
        ("images: [{newTag: x}]\n", "expected a name"),
        ("patches: [{path: no.yaml}]\n", "there is no file no.yaml"),
        ("a: &a [*a]\n", "inside its own anchor"),
        ("[]\n", "expected one mapping"),
    ],
)
def test_what_a_build_refuses_has_a_place(place, text, message):
    place.write(kustomization_yaml=text)
    (problem,) = place.load().problems
    assert message in problem.message
    assert problem.path == "kustomization.yaml"


def test_a_link_out_of_the_tree_is_refused(place, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "passwd"
    outside.write_text("root")
    place.write(kustomization_yaml="configMapGenerator: [{name: g, files: [link.txt]}]\n")
    (place.root / "link.txt").symlink_to(outside)
    (problem,) = place.load().problems
    assert "outside the source's tree" in problem.message


def test_a_folder_of_a_work_tree_reaches_its_base_offline(tmp_path):
    place = Place(tmp_path)
    place.write(
        base__kustomization_yaml="resources: [a.yaml]\n", base__a_yaml=config("a", k="v"),
        prod__kustomization_yaml="resources: [../base]\nnamePrefix: prod-\n",
    )  # fmt: skip
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    desired = Loader().load(read_once([tmp_path / "prod"], SystemClock()))
    assert [key.name for key in desired.objects] == ["prod-a"]
    assert not desired.problems


async def test_an_earlier_commit_is_built_with_what_it_refers_to(tmp_path):
    repository = TestRepository(tmp_path / "repo")
    repository.write("base/kustomization.yaml", "resources: [a.yaml]\n")
    repository.write("base/a.yaml", config("a", k="v"))
    repository.write("prod/kustomization.yaml", "resources: [../base]\nnamePrefix: old-\n")
    earlier = repository.commit("one")
    repository.write("prod/kustomization.yaml", "resources: [../base]\nnamePrefix: new-\n")
    repository.commit("two")
    spec = SourceSpec(path=str(repository.path), sub_path="prod")
    source = open_source(spec, Opening(SystemClock(), tmp_path / "s"))
    try:
        async with aclosing(source.snapshots()) as snapshots:
            now = await anext(snapshots)
        assert [key.name for key in Loader().load(now).objects] == ["new-a"]
        then = await source.at(earlier)
        assert [key.name for key in Loader().load(then).objects] == ["old-a"]
    finally:
        await source.close()
