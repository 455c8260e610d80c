from __future__ import annotations

import pytest

from reconciler.cli.undelete import NotRetired, chosen_of, lines_of
from reconciler.model.retirement import REMOVE_AT
from tests.unit.sync.test_plan import annotated
from tests.unit.sync.world import controller, manifest, settings, stored

AT = "2026-01-01T00:00:00Z"
RC = annotated(stored(controller("x")), **{REMOVE_AT: AT})
MAP = annotated(stored(settings("x")), **{REMOVE_AT: AT})
HOME = annotated(stored(manifest("Namespace", "web")), **{REMOVE_AT: AT})


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("x", [MAP, RC]),
        ("configmap/x", [MAP]),
        ("ReplicationController/x", [RC]),
        ("web/x", [MAP, RC]),
        ("web/ConfigMap/x", [MAP]),
    ],
)
def test_a_name_may_have_its_kind_and_its_namespace(name, found):
    assert chosen_of([MAP, RC], [name]) == found


def test_a_namespace_that_would_go_with_it_comes_back_too():
    assert chosen_of([MAP, RC, HOME], ["configmap/x"]) == [MAP, HOME]


@pytest.mark.parametrize("name", ["y", "secret/x", "other/x", "web/secret/x", "a/b/c/x"])
def test_what_does_not_rest_is_refused(name):
    with pytest.raises(NotRetired, match=f"nothing named '{name}' rests"):
        chosen_of([MAP, RC], [name])


def test_what_rests_is_listed_with_its_end():
    (line,) = lines_of([RC])
    assert line.plain == f"ReplicationController web/x  of source main, is removed at {AT}"
    assert "nothing rests" in lines_of([])[0].plain
