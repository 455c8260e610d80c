"""EndpointSlices in the registry and in its Table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.admission.admit import admit
from reconciler.apiserver.http import columns, openapi
from reconciler.apiserver.registry.registry import Registry
from reconciler.model import kinds
from reconciler.model.endpointslice import EndpointSlice


def manifest(**members: Any) -> EndpointSlice:
    admitted = admit(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "web-1", "namespace": "default"},
            "addressType": "IPv4",
            **members,
        }
    )
    assert isinstance(admitted, EndpointSlice)
    return admitted


def test_the_generation_counts_all_but_metadata(virtual: Any, registry: Registry) -> None:
    async def scenario() -> None:
        made = await registry.create(manifest())
        assert made.metadata.generation == 1
        labelled = made.replace(metadata=made.metadata.replace(labels={"a": "b"}))
        assert (await registry.update(labelled)).metadata.generation == 1
        filled = manifest(endpoints=[{"addresses": ["10.0.0.1"]}])
        assert (await registry.update(filled)).metadata.generation == 2

    virtual.run_until_complete(scenario())


def test_the_old_topology_is_dropped_in_silence(virtual: Any, registry: Registry) -> None:
    async def scenario() -> None:
        topology = {"kubernetes.io/hostname": "n1"}
        endpoint = {"addresses": ["10.0.0.1"], "deprecatedTopology": topology}
        made = await registry.create(manifest(endpoints=[endpoint]))
        assert made.endpoints[0].deprecated_topology == {}
        updated = await registry.update(manifest(endpoints=[{**endpoint, "zone": "z"}]))
        assert updated.endpoints[0].to_dict() == {
            "addresses": ["10.0.0.1"],
            "conditions": {},
            "zone": "z",
        }

    virtual.run_until_complete(scenario())


@pytest.mark.parametrize(
    ("ports", "addresses", "cells"),
    [
        ([], [], ["<unset>", "<unset>"]),
        ([{"name": "a", "port": 80}, {"name": "b"}], ["10.0.0.1"], ["80,b", "10.0.0.1"]),
        (
            [{"name": str(n), "port": n} for n in range(1, 6)],
            [f"10.0.0.{n}" for n in range(1, 5)],
            ["1,2,3 + 2 more...", "10.0.0.1,10.0.0.2,10.0.0.3 + 1 more..."],
        ),
    ],
)
def test_the_table(ports: list[Any], addresses: list[str], cells: list[str]) -> None:
    shown = columns.columns_of(kinds.of(EndpointSlice))
    obj = manifest(ports=ports, endpoints=[{"addresses": [each]} for each in addresses])
    row = shown.cells(obj, datetime(2026, 1, 1, tzinfo=UTC))
    assert [each["name"] for each in shown.definitions] == [
        "Name", "AddressType", "Ports", "Endpoints", "Age",
    ]  # fmt: skip
    assert row["cells"] == ["web-1", "IPv4", *cells, "<unknown>"]


def test_schemas_have_their_groups_names() -> None:
    schemas = openapi._document("discovery.k8s.io", "v1").decode()
    assert '"io.k8s.api.discovery.v1.EndpointPort"' in schemas
    assert '"io.k8s.api.core.v1.ObjectReference"' in schemas
    assert '"io.k8s.api.storage.v1.StorageClass"' in (
        openapi._document("storage.k8s.io", "v1").decode()
    )
