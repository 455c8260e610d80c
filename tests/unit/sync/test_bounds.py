"""A source writes to its namespaces alone, and lets another write no more than it may itself."""

from reconciler.admission.decode import decode
from reconciler.admission.defaults import apply_defaults
from reconciler.desired.objects import Recalled
from reconciler.model.gitops import API_VERSION
from reconciler.model.meta import ObjectKey
from reconciler.sync.bounds import ORIGIN_ANNOTATION, bounds_of, out_of_bounds
from reconciler.sync.manifest import applied_manifest
from tests.unit.sync.world import desired, manifest, settings


def declared(name, url="https://git.example.com/a", metadata=None, **spec):
    return {
        "apiVersion": API_VERSION,
        "kind": "Source",
        "metadata": {"name": name, **(metadata or {})},
        "spec": {"url": url, **spec},
    }


def objects(*manifests, declarers=None):
    """Return Source objects by name; `declarers` has the source that declares each."""
    found = {}
    for each in manifests:
        obj = apply_defaults(decode(each))
        if declarer := (declarers or {}).get(obj.metadata.name):
            obj = apply_defaults(decode(applied_manifest(each, declarer, obj.key)))
        found[obj.metadata.name] = obj
    return found.get


def faults(source, tree, bounds, find=lambda _: None):
    return [(r.path, r.message) for r in out_of_bounds(source, tree.values(), bounds, find)]


def test_without_bounds_all_may_be_declared():
    assert faults("main", desired(settings("a"), manifest("PersistentVolume", "v")), None) == []


def test_with_bounds_other_namespaces_and_what_has_none_are_refused():
    tree = desired(
        settings("a"), settings("b", namespace="x") | {"metadata": {"name": "b", "namespace": "x"}},
        manifest("PersistentVolume", "v"), manifest("Namespace", "web"),
        manifest("Namespace", "x"),
    )  # fmt: skip
    found = out_of_bounds("team", tree.values(), frozenset({"web"}), lambda _: None)
    assert [(r.origin.line, r.path) for r in found] == [
        (2, "metadata.namespace"), (3, "kind"), (5, "kind"),
    ]  # fmt: skip
    assert found[0].message == (
        'source "team" may not write to namespace x: it may write to namespace web alone'
    )


def test_a_declared_source_names_its_namespaces():
    assert faults("main", desired(declared("team")), None) == [
        ("spec.namespaces",
         "Required value: name the namespaces that the source may write to"),
    ]  # fmt: skip
    assert faults("main", desired(declared("team", namespaces=["web"])), None) == []


def test_a_declared_source_writes_no_more_than_its_declarer():
    (fault,) = faults(
        "team", desired(declared("sub", namespaces=["web", "db"])), frozenset({"web"})
    )
    assert fault[0] == "spec.namespaces[1]"
    assert 'source "team" may write to namespace web alone' in fault[1]


def test_a_source_with_bounds_names_no_place_of_the_host():
    for place in ({"url": "file:///etc"}, {"url": "", "path": "/etc"}, {"url": "/etc"}):
        tree = desired(declared("sub", namespaces=["web"], **place))
        assert [path for path, _ in faults("team", tree, frozenset({"web"}))] == [
            "spec.path" if "path" in place else "spec.url"
        ]
        assert faults("main", tree, None) == []


def test_nobody_declares_itself_its_declarer_or_a_source_of_the_settings():
    find = objects(
        declared("top", metadata={"annotations": {ORIGIN_ANNOTATION: "settings"}}),
        declared("other", metadata={"annotations": {ORIGIN_ANNOTATION: "settings"}}),
        declared("team", namespaces=["web"]),
        declarers={"team": "top"},
    )
    for name in ("team", "top", "other"):
        tree = desired(declared(name, namespaces=["web"]))
        found = faults("team", tree, frozenset({"web"}), find)
        assert {path for path, _ in found} == {"metadata.name"}


def test_a_source_with_bounds_takes_over_none_that_was_made_by_hand():
    find = objects(declared("hand"), declared("team"))
    tree = desired(declared("hand", namespaces=["web"]))
    assert [path for path, _ in faults("team", tree, frozenset({"web"}), find)] == ["metadata.name"]
    assert faults("team", tree, None, find) == []


def test_bounds_narrow_from_declarer_to_declared():
    find = objects(
        declared("top"),
        declared("team", namespaces=["web", "db"]),
        declared("sub", namespaces=["db", "other"]),
        declarers={"team": "top", "sub": "team"},
    )
    assert bounds_of(find("top"), find) is None
    assert bounds_of(find("team"), find) == {"web", "db"}
    assert bounds_of(find("sub"), find) == {"db"}


def test_one_from_git_without_namespaces_may_write_nothing():
    find = objects(declared("top"), declared("team"), declarers={"team": "top"})
    assert bounds_of(find("team"), find) == frozenset()


def test_a_circle_of_declarers_ends():
    find = objects(
        declared("a", namespaces=["x"]), declared("b", namespaces=["x", "y"]),
        declarers={"a": "b", "b": "a"},
    )  # fmt: skip
    assert bounds_of(find("a"), find) == {"x"}


def test_what_an_earlier_run_read_is_not_decoded_to_be_asked_what_it_is():
    key = ObjectKey("ConfigMap", "team", "a")
    recalled = Recalled(key, "hash", "a.yaml", (1, 1, 0), "", b"no JSON at all", instructed=False)
    assert not out_of_bounds("main", [recalled], None, lambda _: None)
    (refused,) = out_of_bounds("main", [recalled], frozenset({"other"}), lambda _: None)
    assert refused.key == key
