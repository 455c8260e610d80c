"""The laws that hold in every state, checked as each effect happens.

`written` sees each durable change, `happened` each effect of an engine, `attached` each link. The
first breach ends the history.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from reconciler.kubelet.labels import MANAGED, PodContainer
from reconciler.kubelet.podnetwork import link_name
from reconciler.kubelet.roster import spec_hash
from reconciler.kubelet.runtime import Container
from reconciler.model import kinds
from reconciler.model.pod import Pod
from reconciler.store.protocol import Change, Event
from tests.sim.engine import Host
from tests.sim.manifests import SECRET

_ASKED = (137, 143)
"""Exit codes of a container that was told to end."""

_SECRETS = (SECRET, b64encode(SECRET.encode()).decode())
_SECRET_BYTES = tuple(each.encode() for each in _SECRETS)


class Broken(Exception):
    """A law does not hold."""


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


@dataclass(slots=True)
class ControllerFacts:
    uid: str
    replicas: int
    surge: int
    unavailable: int
    since: float


class Laws:
    """Everything that was seen so far. `now` is virtual time."""

    def __init__(self, now: Callable[[], float], broken: Callable[[str], None]) -> None:
        self._now, self._tell = now, broken
        self.hosts: list[Host] = []
        self.revision = 0
        self.pods: dict[tuple[str, str], PodFacts] = {}
        self.uids: dict[str, tuple[str, str, str]] = {}
        self.controllers: dict[str, list[ControllerFacts]] = {}
        self.namespaces: dict[str, bool] = {}
        self.unready_nodes: set[str] = set()
        self.always_declared: set[tuple[str, str, str]] | None = None
        self.troubled = 0.0
        self.cluster_ips: dict[tuple[str, str], str] = {}
        self.applied = ""
        self.asked = False
        self.sound: Callable[[str], bool] = lambda _revision: True
        self.related: Callable[[str, str], bool] = lambda _old, _new: True
        self._changes: dict[str, list[int]] = {}
        self._watchers: dict[object, tuple[str, int]] = {}

    def broken(self, law: str, what: str) -> None:
        self._tell(f"{law}: {what}")

    def written(self, event: Event) -> None:
        """See a durable change."""
        record = event.record
        if record.revision <= self.revision:
            self.broken("revisions grow", f"{record.key} at {record.revision}")
        self.revision = record.revision
        kind, namespace, name = record.key
        self._changes.setdefault(kind, []).append(record.revision)
        if kind != "Secret" and any(each in record.value for each in _SECRET_BYTES):
            self.broken("secrets stay secret", f"{record.key} has one")
        gone = event.change is Change.DELETED
        if kind in ("Event", "ProxyState.gitops.reconciler.dev"):
            return
        body = orjson.loads(record.value)
        uid = body["metadata"].get("uid", "")
        if gone:
            self.uids.pop(uid, None)
        else:
            self.uids[uid] = (kind, namespace, name)
        self._look_at(event, body, gone=gone)

    def _look_at(self, event: Event, body: dict[str, Any], *, gone: bool) -> None:
        kind, namespace, name = event.record.key
        match kind:
            case "Pod":
                self._pod(event, body, gone=gone)
            case "ReplicationController":
                self._controller(body, gone=gone)
            case "Namespace":
                self.namespaces[name] = "deletionTimestamp" in body["metadata"]
            case "Node":
                self._node(name, body)
            case "Service":
                self._service((namespace, name), body, gone=gone)
            case "Source.gitops.reconciler.dev":
                self._source(body)

    def watched(self, watcher: object, kind: type[Any], revision: int) -> None:
        """See what a watcher gets: its first call says from where, each other one is an event."""
        name = kinds.of(kind).key_kind
        known = self._watchers.get(watcher)
        changes = self._changes.get(name, [])
        if known is None:
            place = len(changes)
            while place and changes[place - 1] > revision:
                place -= 1
            self._watchers[watcher] = (name, place)
            return
        place = known[1]
        if place >= len(changes) or changes[place] != revision:
            wanted = changes[place] if place < len(changes) else None
            self.broken("each change once and in order", f"{name} {revision}, expected {wanted}")
        self._watchers[watcher] = (name, place + 1)

    def _node(self, name: str, body: dict[str, Any]) -> None:
        conditions = body.get("status", {}).get("conditions", [])
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        (self.unready_nodes.discard if ready else self.unready_nodes.add)(name)

    def _service(self, key: tuple[str, str], body: dict[str, Any], *, gone: bool) -> None:
        self.cluster_ips.pop(key, None)
        address = body["spec"].get("clusterIP", "")
        if gone or address in ("", "None"):
            return
        if address in self.cluster_ips.values():
            self.broken("no address used twice", f"{address} of service {key}")
        self.cluster_ips[key] = address

    def _source(self, body: dict[str, Any]) -> None:
        """What is applied builds on what was, or is an earlier state of it, unless asked for."""
        before, now = self.applied, body.get("status", {}).get("appliedRevision", "")
        if not now or now == before:
            return
        self.applied = now
        if not self.sound(now):
            self.broken("a bad file rejects its revision whole", now[:12])
        if before and not self.asked and not self.related(before, now):
            self.broken("a rewritten history waits for a person", f"{now[:12]} after {before[:12]}")

    def _pod(self, event: Event, body: dict[str, Any], *, gone: bool) -> None:
        key, value = event.record.key[1:], event.record.value
        if gone:
            self._released(self.pods.pop(key, None))
            return
        facts = _pod_facts(body, value)
        before = self.pods.get(key)
        if before is not None and before.ready and not facts.ready:
            self._check_unready(before, facts)
        self.pods[key] = facts
        if event.change is Change.ADDED and facts.owner:
            self._check_surge(facts)

    def _check_unready(self, before: PodFacts, now: PodFacts) -> None:
        """A pod whose containers run on may lose its readiness to its probe and node only."""
        if now.terminating or now.uid != before.uid or now.node in self.unready_nodes:
            return
        spec = orjson.loads(now.value)["spec"]["containers"]
        if any(
            c.get("readinessProbe", {}).get("exec", {}).get("command") == ["false"] for c in spec
        ):
            return
        told = {s["containerID"] for s in orjson.loads(before.value)["status"]["containerStatuses"]}
        ours = [c for h in self.hosts for c in h.engine.containers() if c.pod.uid == now.uid]
        running = {f"docker://{c.id}" for c in ours if c.running}
        if told <= running and any(c.is_sandbox and c.running for c in ours):
            self.broken("what serves is not cut off", f"{now.name} is unready, its containers run")

    def _check_surge(self, made: PodFacts) -> None:
        versions = self.controllers.get(made.owner)
        if not versions:
            return
        recent = [v for v in versions if v is versions[-1] or v.since > self._now() - 20]
        most = max(v.replicas + v.surge for v in recent)
        active = [p for p in self.pods.values() if p.owner == made.owner and _active(p)]
        if len(active) > most:
            names = sorted(pod.name for pod in active)
            self.broken("never more pods than surge allows", f"{names}, at most {most}")

    def _controller(self, body: dict[str, Any], *, gone: bool) -> None:
        uid = body["metadata"]["uid"]
        if gone:
            self.controllers.pop(uid, None)
            return
        notes = body["metadata"].get("annotations", {})
        surge = int(notes.get("reconciler.dev/max-surge", 1))
        unavailable = int(notes.get("reconciler.dev/max-unavailable", 0))
        unavailable = unavailable if surge or unavailable else 1
        replicas = body["spec"].get("replicas", 1)
        versions = self.controllers.setdefault(uid, [])
        if not versions or (replicas, surge, unavailable) != (
            versions[-1].replicas, versions[-1].surge, versions[-1].unavailable,
        ):  # fmt: skip
            if versions:
                versions[-1].since = self._now()
            versions.append(ControllerFacts(uid, replicas, surge, unavailable, self._now()))

    def deleting(
        self, part: str, kind: type[Any], name: str, namespace: str, grace: int | None
    ) -> None:
        """See that a part of the program asks for a deletion."""
        what = kinds.of(kind).key_kind
        match part:
            case "sync":
                key = (what, namespace, name)
                if what != "Pod" and key in (self.always_declared or ()):
                    self.broken("nothing deleted that no rule deletes", f"sync deletes {key}")
            case "replication":
                self._rolled(self.pods.get((namespace, name)))
            case "namespace":
                if self.namespaces.get(namespace) is False:
                    self.broken("nothing deleted that no rule deletes", f"{namespace} {name}")
            case "nodelifecycle":
                pod = self.pods.get((namespace, name))
                if pod is not None and pod.node not in self.unready_nodes and self.calm(60):
                    self.broken("nothing deleted that no rule deletes", f"evicted {name}")

    def calm(self, seconds: float) -> bool:
        """Say whether nothing was disturbed for so long."""
        return self._now() - self.troubled > seconds

    def _rolled(self, pod: PodFacts | None) -> None:
        """A controller deletes a ready pod: enough others must be ready while all is calm."""
        if pod is None or not pod.ready or pod.terminating or not self.calm(45):
            return
        versions = self.controllers.get(pod.owner)
        if not versions or self._now() - versions[-1].since < 1:
            return
        now = versions[-1]
        ready = [p for p in self.pods.values() if p.owner == pod.owner and _active(p) and p.ready]
        if len(ready) - 1 < now.replicas - now.unavailable:
            text = f"{pod.name} is deleted, {len(ready)} are ready, {now.replicas} wanted"
            self.broken("never fewer ready than unavailable allows", text)

    def _released(self, pod: PodFacts | None) -> None:
        """A pod's object goes: nothing of it may run any more."""
        if pod is None or not orjson.loads(pod.value)["spec"].get("terminationGracePeriodSeconds"):
            return  # without any grace its object goes at once: Kubernetes' rule
        running = [
            c.state.name
            for host in self.hosts
            for c in host.engine.containers()
            if c.pod.uid == pod.uid and c.running
        ]
        if running:
            self.broken("a pod's object outlives its containers", f"{running} still run")

    def happened(self, host: Host, what: str, state: Container) -> None:
        """See an effect of an engine."""
        container = PodContainer(state)
        if MANAGED not in state.labels:
            if what == "destroy":
                self.broken("nothing of others is touched", f"{state.name} {what}")
            return
        if what == "create":
            spec = repr(host.engine.spec_of(state.id))
            if any(each in spec for each in _SECRETS):
                self.broken("secrets stay secret", f"{state.name}'s engine spec has one")
        if what == "die" and state.exit_code not in _ASKED:
            self.troubled = self._now()
        if what == "die" and container.is_sandbox:
            host.network.sandbox_ended(state.name)
        if what == "start":
            twins = [
                c.state.name
                for other in self.hosts
                for c in other.engine.containers()
                if c.running and c.id != state.id
                and c.pod.uid == container.pod.uid and c.name == container.name
            ]  # fmt: skip
            if twins:
                text = f"{state.name} starts beside {twins}"
                self.broken("no two containers for one pod's container", text)

    def attached(self, host: Host, address: str, link: str) -> None:
        """See a link made."""
        for other in self.hosts:
            for name, (_, taken) in other.network.attached.items():
                if taken == address and (other is not host or name != link):
                    self.broken("no address used twice", f"{address} on {link} and {name}")

    def ending(self, host: Host, name_or_id: str, verb: str) -> None:
        """See that the program itself ends a container; a running one needs a reason."""
        container = next(
            (c for c in host.engine.containers() if name_or_id in (c.id, c.state.name)), None
        )
        if container is None or not container.running:
            return
        pod = self.pods.get((container.pod.namespace, container.pod.name))
        if pod is None or pod.uid != container.pod.uid or pod.terminating or pod.over:
            return
        boxes = [
            c for c in host.engine.containers()
            if c.pod.uid == pod.uid and c.is_sandbox and c.running
        ]  # fmt: skip
        if not boxes or any(link_name(b.state.name) not in host.network.attached for b in boxes):
            return
        if container.is_sandbox or self._outdated(container, pod):
            return
        if container.sandbox not in {box.id for box in boxes}:
            return
        self.broken("no needless restart", f"{verb} of {container.state.name}, which is as wanted")

    def _outdated(self, container: PodContainer, pod: PodFacts) -> bool:
        spec = Pod.model_validate_json(pod.value).spec
        hashes = [spec_hash(c) for c in spec.containers if c.name == container.name]
        return container.spec_hash not in hashes

    def told(self, line: str) -> None:
        """See a line of the log."""
        if any(each in line for each in _SECRETS):
            self.broken("secrets stay secret", f"the log says {line[:200]}")


def _active(pod: PodFacts) -> bool:
    return not pod.terminating and not pod.over


def _pod_facts(body: dict[str, Any], value: bytes) -> PodFacts:
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
    )
