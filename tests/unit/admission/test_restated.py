"""What was admitted a moment ago is not judged twice, and nothing else gets by."""

from pathlib import Path

import pytest

from reconciler.admission.admit import admit
from reconciler.admission.create import validate
from reconciler.admission.restated import validate_restated
from reconciler.desired.limits import ReadLimits
from reconciler.desired.yaml import parse
from reconciler.model.replication import ReplicationController

TEXT = (Path(__file__).parents[3] / "benchmarks" / "yaml_load.py").read_text()
MANIFEST = TEXT.partition('MANIFEST = """')[2].partition('"""')[0].format(i=1, n=1)


@pytest.fixture
def valid() -> ReplicationController:
    obj = admit(parse(MANIFEST.encode(), ReadLimits()).documents[0].value)
    assert isinstance(obj, ReplicationController)
    return obj


def test_what_the_server_adds_breaks_no_rule(valid: ReplicationController) -> None:
    born = valid.metadata.replace(uid="u", generation=1, creation_timestamp="2026-01-01T00:00:00Z")
    assert validate_restated(valid.replace(metadata=born), valid) == ()


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("annotations", {"a": "x" * 300_000}),
        ("annotations", {"no/such/key": "x"}),
        ("labels", {"a": "no value of a label"}),
        ("name", "Upper"),
        ("finalizers", ("odd",)),
    ],
)
def test_other_metadata_is_judged(valid: ReplicationController, member: str, value: object) -> None:
    changed = valid.replace(metadata=valid.metadata.replace(**{member: value}))
    assert validate_restated(changed, valid) == validate(changed) != ()


def test_a_changed_spec_is_judged_whole(valid: ReplicationController) -> None:
    changed = valid.replace(spec=valid.spec.replace(replicas=-1))
    assert [each.path for each in validate_restated(changed, valid)] == ["spec.replicas"]
