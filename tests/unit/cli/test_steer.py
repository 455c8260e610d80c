from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from reconciler.cli.api import DaemonUnreachable
from reconciler.cli.steer import NotHeld, held_revision, run_suspend
from reconciler.model.gitops import Revision, RevisionSpec, RevisionStatus
from reconciler.model.meta import ObjectMeta
from reconciler.settings import Settings


def revision(sequence, phase, name="c0ffee"):
    return Revision(
        metadata=ObjectMeta(name=f"main-{sequence}"),
        spec=RevisionSpec(source="main", revision=name, sequence=sequence),
        status=RevisionStatus(phase=phase),
    )


def test_the_newest_of_the_name_is_meant():
    found = held_revision([revision(1, "Healthy"), revision(2, "Held")], "c0f")
    assert found.metadata.name == "main-2"
    assert held_revision([revision(2, "Held")], "main-2").spec.sequence == 2


@pytest.mark.parametrize(
    ("wanted", "words"),
    [("main-1", "main-1 is Healthy"), ("beef", "no revision 'beef'"), ("", "no revision ''")],
)
def test_what_is_not_held_cannot_be_approved(wanted, words):
    with pytest.raises(NotHeld, match=words):
        held_revision([revision(1, "Healthy")], wanted)


def test_without_a_daemon_the_socket_is_named(tmp_path):
    settings = Settings(state_dir=tmp_path, run_dir=tmp_path / "run")
    with pytest.raises(DaemonUnreachable, match=r"api\.sock"):
        run_suspend(settings, Console(file=StringIO()), suspend=True)
