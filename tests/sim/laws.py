"""The laws that hold in every state, checked as each effect happens.

`written` sees each durable change, `happened` each effect of an engine, `attached` each link. The
first breach ends the history.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from reconciler.kubelet.labels import MANAGED, PodContainer
from reconciler.kubelet.podnetwork import link_name
from reconciler.kubelet.roster import spec_hash
from reconciler.kubelet.runtime import Container
from reconciler.model import kinds
from reconciler.model.meta import ObjectKey
from reconciler.model.pod import Pod
from reconciler.model.retirement import REMOVE_AT
from reconciler.store.protocol import Change, Event
from tests.sim.engine import Host
from tests.sim.facts import (
    SECRET_BYTES,
    SECRETS,
    SERVICE_RANGE,
    ControllerFacts,
    PodFacts,
    pod_facts,
)
from tests.sim.storelaws import StoreLaws

_ASKED = (137, 143)
"""Exit codes of a container that was told to end."""

_PROMPT = 30.0
"""Seconds in which a pod has ended when its grace is over and nothing is disturbed."""

_LOOKED_AT = frozenset((
    "Pod", "ReplicationController", "Namespace", "Node", "Service",
    "Source.gitops.reconciler.dev", "Revision.gitops.reconciler.dev",
))  # fmt: skip
"""Kinds of which a law reads more than that they go."""

_ADDRESSES = frozenset(map(str, SERVICE_RANGE.hosts()))

_LAG = 5.0
"""Seconds within which a kubelet hears that a pod is wanted otherwise: watches lag."""


class Laws:
    """Everything that was seen so far. `now` is virtual time."""

    def __init__(self, now: Callable[[], float], broken: Callable[[str], None]) -> None:
        self._now, self._tell = now, broken
        self.hosts: list[Host] = []
        self._store = StoreLaws(self.broken)
        self.pods: dict[tuple[str, str], PodFacts] = {}
        self.controllers: dict[str, list[ControllerFacts]] = {}
        self.namespaces: dict[str, bool] = {}
        self.unready_nodes: set[str] = set()
        self.always_declared: set[tuple[str, str, str]] | None = None
        self.troubled = 0.0
        self.keep = 0.0
        self.lossy = False
        self._resting: set[tuple[str, str]] = set()
        self._resumed: dict[tuple[str, str], float] = {}
        self._former: dict[tuple[str, str], tuple[float, PodFacts]] = {}  # with other images
        self._ended: set[str] = set()  # containers that were told to end, for a reason
        self._proven: set[tuple[str, str]] = set()  # controllers that were there in health
        self._made: set[tuple[str, str]] = set()
        self._undoing = False
        self.cluster_ips: dict[tuple[str, str], str] = {}
        self._terminating: dict[tuple[str, str], float] = {}
        self.node_ports: dict[tuple[str, str], set[int]] = {}
        self.applied = ""
        self.asked = False
        self.sound: Callable[[str], bool] = lambda _revision: True
        self.related: Callable[[str, str], bool] = lambda _old, _new: True

    def broken(self, law: str, what: str) -> None:
        self._tell(f"{law}: {what}")

    def written(self, event: Event, expected: int | None) -> None:
        """See a durable change, whose writer had read the revision `expected`."""
        self._store.written(event, expected)
        gone = event.change is Change.DELETED
        if not gone and event.record.key.kind not in _LOOKED_AT:
            return
        body = orjson.loads(event.record.value)
        if gone and body["metadata"].get("finalizers"):
            self.broken("finalizers hold an object", f"{event.record.key} is gone")
        self._look_at(event, body, gone=gone)

    def sealed(self, key: ObjectKey, row: bytes) -> None:
        """See what lies on the disk for a durable change."""
        if any(each in row for each in SECRET_BYTES):
            self.broken("secrets stay secret", f"{key} lies on the disk in plain text")

    def _look_at(self, event: Event, body: dict[str, Any], *, gone: bool) -> None:
        kind, namespace, name = event.record.key
        match kind:
            case "Pod":
                self._pod(event, body, gone=gone)
            case "ReplicationController":
                self._controller(body, gone=gone)
                self._rests((namespace, name), body, gone=gone)
            case "Namespace":
                self.namespaces[name] = "deletionTimestamp" in body["metadata"]
            case "Node":
                self._node(name, body)
            case "Service":
                self._service((namespace, name), body, gone=gone)
            case "Source.gitops.reconciler.dev":
                self._source(body)
            case "Revision.gitops.reconciler.dev" if event.change is Change.ADDED:
                self._undoing = bool(body["spec"].get("rollbackOf"))

    def _rests(self, key: tuple[str, str], body: dict[str, Any], *, gone: bool) -> None:
        rests = REMOVE_AT in body["metadata"].get("annotations", {})
        (self._resting.add if rests else self._resting.discard)(key)
        (self._made.discard if gone else self._made.add)(key)
        if gone:
            self._proven.discard(key)

    def watched(self, watcher: object, kind: type[Any], revision: int) -> None:
        """See what a watcher gets: see `StoreLaws.watched`."""
        self._store.watched(watcher, kind, revision)

    def _node(self, name: str, body: dict[str, Any]) -> None:
        conditions = body.get("status", {}).get("conditions", [])
        ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
        (self.unready_nodes.discard if ready else self.unready_nodes.add)(name)

    def _service(self, key: tuple[str, str], body: dict[str, Any], *, gone: bool) -> None:
        self.cluster_ips.pop(key, None)
        self.node_ports.pop(key, None)
        if gone:
            return
        address = body["spec"].get("clusterIP", "")
        if address not in ("", "None") and address in self.cluster_ips.values():
            self.broken("no address used twice", f"{address} of service {key}")
        if address not in ("", "None") and address not in _ADDRESSES:
            self.broken("services have addresses of their range", f"{address} of service {key}")
        ports = {port["nodePort"] for port in body["spec"]["ports"] if port.get("nodePort")}
        if taken := ports & self._taken_ports():
            self.broken("no address used twice", f"node port {taken} of service {key}")
        if address not in ("", "None"):
            self.cluster_ips[key] = address
        self.node_ports[key] = ports

    def _taken_ports(self) -> set[int]:
        return set().union(*self.node_ports.values())

    def _source(self, body: dict[str, Any]) -> None:
        """What is applied builds on what was, or is an earlier state of it, unless asked for."""
        status = body.get("status", {})
        blind = any(
            c["type"] == "Fetched" and c["status"] == "False" for c in status.get("conditions", ())
        )
        if status.get("phase") == "Healthy":
            self._proven |= self._made
            if blind:
                self.broken("a source that cannot be read says so", "it is called Healthy")
        before, now = self.applied, status.get("appliedRevision", "")
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
            self._released(self.pods.pop(key, None), self._terminating.pop(key, self._now()))
            return
        facts = pod_facts(body, value)
        if facts.terminating:
            self._terminating.setdefault(key, self._now())
        before = self.pods.get(key)
        if before is not None and before.ready and not facts.ready:
            self._check_unready(before, facts)
        if before is not None and before.stopped and not facts.stopped:
            self._resumed[key] = self._now()
        if before is not None and before.images != facts.images:
            self._former[key] = (self._now(), before)
        self.pods[key] = facts
        if event.change is Change.ADDED and facts.owner:
            self._check_surge(facts)

    def _check_unready(self, before: PodFacts, now: PodFacts) -> None:
        """A pod whose containers run on may lose its readiness to its probe and node only."""
        if now.terminating or now.uid != before.uid or now.node in self.unready_nodes:
            return
        if now.stopped:
            return
        spec = orjson.loads(now.value)["spec"]["containers"]
        if any(
            c.get("readinessProbe", {}).get("exec", {}).get("command") == ["false"] for c in spec
        ):
            return
        told = {s["containerID"] for s in orjson.loads(before.value)["status"]["containerStatuses"]}
        ours = [c for h in self.hosts for c in h.engine.containers() if c.pod.uid == now.uid]
        if any(c.running and not c.is_sandbox and self._outdated(c, now) for c in ours):
            return  # it is about to be replaced, and is taken off before
        boxes = {c.id for c in ours if c.is_sandbox and c.running}
        running = {f"docker://{c.id}" for c in ours if c.running and c.sandbox in boxes}
        if told <= running and boxes:
            self.broken("what serves is not cut off", f"{now.name} is unready, its containers run")

    def _check_surge(self, made: PodFacts) -> None:
        versions = self.controllers.get(made.owner)
        if not versions:
            return
        recent = [v for v in versions if v is versions[-1] or v.since > self._now() - 20]
        most = max(v.replicas + v.surge for v in recent)
        active = [p for p in self.pods.values() if p.owner == made.owner and p.active]
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
                if what == "ReplicationController" and self.keep and self._hasty(key[1:]):
                    self.broken("what is pruned rests first", f"sync deletes {key}")
            case "replication":
                self._rolled(self.pods.get((namespace, name)))
            case "namespace":
                if self.namespaces.get(namespace) is False:
                    self.broken("nothing deleted that no rule deletes", f"{namespace} {name}")
            case "nodelifecycle":
                pod = self.pods.get((namespace, name))
                if pod is not None and pod.node not in self.unready_nodes and self.calm(60):
                    self.broken("nothing deleted that no rule deletes", f"evicted {name}")

    def _hasty(self, key: tuple[str, str]) -> bool:
        """Say whether a controller that goes had to rest, as all but what only failed ones made."""
        return key not in self._resting and (not self._undoing or key in self._proven)

    def disturbed(self) -> None:
        """Take note that something goes wrong now, or has until now."""
        self.troubled = self._now()

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
        ready = [p for p in self.pods.values() if p.owner == pod.owner and p.active and p.ready]
        if len(ready) - 1 < now.replicas - now.unavailable:
            text = f"{pod.name} is deleted, {len(ready)} are ready, {now.replicas} wanted"
            self.broken("never fewer ready than unavailable allows", text)

    def _released(self, pod: PodFacts | None, since: float) -> None:
        """A pod's object goes: nothing of it may run any more, and it was not kept waiting."""
        grace = orjson.loads(pod.value)["spec"].get("terminationGracePeriodSeconds") if pod else 0
        if pod is None or not grace:
            return  # without any grace its object goes at once: Kubernetes' rule
        late = self._now() - since - grace
        if late > _PROMPT and self.calm(grace + _PROMPT) and not self.lossy:
            self.broken("a pod ends within its grace", f"{pod.name} ended {late:.0f} s late")
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
            if any(each in spec for each in SECRETS):
                self.broken("secrets stay secret", f"{state.name}'s engine spec has one")
        if what == "die" and state.exit_code not in _ASKED:
            self.disturbed()
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
        if container.id in self._ended or self._may_end(host, container):
            self._ended.add(container.id)  # what was told to end has to, whatever is wanted since
            return
        self.broken("no needless restart", f"{verb} of {container.state.name}, which is as wanted")

    def _may_end(self, host: Host, container: PodContainer) -> bool:
        key = (container.pod.namespace, container.pod.name)
        pod = self.pods.get(key)
        if pod is None or pod.uid != container.pod.uid or not pod.active or pod.stopped:
            return True
        if self._now() - self._resumed.get(key, -_LAG) < _LAG:
            return True
        changed, former = self._former.get(key, (-_LAG, pod))
        if self._now() - changed < _LAG and self._outdated(container, former):
            return True  # the kubelet has not heard yet that it is wanted again
        boxes = [
            c for c in host.engine.containers()
            if c.pod.uid == pod.uid and c.is_sandbox and c.running
        ]  # fmt: skip
        if not boxes or any(link_name(b.state.name) not in host.network.attached for b in boxes):
            return True
        if container.is_sandbox or self._outdated(container, pod):
            return True
        return container.sandbox not in {box.id for box in boxes}

    def _outdated(self, container: PodContainer, pod: PodFacts) -> bool:
        spec = Pod.model_validate_json(pod.value).spec
        hashes = [spec_hash(c) for c in spec.containers if c.name == container.name]
        return container.spec_hash not in hashes

    def told(self, line: str) -> None:
        """See a line of the log."""
        if any(each in line for each in SECRETS):
            self.broken("secrets stay secret", f"the log says {line[:200]}")
        if " revision.rolledback " in line:  # its Revision is written a moment later
            self._undoing = True
