"""What kube-apiserver answered to updates of fields that must not change, against `update`."""

from __future__ import annotations

from typing import Any

from reconciler.admission.admit import admit
from reconciler.admission.decode import decode
from reconciler.admission.defaults import apply_defaults
from reconciler.admission.errors import AdmissionError, Refused
from reconciler.admission.status import status
from reconciler.admission.validate import validate_update
from reconciler.model.service import Service

FILES = ("semantics.json",)
EXCLUDED: dict[str, str] = {}


def wanted(vector: Any) -> bool:
    """Say whether it is a create and an update that validation answers."""
    methods = [step.get("request", {}).get("method") for step in vector.steps[:2]]
    if vector.area != "immutable" or methods != ["POST", "PUT"]:
        return False
    return vector.steps[1]["response"]["code"] in (200, 422)


def test_update(vector: Any, outcome: Any) -> None:
    created, updated = vector.steps[:2]
    old = _allocated(admit(created["request"]["body"]))
    try:
        ours = outcome(*_replace(updated["request"]["body"], old))
    except AdmissionError as error:
        told = status(error)
        ours = outcome(told["code"], told)
    theirs = outcome(updated["response"]["code"], updated["response"]["body"])
    assert _first_lines(ours) == _first_lines(theirs)


def _allocated(obj: Any) -> Any:
    """Give a Service its address as the registry would."""
    if isinstance(obj, Service) and not obj.spec.cluster_ip and obj.spec.type != "ExternalName":
        return obj.replace(spec=obj.spec.replace(cluster_ip="10.96.88.9"))
    return obj


def _replace(body: Any, old: Any) -> tuple[int, dict[str, Any]]:
    new = apply_defaults(decode(body))
    new = new.replace(metadata=old.metadata)
    if hasattr(old, "status"):
        new = new.replace(status=old.status)
    if isinstance(new, Service) and not new.spec.cluster_ip:
        new = new.replace(spec=new.spec.replace(cluster_ip=old.spec.cluster_ip))
    errors = validate_update(new, old)
    if errors:
        raise Refused(errors, kind=new.kind, name=new.metadata.name)
    return 200, {}


def _first_lines(answer: tuple[Any, ...]) -> tuple[Any, ...]:
    """A difference after the first line of "Forbidden: ... updates" is free."""
    if len(answer) < 3:
        return answer
    return (*answer[:2], answer[2].split("\n")[0], *answer[3:])
