"""kill -9 of a writer, again and again. `make torture KILLS=N` kills thousands of times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.crash import History, torture


@pytest.mark.parametrize("seed", [1, 2])
def test_kill_minus_nine_never_breaks_the_history(tmp_path: Path, seed: int) -> None:
    assert torture(tmp_path / "store.db", kills=25, seed=seed, sealed=seed % 2 == 0) == ""


def test_a_lost_acknowledgement_would_be_found() -> None:
    history = History()
    history.tell(
        [
            {"call": "c1", "write": "a", "base": 0, "removes": False, "at": 1.0},
            {"answer": "c1", "wrote": 1, "at": 2.0},
        ]
    )
    history.look([])
    assert "saw a state that was over" in history.judge()


def test_a_change_that_a_watcher_missed_would_be_found() -> None:
    history = History()
    for number in (1, 2, 3):
        history.tell(
            [
                {"call": f"c{number}", "write": "a", "base": number - 1, "removes": False,
                 "at": number},
                {"answer": f"c{number}", "wrote": number, "at": number + 0.5},
            ]
        )  # fmt: skip
    history.watched.append([1, 3])
    assert history.judge() == "a watcher saw [1, 3]"
