"""What is known of a pod's spec from an equal one changes no answer, and spares the work."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.admission.admit import admit
from reconciler.admission.alike import Alike
from reconciler.admission.decode import decode
from reconciler.admission.defaults import apply_defaults
from reconciler.admission.errors import AdmissionError
from reconciler.admission.unsupported import unsupported
from reconciler.model.pod import PodSpec
from reconciler.model.replication import ReplicationController

Json = dict[str, Any]

_FRESH = count()


def spec(**changes: Any) -> Json:
    """Return a spec that no other call returns."""
    value = {"name": "NEW", "value": str(next(_FRESH))}
    return {"containers": [{"name": "c", "image": "x", "env": [value]}], **changes}


def controller(name: str, pod: Json, **changes: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": name, "namespace": "n"},
        "spec": {"template": {"metadata": {"labels": {"app": name}}, "spec": pod}, **changes},
    }


def template_spec(obj: Any) -> PodSpec:
    assert isinstance(obj, ReplicationController)
    assert obj.spec.template is not None
    return obj.spec.template.spec


def answer(value: Json) -> Any:
    """Return the admitted object in its wire form, or all that is wrong with it."""
    try:
        obj = admit(value)
    except AdmissionError as error:
        return error.errors
    return obj.to_dict(), unsupported(obj)


def test_equal_specs_of_two_objects_are_one_object() -> None:
    pod = spec()
    one, other = admit(controller("one", pod)), admit(controller("other", pod))
    assert template_spec(one) is template_spec(other)
    assert one.metadata.name == "one"
    assert other.to_dict()["spec"]["template"]["metadata"]["labels"] == {"app": "other"}


def test_what_is_wrong_with_a_spec_is_told_of_each_object() -> None:
    pod = spec(restartPolicy="Sometimes")
    answers = [answer(controller(name, pod)) for name in ("one", "other", "third")]
    assert answers[0] == answers[1] == answers[2]
    assert "spec.template.spec.restartPolicy" in [error.path for error in answers[0]]


def test_what_is_wrong_around_a_known_spec_is_found() -> None:
    pod = spec()
    admit(controller("one", pod))
    refused = answer(controller("other", pod, selector={"app": "one"}, replica=3))
    assert [error.path for error in refused] == ["spec.replica"]
    mismatch = answer(controller("other", pod, selector={"app": "one"}))
    assert [error.path for error in mismatch] == ["spec.template.metadata.labels"]


def test_what_is_not_supported_is_told_of_each_object() -> None:
    pod = spec(runtimeClassName="gvisor")
    for name in ("one", "other"):
        obj = apply_defaults(decode(controller(name, pod)))
        assert [e.path for e in unsupported(obj)] == ["spec.template.spec.runtimeClassName"]


def test_a_pod_gets_what_only_pods_get_beside_a_controller_of_the_same_spec() -> None:
    pod = spec()
    meta = {"name": "p", "namespace": "n"}
    manifest = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": pod}
    before = admit(controller("one", pod)).to_dict()
    assert admit(manifest).to_dict()["spec"]["enableServiceLinks"] is True
    assert admit(controller("one", pod)).to_dict() == before
    assert "enableServiceLinks" not in before["spec"]["template"]["spec"]


@pytest.mark.parametrize("null", [True, False])
def test_nulls_are_absent_in_a_known_spec_too(null: bool) -> None:
    pod = spec(**({"nodeName": None} if null else {}))
    assert answer(controller("one", pod)) == answer(controller("one", pod))


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "restartPolicy": st.sampled_from(["Always", "Never", "Bad", 5]),
        "hostNetwork": st.sampled_from([True, "yes", None]),
        "runtimeClassName": st.sampled_from(["gvisor", "Bad Name"]),
        "volumes": st.sampled_from([[], [{"name": "v"}], [{"name": "v", "emptyDir": {}}], [{}]]),
        "unknown": st.just(1),
        "nodeSelector": st.sampled_from([{"a": "b"}, {"a b": "c"}, {"a": 1}]),
    },
)
AROUND = st.fixed_dictionaries(
    {}, optional={"replicas": st.sampled_from([0, -1, "2"]), "selector": st.just({"a": "b"})}
)


IMAGE = st.sampled_from(
    ["x", "x:1", "x:latest", "r.example:5000/a/x:2", "x@sha256:" + "a" * 64, "UPPER/x:1", "Always",
     " x", "", 5, None]
)  # fmt: skip


def anew(pod: Json) -> Json:
    """Return the spec with the same meaning and another text, so that nothing is known of it."""
    first, *others = pod["containers"]
    env = [dict(reversed(each.items())) for each in first["env"]]
    return {**pod, "containers": [{**first, "env": env}, *others]}


@given(CHANGES, AROUND, AROUND)
def test_a_known_spec_is_answered_as_a_new_one(changes: Json, first: Json, then: Json) -> None:
    pod = spec(**changes)
    answer(controller("first", pod, **first))  # now it is known, if anything can be
    known = answer(controller("c", pod, **then))
    assert answer(controller("c", anew(pod), **then)) == known


def pulled(pod: Json, images: list[Any]) -> Json:
    """Return the spec with these images, of two containers and one that goes before them."""
    one, other, before = images
    containers = [{**pod["containers"][0], "image": one}, {"name": "d", "image": other}]
    return {**pod, "containers": containers, "initContainers": [{"name": "b", "image": before}]}


@given(CHANGES, st.lists(st.lists(IMAGE, min_size=3, max_size=3), min_size=1, max_size=4))
def test_a_spec_that_differs_in_images_alone_is_answered_as_a_new_one(
    changes: Json, drawn: list[list[Any]]
) -> None:
    pod = spec(**changes)
    for images in drawn:
        known = answer(controller("c", pulled(pod, images)))
        assert answer(controller("c", anew(pulled(pod, images)))) == known


def test_a_relative_has_its_own_images_and_policies() -> None:
    pod = spec()
    objects = [
        admit(controller("c", pulled(pod, images)))
        for images in (["a:1", "b:1", "c:1"], ["a:2", "b:3", "c:4"], ["a:1", "b", "c:1"])
    ]
    seen = [
        [(c.image, c.image_pull_policy) for c in (*held.containers, *held.init_containers)]
        for held in map(template_spec, objects)
    ]
    assert seen == [
        [("a:1", "IfNotPresent"), ("b:1", "IfNotPresent"), ("c:1", "IfNotPresent")],
        [("a:2", "IfNotPresent"), ("b:3", "IfNotPresent"), ("c:4", "IfNotPresent")],
        [("a:1", "IfNotPresent"), ("b", "Always"), ("c:1", "IfNotPresent")],
    ]


def test_the_memory_is_bounded_and_an_identity_that_returns_is_not_mistaken() -> None:
    alike = Alike()
    kept = PodSpec(hostname="kept")
    alike.add(b"kept", kept)
    for number in range(2_000):
        alike.add(b"%d" % number, PodSpec(hostname=f"h{number}"))
    assert alike.find(b"0") is None
    assert alike.find(b"kept") is None
    strangers = [PodSpec(hostname=f"s{number}") for number in range(2_000)]
    assert all(alike.of(each) is None for each in strangers)


def test_defaults_of_two_threads_leave_no_stale_identity() -> None:
    alike = Alike()
    decoded = PodSpec()
    alike.add(b"", decoded)
    known = alike.of(decoded)
    assert known is not None
    first = PodSpec(dns_policy="ClusterFirst")
    alike.defaulted(known, first)
    alike.defaulted(known, PodSpec(dns_policy="ClusterFirst"))
    assert alike.of(first) is None  # only the one that is kept alive counts
