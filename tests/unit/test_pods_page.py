"""docs/pods.md names every field of a pod: it acts, in part, or is refused, as the code does."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from reconciler.admission import unsupported
from reconciler.model.base import Model
from reconciler.model.container import Container, EphemeralContainer
from reconciler.model.pod import PodSpec
from reconciler.model.scheduling import Affinity
from reconciler.model.security import PodSecurityContext, SecurityContext
from reconciler.model.volume import Volume, VolumeProjection

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pods.md"
SECTIONS: dict[str, tuple[type[Model], ...]] = {
    "PodSpec": (PodSpec,),
    "Affinity": (Affinity,),
    "Security of the pod": (PodSecurityContext,),
    "Container": (Container, EphemeralContainer),
    "Security of a container": (SecurityContext,),
    "Volumes": (Volume,),
    "Projections": (VolumeProjection,),
}
ROWS = {
    "PodSpec": unsupported._POD_SPEC,
    "Affinity": (),
    "Security of the pod": unsupported._SECURITY,
    "Container": unsupported._CONTAINER,
    "Security of a container": unsupported._CONTAINER_SECURITY,
    "Volumes": unsupported._UNSUPPORTED_SOURCES,
    "Projections": unsupported._PROJECTION,
}
# Refused by rules of their own, outside of the tables.
ELSEWHERE = {"PodSpec": {"os"}, "Container": {"resources"}}


def table(section: str) -> dict[str, tuple[str, str]]:
    """Return the verdicts of a section, and what is said of each; a field told twice fails."""
    text = PAGE.read_text()
    part = text.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (.*) \|$", part, re.MULTILINE)
    found = {field: (verdict, how) for field, verdict, how in rows}
    assert len(found) == len(rows), f"{section} tells a field twice"
    return found


def fields(models: Iterable[type[Model]]) -> set[str]:
    return {info.alias or name for model in models for name, info in model.model_fields.items()}


@pytest.mark.parametrize("section", SECTIONS)
def test_every_field_is_told(section: str) -> None:
    assert table(section).keys() == fields(SECTIONS[section])


@pytest.mark.parametrize("section", SECTIONS)
def test_what_is_refused_is_told_so_and_nothing_else(section: str) -> None:
    limited = {field for _, field, _, _ in ROWS[section]} | ELSEWHERE.get(section, set())
    told = {field for field, (verdict, _) in table(section).items() if verdict != "acts"}
    assert told == limited


@pytest.mark.parametrize("section", SECTIONS)
def test_the_reason_is_the_one_that_a_source_is_told(section: str) -> None:
    page = table(section)
    for _, field, _, why in ROWS[section]:
        clause = re.split(r":(?![^`]*`)", why)[0]  # a colon inside of code ends none
        assert clause in page[field][1]


def test_the_verdicts_are_three() -> None:
    verdicts = {verdict for section in SECTIONS for verdict, _ in table(section).values()}
    assert verdicts <= {"acts", "part", "refused"}
