from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from reconciler.cli.api import DaemonUnreachable, patch
from reconciler.cli.naming import SourceUnclear, named, one
from reconciler.cli.reading import NoStore
from reconciler.cli.steer import NotHeld, held_revision, run_suspend
from reconciler.model.gitops import Revision, RevisionSpec, RevisionStatus, Source
from reconciler.model.meta import ObjectKey, ObjectMeta
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


def test_a_commit_of_several_sources_is_not_enough():
    other = revision(1, "Held").replace(
        metadata=ObjectMeta(name="team-1"), spec=RevisionSpec(source="team", revision="c0ffee")
    )
    with pytest.raises(NotHeld, match=r"several sources; name one of main-2, team-1"):
        held_revision([revision(2, "Held"), other], "c0f")
    assert held_revision([revision(2, "Held"), other], "team-1") is other


def test_without_a_daemon_that_is_told(tmp_path):
    settings = Settings(state_dir=tmp_path, run_dir=tmp_path / "run")
    with pytest.raises(NoStore, match="no daemon has run"):
        run_suspend(settings, Console(file=StringIO()), suspend=True)
    with pytest.raises(DaemonUnreachable, match=r"api\.sock"):
        patch(settings, ObjectKey("Source.gitops.reconciler.dev", "", "main"), {})


def test_of_several_sources_one_has_to_be_named():
    sources = [Source(metadata=ObjectMeta(name=name)) for name in ("main", "team")]
    assert one(sources, "team") is sources[1]
    assert one(sources[:1], "") is sources[0]
    assert named(sources, "") == sources
    with pytest.raises(SourceUnclear, match="name the source: there are main, team"):
        one(sources, "")
    with pytest.raises(SourceUnclear, match="no source 'tame'; there are main, team"):
        named(sources, "tame")
