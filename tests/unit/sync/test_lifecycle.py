from __future__ import annotations

from datetime import UTC, datetime

from reconciler.model.gitops import Revision, RevisionError, RevisionSpec, RevisionStatus, Source
from reconciler.model.meta import ObjectMeta
from reconciler.source.snapshot import Snapshot
from reconciler.sync.lifecycle import (
    Particulars,
    advance,
    new_revision,
    outdated,
    supersede,
    with_condition,
)

AT = "2026-01-01T00:00:00Z"


def snapshot(revision="c" * 40, author="A <a@b>"):
    return Snapshot(revision, author, datetime(2026, 1, 1, tzinfo=UTC), "words", {}, None)


def through(revision, *phases):
    for phase in phases:
        revision = advance(revision, phase, AT, seconds=0.1)
    return revision


def test_a_commit_and_a_directory_make_different_revisions():
    commit = new_revision("main", snapshot(), 7, AT)
    assert (commit.metadata.name, commit.spec.commit, commit.spec.sequence) == (
        "main-7",
        "c" * 40,
        7,
    )
    assert new_revision("main", snapshot(author=""), 1, AT).spec.commit == ""


def test_each_phase_is_one_step_with_its_duration():
    done = through(new_revision("main", snapshot(), 1, AT), "Fetched", "Validated", "Healthy")
    assert [(s.phase, s.duration_seconds) for s in done.status.steps] == [
        ("Fetched", 0.1),
        ("Validated", 0.1),
        ("Healthy", 0.1),
    ]


def test_a_healthy_revision_changes_no_more():
    done = through(new_revision("main", snapshot(), 1, AT), "Fetched", "Healthy")
    assert through(done, "Fetched", "Validated", "Progressing", "Failed") is done


def test_a_restart_does_not_go_back():
    applied = through(new_revision("main", snapshot(), 1, AT), "Fetched", "Validated", "Applied")
    assert through(applied, "Fetched", "Validated") is applied


def test_a_failed_revision_may_heal_and_says_nothing_of_its_errors_then():
    revision = new_revision("main", snapshot(), 1, AT)
    error = RevisionError(message="refused")
    failed = advance(
        revision, "Failed", AT, seconds=1, message="refused", more=Particulars(errors=(error,))
    )
    healed = through(failed, "Applied", "Healthy")
    assert (healed.status.phase, healed.status.errors) == ("Healthy", ())


def test_errors_are_bounded():
    errors = tuple(RevisionError(message=str(n)) for n in range(1000))
    revision = new_revision("main", snapshot(), 1, AT)
    assert (
        len(
            advance(
                revision, "Rejected", AT, seconds=0, more=Particulars(errors=errors)
            ).status.errors
        )
        == 100
    )


def test_a_revision_on_its_way_is_superseded_once_and_an_ended_one_never():
    revision = through(new_revision("main", snapshot(), 1, AT), "Progressing")
    marked = supersede(revision, "d" * 40)
    assert marked.status.message == "superseded by dddddddddddd while Progressing"
    assert supersede(marked, "e" * 40) is marked
    healthy = through(revision, "Healthy")
    assert supersede(healthy, "d" * 40) is healthy


def revision_number(sequence, phase):
    return Revision(
        metadata=ObjectMeta(name=f"main-{sequence}"),
        spec=RevisionSpec(sequence=sequence),
        status=RevisionStatus(phase=phase),
    )


def test_history_is_bounded_but_keeps_the_last_healthy_revision():
    history = [revision_number(n, "Healthy" if n in (1, 2) else "Rejected") for n in range(1, 11)]
    forgotten = {r.spec.sequence for r in outdated(history, keep=3)}
    assert forgotten == {1, 3, 4, 5, 6, 7}


def test_a_conditions_time_changes_with_its_truth_only():
    source = Source(metadata=ObjectMeta(name="main"))
    first = with_condition(source, "Ready", holds=False, reason="A", message="", at=AT)
    later = with_condition(first, "Ready", holds=False, reason="B", message="", at="2027")
    assert later.status.conditions[0].last_transition_time == AT
    assert later.status.conditions[0].reason == "B"
