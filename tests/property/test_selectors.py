"""Label selectors: what is written reads back, and means what Kubernetes says that it means."""

from __future__ import annotations

from collections.abc import Mapping

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model import selector
from reconciler.model.selector import Requirement, Selector

KEYS = st.sampled_from(["a", "b", "c-d", "example.org/e"])
VALUES = st.sampled_from(["", "x", "y", "10", "9", "1_0"])
NUMBERS = st.integers(-20, 20).map(str)
LABELS = st.dictionaries(KEYS, VALUES)
REQUIREMENTS = st.one_of(
    st.builds(Requirement, KEYS, st.sampled_from(["exists", "!"])),
    st.builds(Requirement, KEYS, st.sampled_from(["=", "!="]), VALUES.map(lambda v: (v,))),
    st.builds(Requirement, KEYS, st.sampled_from(["gt", "lt"]), NUMBERS.map(lambda v: (v,))),
    st.builds(
        Requirement,
        KEYS,
        st.sampled_from(["in", "notin"]),
        st.lists(VALUES, min_size=1, max_size=3, unique=True).map(sorted).map(tuple),
    ),
)
SELECTORS = st.lists(REQUIREMENTS, max_size=4)


def means(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    """Say whether labels meet a requirement, straight from the documentation."""
    key, values, there = requirement.key, requirement.values, requirement.key in labels
    match requirement.operator:
        case "exists":
            return there
        case "!":
            return not there
        case "=" | "in":
            return there and labels[key] in values
        case "!=" | "notin":
            return not there or labels[key] not in values
        case "gt" | "lt":
            if not there or not labels[key].lstrip("-").isdigit():
                return False
            difference = int(labels[key]) - int(values[0])
            return difference > 0 if requirement.operator == "gt" else difference < 0


@given(SELECTORS, LABELS)
def test_a_selector_takes_what_meets_each_of_its_requirements(
    requirements: list[Requirement], labels: dict[str, str]
) -> None:
    chosen = Selector(tuple(requirements))
    assert chosen.matches(labels) == all(means(each, labels) for each in requirements)


@given(SELECTORS, LABELS)
def test_what_is_written_reads_back(
    requirements: list[Requirement], labels: dict[str, str]
) -> None:
    chosen = Selector(tuple(requirements))
    again = selector.parse(str(chosen))
    assert again.matches(labels) == chosen.matches(labels)
    assert str(selector.parse(str(again))) == str(again)


@given(LABELS, LABELS)
def test_a_map_takes_its_supersets(wanted: dict[str, str], labels: dict[str, str]) -> None:
    assert selector.from_map(wanted).matches(labels) == (wanted.items() <= labels.items())
