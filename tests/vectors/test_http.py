"""All recorded answers of a real kube-apiserver against the REST face.

`differences.json` names, per area, the vectors that are answered otherwise, each with its reason;
those on purpose are told in docs/compatibility.md. A vector that is not in it must be answered as
recorded, and one that is in it must not, so that the file never says more than is true.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.vectors.replay import Difference, replay

HERE = Path(__file__).parent
AREAS = (
    "validation-pod",
    "validation-service",
    "validation-rest",
    "defaulting",
    "decoding",
    "semantics",
    "patches",
    "lists-watches",
    "deletion-admission",
    "discovery",
)


async def answered_otherwise(area: str) -> tuple[dict[str, str], int]:
    vectors = json.loads((HERE / "own" / f"{area}.json").read_text())["vectors"]
    found: dict[str, str] = {}
    for vector in vectors:
        try:
            await replay(vector)
        except Difference as difference:
            found[vector["name"]] = str(difference)
    return found, len(vectors)


@pytest.mark.parametrize("area", AREAS)
async def test_area(area: str, capsys: pytest.CaptureFixture[str]) -> None:
    known = json.loads((HERE / "differences.json").read_text()).get(area, {})
    found, total = await answered_otherwise(area)
    with capsys.disabled():
        print(f"\nhttp {area}: {total - len(found)} of {total}")  # noqa: T201 - the figure
    new = {name: why for name, why in found.items() if name not in known}
    assert not new, f"answered otherwise than recorded: {new}"
    assert not set(known) - set(found), "answered as recorded, so no difference any more"
