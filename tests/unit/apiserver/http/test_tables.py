"""What goes along with the rows of a table."""

import json
from dataclasses import replace
from typing import Any

import pytest

from reconciler.apiserver.http.message import Reply
from reconciler.apiserver.http.pages import Snapshot, limit_of_rows
from reconciler.model.meta import ObjectKey
from reconciler.store.protocol import Record
from tests.unit.apiserver.http.test_api import MAPS, api, ask

_FORM = "application/json;as={};v=v1;g=meta.k8s.io"


async def _metadata(form: str, **query: str) -> dict[str, Any]:
    """Return the metadata of the one ConfigMap in a list of that form."""
    served = await api()
    made = {"metadata": {"name": "a", "labels": {"app": "x"}}, "data": {"k": "v"}}
    await served.handle(ask("POST", MAPS, made, user_agent="tester"))
    parameters = {key: [value] for key, value in query.items()}
    asked = replace(ask("GET", MAPS, accept=_FORM.format(form)), query=parameters)
    answer = await served.handle(asked)
    assert isinstance(answer, Reply)
    told = json.loads(answer.body)
    first = told["rows"][0]["object"] if form == "Table" else told["items"][0]
    metadata: dict[str, Any] = first["metadata"]
    return metadata


async def test_a_row_has_the_metadata_without_the_owners_of_fields() -> None:
    metadata = await _metadata("Table")
    assert metadata["labels"] == {"app": "x"}
    assert metadata["uid"]
    assert "managedFields" not in metadata


@pytest.mark.parametrize(
    ("form", "query"),
    [("Table", {"includeObject": "Object"}), ("PartialObjectMetadataList", {})],
)
async def test_who_asks_for_the_object_or_its_metadata_gets_all_of_it(
    form: str, query: dict[str, str]
) -> None:
    assert (await _metadata(form, **query))["managedFields"][0]["manager"] == "tester"


async def _table_of(objects: int, **query: str) -> dict[str, Any]:
    """Return the table that a list of so many ConfigMaps is."""
    served = await api()
    for number in range(objects):
        await served.handle(ask("POST", MAPS, {"metadata": {"name": f"m-{number:03d}"}}))
    parameters = {key: [value] for key, value in query.items()}
    asked = replace(ask("GET", MAPS, accept=_FORM.format("Table")), query=parameters)
    answer = await served.handle(asked)
    assert isinstance(answer, Reply)
    told: dict[str, Any] = json.loads(answer.body)
    return told


@pytest.mark.parametrize("selector", ["", "app!=x"])
async def test_the_rows_of_a_printer_come_in_one_page(selector: str) -> None:
    """kubectl asks for 500 at a time, and waits between its pages whatever the server does."""
    told = await _table_of(502, limit="500", labelSelector=selector)
    assert [row["cells"][0] for row in told["rows"]] == [f"m-{n:03d}" for n in range(502)]
    assert "continue" not in told["metadata"]


async def test_a_smaller_limit_of_rows_is_kept() -> None:
    told = await _table_of(3, limit="2")
    assert [row["cells"][0] for row in told["rows"]] == ["m-000", "m-001"]
    assert told["metadata"]["remainingItemCount"] == 1


def test_a_very_long_table_comes_in_pages() -> None:
    one = Record(ObjectKey("pods", "default", "a"), 1, b"{}")
    assert limit_of_rows(500, Snapshot(1, [one] * 20_000)) == 0
    assert limit_of_rows(500, Snapshot(1, [one] * 20_001)) == 500
