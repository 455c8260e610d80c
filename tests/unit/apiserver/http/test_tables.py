"""What goes along with the rows of a table."""

import json
from dataclasses import replace
from typing import Any

import pytest

from reconciler.apiserver.http.message import Reply
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
