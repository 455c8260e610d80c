"""Requests made from our own OpenAPI documents by schemathesis: none is answered with a crash.

`make fuzz` makes more of them: FUZZ_EXAMPLES says how many of each operation.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, status_code_conformance

from reconciler.apiserver.http import discovery, openapi

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3"))
_ENDLESS = ("watch", "sendInitialEvents", "timeoutSeconds")


# kube-apiserver refuses a resourceVersion with 500, too: one that is no number (its issue 139485),
# and any on an object that is to be created; and a Binding whose target is wrong (a recorded
# answer has it). Clients know these answers, so ours are the same.
_STATUS = b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"'
_ODD_REFUSALS = (
    _STATUS + b"resourceVersion: Invalid value: ",
    _STATUS + b'resourceVersion should not be set on objects to be created"',
    _STATUS + b"target.",
    _STATUS + b"[target.",
)


def _no_crash(context: Any, response: Any, case: Any) -> Any:
    """A server error is a crash, but for those by which Kubernetes refuses an input."""
    if response.status_code == 500 and response.content.startswith(_ODD_REFUSALS):
        return None
    return not_a_server_error(context, response, case)


_CHECKS = [_no_crash, content_type_conformance, status_code_conformance]


def _document(group: str, version: str) -> Any:
    """Return a group's document without what makes an answer endless."""
    document = json.loads(openapi._document(group, version))
    for operations in document["paths"].values():
        for operation in operations.values():
            kept = [each for each in operation["parameters"] if each["name"] not in _ENDLESS]
            operation["parameters"] = kept
    return document


def _operations(group: str, version: str) -> Iterator[Any]:
    schema = schemathesis.openapi.from_dict(_document(group, version))
    for each in schema.get_all_operations():
        yield each.ok()


GROUPS = [each for each in sorted(discovery.versions()) if _document(*each)["paths"]]


@pytest.mark.parametrize(("group", "version"), GROUPS)
def test_no_request_is_answered_with_a_crash(
    cluster: Path, tmp_path: Path, group: str, version: str
) -> None:
    config = yaml.safe_load(cluster.read_text())
    place, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    authority = tmp_path / "ca.crt"
    authority.write_bytes(base64.b64decode(place["certificate-authority-data"]))
    headers = {"Authorization": f"Bearer {user['token']}"}
    seen = 0

    def check(case: Any) -> None:
        nonlocal seen
        seen += 1
        case.call_and_validate(
            base_url=place["server"], headers=headers, verify=str(authority), checks=_CHECKS
        )

    for operation in _operations(group, version):
        quick = settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        quick(given(operation.as_strategy())(check))()
    assert seen
