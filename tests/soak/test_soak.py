"""A short soak: some faults of each kind. `make soak MINUTES=N` goes on for longer."""

from pathlib import Path

import pytest

from tests.soak.soak import Sample, _more, soak

pytestmark = [pytest.mark.integration, pytest.mark.timeout(400)]


def test_a_world_that_is_broken_again_and_again_is_whole_again(tmp_path: Path) -> None:
    soak(tmp_path, seconds=30, seed=1, say=print)


@pytest.mark.parametrize(
    ("after", "found"),
    [
        (Sample(10**9, 0, 0, 0, 0), "memory"),
        (Sample(0, 0, 100, 0, 0), "descriptors"),
        (Sample(0, 0, 0, 100, 0), "threads"),
        (Sample(0, 0, 0, 0, 100), "tasks"),
        (Sample(0, 10**9, 0, 0, 0), "the store"),
    ],
)
def test_growth_would_be_found(after: Sample, found: str) -> None:
    (told,) = _more(Sample(0, 0, 0, 0, 0), after)
    assert told.startswith(found)
