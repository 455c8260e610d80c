import pytest

from reconciler.desired.positions import Positions

TEXT = b"""a: 1
---
metadata:
  labels:
    example.com/x.y: "v"
spec:
  containers:
  - name: one
    env: [{name: A}, {name: B, value: 5}]
"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("spec.containers[0].env[1].value", (9, 39)),
        ("spec.containers[0].name", (8, 11)),
        ("spec.containers", (7, 3)),
        ("spec.containers[0]", (8, 5)),
        ("spec.containers[0].image", (8, 5)),
        ("spec.replicas", (6, 1)),
        ("status", (3, 1)),
        ("metadata.labels[example.com/x.y]", (5, 22)),
        ("metadata.labels.example.com/x.y", (5, 22)),
        ("metadata.labels", (4, 3)),
    ],
)
def test_places_of_fields(path: str, place: tuple[int, int]) -> None:
    assert Positions(TEXT).of(1, path) == place


def test_the_key_of_a_field_that_should_not_be_there() -> None:
    positions = Positions(TEXT)
    assert positions.key(1, "spec.containers[0].name") == (8, 5)
    assert positions.key(0, "a") == (1, 1)


def test_paths_of_places() -> None:
    positions = Positions(TEXT)
    assert positions.path_at((9, 23)) == "spec.containers[0].env[1].name"
    assert positions.path_at((1, 1)) == "a"
    assert positions.path_at((99, 1)) == ""


def test_a_document_that_cannot_be_read_has_no_places() -> None:
    positions = Positions(b"a: 1\n---\nb: c: d\n")
    assert positions.of(0, "a") == (1, 4)
    assert positions.of(1, "b") is None


def test_the_member_of_a_mapping_that_is_at_fault() -> None:
    positions = Positions(TEXT)
    assert positions.of(1, "metadata.labels", "v") == (5, 22)
    assert positions.of(1, "metadata.labels", "example.com/x.y") == (5, 5)
    assert positions.of(1, "metadata.labels", "other") == (4, 3)


def test_aliases_are_not_followed_again_and_again():
    lines = [b"a: &a [x, x, x, x, x, x, x, x, x]"]
    lines += [b"%c: &%c [%s]" % (n, n, b", ".join([b"*%c" % (n - 1)] * 9)) for n in range(98, 120)]
    assert Positions(b"\n".join(lines)).path_at((99, 1)) == ""


@pytest.mark.parametrize("opening", [b"[", b"{a: ", b"? ", b"- "])
def test_a_document_that_would_overflow_the_stack_has_no_places(opening):
    assert Positions(opening * 200_000).of(0, "a") is None


def test_what_comes_before_a_deep_document_keeps_its_places():
    data = b"a: 1\n---\n" + b"[" * 200_000
    assert Positions(data).of(0, "a") == (1, 4)
    assert Positions(data).of(1, "a") is None


def test_a_key_that_is_no_scalar_is_no_step():
    assert Positions(b"? {x: y}\n: 1\n").path_at((2, 3)) == ""
