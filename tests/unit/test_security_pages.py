"""The security pages name tests and libraries that are there, and all libraries."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "security").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_test_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text()
    files = set(re.findall(r"`((?:tests|docs)/[\w/.]+\.(?:py|md))`", text))
    assert [each for each in sorted(files) if not (ROOT / each).is_file()] == []
    named = set(re.findall(r"`(test_\w+)`", text))
    known = "\n".join(each.read_text() for each in (ROOT / "tests").rglob("test_*.py"))
    assert [each for each in sorted(named) if f"def {each}(" not in known] == []


def test_the_threat_model_shows_something_for_every_part() -> None:
    model = (ROOT / "docs" / "security" / "threat-model.md").read_text()
    assert len(re.findall(r"`tests/[\w/.]+\.py`", model)) > 20


def test_every_dependency_is_accounted_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {re.split(r"[<>=;\[ ]", each)[0].lower() for each in project["dependencies"]}
    page = (ROOT / "docs" / "security" / "dependencies.md").read_text()
    listed = {name.lower() for name in re.findall(r"^\| ([\w-]+) \|", page, re.MULTILINE)}
    assert listed - {"library"} == wanted


def test_what_is_installed_is_pinned_by_hash() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.split(r"\n(?=[a-z])", lock)
    pinned = [each for each in entries if "==" in each.split("\n")[0]]
    assert pinned
    assert [each.split("\n")[0] for each in pinned if "--hash=sha256:" not in each] == []
