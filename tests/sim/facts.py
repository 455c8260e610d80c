"""What the laws know of objects in the store. Read by `laws.py` and `storelaws.py`."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from reconciler.model.retirement import REMOVE_AT, STOPPED
from tests.sim.manifests import SECRET

SECRETS = (SECRET, b64encode(SECRET.encode()).decode(), "eyJhbGciOi")
"""What may be read nowhere else: the word in every secret, and how each token begins."""

SERVICE_RANGE = IPv4Network("10.96.0.0/28")
"""So few addresses that one given twice, or one that is nobody's, is soon seen."""

SECRET_BYTES = tuple(each.encode() for each in SECRETS)


@dataclass(slots=True)
class PodFacts:
    """What the laws know of a pod that is in the store."""

    name: str
    uid: str
    node: str
    owner: str
    terminating: bool
    over: bool
    ready: bool
    value: bytes
    stopped: bool
    images: tuple[str, ...]

    @property
    def active(self) -> bool:
        return not self.terminating and not self.over


@dataclass(slots=True)
class ControllerFacts:
    """A version of a controller, which held `since` then."""

    uid: str
    replicas: int
    surge: int
    unavailable: int
    since: float


def pod_facts(body: dict[str, Any], value: bytes) -> PodFacts:
    """Return what the laws know of a pod, from its stored form."""
    meta, status = body["metadata"], body.get("status", {})
    owners = [o["uid"] for o in meta.get("ownerReferences", []) if o.get("controller")]
    conditions = status.get("conditions", [])
    return PodFacts(
        name=meta["name"],
        uid=meta["uid"],
        node=body["spec"].get("nodeName", ""),
        owner=owners[0] if owners else "",
        terminating="deletionTimestamp" in meta,
        over=status.get("phase") in ("Succeeded", "Failed"),
        ready=any(c["type"] == "Ready" and c["status"] == "True" for c in conditions),
        value=value,
        images=tuple(each["image"] for each in body["spec"]["containers"]),
        stopped=bool({STOPPED, REMOVE_AT} & meta.get("annotations", {}).keys()),
    )
