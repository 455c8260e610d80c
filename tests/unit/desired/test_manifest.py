import pytest

from reconciler.desired.limits import ReadLimits
from reconciler.desired.manifest import FileResult, read_file
from reconciler.model.meta import ObjectKey

POD = """apiVersion: v1
kind: Pod
metadata:
  name: web
spec:
  containers:
  - name: web
    image: nginx
"""
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"


def _read(text: str, path: str = "a.yaml", limits: ReadLimits | None = None) -> FileResult:
    return read_file(path, text.encode(), "default", limits or ReadLimits())


def _told(text: str, path: str = "a.yaml") -> list[tuple[str, str]]:
    return [(each.place, each.field) for each in _read(text, path).problems]


def test_an_object_with_its_place_and_the_namespace_filled_in() -> None:
    result = _read(f"# first\n---\n{POD}---\n{NAMESPACE}")
    assert result.problems == ()
    pod, namespace = result.objects
    assert pod.key == ObjectKey("Pod", "default", "web")
    assert (pod.place, pod.document, pod.within) == ("a.yaml:3:1", 0, "")
    assert pod.manifest["metadata"] == {"name": "web", "namespace": "default"}
    assert pod.obj.metadata.namespace == "default"
    assert namespace.key == ObjectKey("Namespace", "", "shop")
    assert namespace.manifest["metadata"] == {"name": "shop"}


def test_equal_meaning_has_equal_content() -> None:
    (pod,) = _read(POD).objects
    turned = """{"kind": "Pod", "apiVersion": "v1", "status": {"phase": "Running"},
    "metadata": {"uid": "1", "creationTimestamp": null, "namespace": "default", "name": "web"},
    "spec": {"nodeName": null, "containers": [{"image": "nginx", "name": "web"}]}}"""
    (same,) = _read(turned, "b.json").objects
    assert same.content == pod.content
    assert same.manifest == pod.manifest
    (other,) = _read(POD.replace("nginx", "nginx:1")).objects
    assert other.content != pod.content


def test_a_list_is_unwrapped_and_its_items_have_their_places() -> None:
    text = (
        "apiVersion: v1\nkind: List\nitems:\n"
        "- apiVersion: v1\n  kind: Namespace\n  metadata: {name: a}\n"
        "- apiVersion: v1\n  kind: NamespaceList\n  items:\n  - metadata: {name: b}\n"
        "- apiVersion: v1\n  kind: Namespace\n  metadata: {name: c, foo: 1}\n"
    )
    result = _read(text)
    assert [(each.key.name, each.line, each.within) for each in result.objects] == [
        ("a", 4, "items[0]"),
        ("b", 7, "items[1].items[0]"),
    ]
    (problem,) = result.problems
    assert (problem.place, problem.field) == ("a.yaml:13:23", "items[2].metadata.foo")


def test_every_problem_of_a_file_is_told_at_once() -> None:
    text = POD.replace("image: nginx", "imag: nginx\n    name: again") + (
        "---\napiVersion: v1\nkind: Nonsense\n"
        "---\napiVersion: v1\nkind: Pod\nmetadata: {name: Web}\nspec: {replica: 1}\n"
        "---\na: b: c\n"
    )
    assert _told(text) == [
        ("a.yaml:8:5", "spec.containers[0].imag"),
        ("a.yaml:9:5", "spec.containers[0].name"),
        ("a.yaml:12:7", "kind"),
        ("a.yaml:16:18", "metadata.name"),
        ("a.yaml:17:1", "spec.containers"),
        ("a.yaml:17:8", "spec.replica"),
        ("a.yaml:19:5", ""),
    ]


def test_an_unknown_field_does_not_hide_what_validation_says() -> None:
    fields = [
        field for _, field in _told(POD.replace("name: web\nspec", "name: W_b\n  foo: 1\nspec"))
    ]
    assert "metadata.foo" in fields
    assert "metadata.name" in fields


def test_a_wrong_type_does_not_hide_what_validation_says() -> None:
    text = POD.replace("name: web", "name: W_b\n  labels: {a.b/c: 5}", 1) + (
        "  restartPolicy: Sometimes\n  hostname: 3\n  volumes: [{name: 5, emptyDir: {}}]\n"
    )
    text = text.replace("image: nginx", "image: nginx\n    volumeMounts: [{name: v, mountPath: 7}]")
    assert sorted({field for _, field in _told(text)}) == [
        "metadata.labels.a.b/c",
        "metadata.name",
        "spec.containers[0].volumeMounts[0].mountPath",
        "spec.hostname",
        "spec.restartPolicy",
        "spec.volumes[0].name",
    ]


def test_what_only_a_wrong_type_made_missing_is_not_told() -> None:
    text = POD.replace("- name: web", "- name: 5")
    assert [field for _, field in _told(text)] == ["spec.containers[0].name"]
    listed = text[: text.index("  containers:")] + "  containers: {name: c}\n"
    assert [field for _, field in _told(listed)] == ["spec.containers"]


def test_a_problem_tells_the_object_and_the_likely_fix() -> None:
    (problem,) = _read(POD.replace("image:", "Image:")).problems[:1]
    assert problem.object == "Pod default/web"
    assert problem.hint == 'did you mean "image"?'
    assert str(problem).startswith("a.yaml:8:5: spec.containers[0].Image: ")


def test_values_of_secrets_are_never_told() -> None:
    text = (
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\n"
        "data: {a: hunter2!, b: 77777}\nstringData: {c: 88888}\n"
    )
    result = _read(text)
    assert [each.field for each in result.problems] == ["data.a", "data.b", "stringData.c"]
    shown = " ".join(str(each) for each in result.problems)
    assert not any(secret in shown for secret in ("hunter2", "77777", "88888"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1\n", "Git LFS pointer"),
        ("just words\n", "a manifest must be a mapping"),
        ("apiVersion: v1\nkind: Event\nmetadata: {name: a}\n", "cannot be declared"),
        (
            "apiVersion: gitops.reconciler.dev/v1alpha1\nkind: Revision\nmetadata: {name: a}\n",
            "is made by the daemon itself and cannot be declared",
        ),
        (POD.replace("name: web\nspec", "generateName: web-\nspec"), "Required value"),
    ],
)
def test_what_cannot_be_a_manifest_of_a_source(text: str, message: str) -> None:
    result = _read(text)
    assert result.objects == ()
    assert message in result.problems[0].message


def test_a_field_that_is_not_acted_on_is_refused_with_what_is_invalid() -> None:
    text = POD.replace("image: nginx", "image: ''\n  hostUsers: false")
    assert [(each.place, each.field) for each in _read(text).problems] == [
        ("a.yaml:8:12", "spec.containers[0].image"),
        ("a.yaml:9:14", "spec.hostUsers"),
    ]
    assert "cannot map the users of one pod" in _read(text).problems[1].message


def test_a_selector_that_does_not_match_its_template() -> None:
    text = (
        "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: web}\nspec:\n"
        "  selector: {app: web}\n  template:\n    metadata:\n      labels: {app: wbe}\n"
        "    spec: {containers: [{name: a, image: b}]}\n"
    )
    (problem,) = _read(text).problems
    assert problem.place == "a.yaml:8:7"
    assert problem.field == "spec.template.metadata.labels"
    assert "does not match" in problem.message


def test_a_large_file_is_not_parsed() -> None:
    (problem,) = _read(POD, limits=ReadLimits(file_bytes=10)).problems
    assert "at most 10 are read" in problem.message


def test_json_text_in_a_yaml_file_and_a_missing_space() -> None:
    (problem,) = _read("apiVersion:v1\nkind: Pod\n").problems
    assert problem.place == "a.yaml:2:5"
    assert "apiVersion: ..." in problem.hint


def test_a_pod_without_an_account_may_ask_for_a_token() -> None:
    token = "projected: {sources: [{serviceAccountToken: {path: token}}]}"  # noqa: S105 - a path
    result = _read(f"{POD.rstrip()}\n  volumes: [{{name: t, {token}}}]\n")
    assert result.problems == ()
    assert len(result.objects) == 1
