from datetime import timedelta

from reconciler.source.announce import Announcer
from reconciler.source.snapshot import Snapshot, SourceError, SourceProblem


class _Nothing:
    def read(self, files):
        return iter(())


def _snapshot(clock, revision):
    return Snapshot(revision, "", clock.now(), "", {}, _Nothing())


def test_only_what_differs_is_news(clock) -> None:
    announcer = Announcer(clock)
    first = _snapshot(clock, "a")
    assert announcer.news(first) is first
    assert announcer.news(_snapshot(clock, "a")) is None
    assert announcer.news(_snapshot(clock, "b")) is not None


def test_a_problem_is_told_once_and_keeps_its_start(clock) -> None:
    announcer = Announcer(clock)
    start = clock.now()
    problem = announcer.news(SourceError("Unreachable", "no route"))
    assert problem == SourceProblem("Unreachable", "no route", start)
    clock.jump += timedelta(minutes=1)
    assert announcer.news(SourceError("Unreachable", "no route")) is None
    assert announcer.news(SourceError("TimedOut", "60 s")) == SourceProblem(
        "TimedOut", "60 s", start
    )


def test_the_same_revision_is_news_after_a_problem(clock) -> None:
    announcer = Announcer(clock)
    announcer.news(_snapshot(clock, "a"))
    announcer.news(SourceError("Unreachable", "no route"))
    assert announcer.failing
    assert announcer.news(_snapshot(clock, "a")) is not None
    assert not announcer.failing
