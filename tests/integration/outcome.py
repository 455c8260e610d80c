"""What a proof under load saw: which requests failed, and what had then happened to the pods."""

from __future__ import annotations

import json
import math
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from tests.integration.load import Failure, Load

_TRY_AGAIN = 1.0  # after so many seconds TCP does


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that Docker said of a pod's container or sandbox."""

    at: float
    pod: str
    what: str
    address: str


@dataclass(frozen=True, slots=True)
class Kill:
    """A pod that was killed, and how: when the order was given, when its server was dead."""

    pod: str
    address: str
    way: str
    ordered: float
    died: float


@dataclass(slots=True)
class Timeline:
    """What Docker says of the containers of a namespace's pods, as it happens."""

    namespace: str
    seen: list[Happened] = field(default_factory=list)

    @contextmanager
    def follow(self) -> Iterator[None]:
        command = ["docker", "events", "--format", "{{json .}}"]
        command += ["--filter", f"label=io.kubernetes.pod.namespace={self.namespace}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            thread = threading.Thread(target=self._read, args=(process,))
            thread.start()
            try:
                yield
            finally:
                process.terminate()
                thread.join()

    def _read(self, process: subprocess.Popen[str]) -> None:
        for line in process.stdout or ():
            event = json.loads(line)
            labels = event["Actor"]["Attributes"]
            what = f"{labels.get('io.kubernetes.container.name', 'sandbox')} {event['Action']}"
            if signal := labels.get("signal"):
                what += f" {signal}"
            pod, address = labels["io.kubernetes.pod.name"], labels.get("reconciler.dev/pod-ip", "")
            self.seen.append(Happened(event["timeNano"] / 1e9, pod, what, address))

    def explain(self, failure: Failure) -> str:
        """Return what had happened, or soon did, to the pod that a failed request went to."""
        at = failure.began
        pods = {e.pod for e in self.seen if e.address == failure.backend and e.at < failure.ended}
        told = [
            f"{each.what} at {(each.at - at) * 1000:+.0f} ms"
            for each in self.seen
            if failure.backend and each.pod in pods and abs(each.at - at) < 1
        ]
        return f"{failure}; {', '.join(told) or 'nothing happened to a pod of that address'}"


@dataclass(slots=True)
class Outcome:
    """What one part of the proof saw."""

    title: str
    load: Load
    seconds: float = 0.0
    kills: list[Kill] = field(default_factory=list)

    def lost(self) -> list[Failure]:
        """Return the failures that no kill excuses: only what was open to the killed pod may fail.

        A connection that was made had been open before the server died; one that was not made
        must be made to another pod.
        """
        return [e for e in self.load.failures if e.phase == "connect" or not self._is_killed(e)]

    def windows(self) -> list[float]:
        """Return for how many seconds after each death connections still came to the dead pod.

        They were made at their second try, which is seen by the time that they took.
        """
        ends = [each.ordered for each in self.kills[1:]]
        return sorted(map(self._window, self.kills, [*ends, math.inf]))

    def _window(self, kill: Kill, until: float) -> float:
        until = min(until, kill.died + _TRY_AGAIN)
        found = [began - kill.died for began in self.load.retried if kill.died <= began < until]
        return max(found, default=0.0)

    def _is_killed(self, failure: Failure) -> bool:
        return any(
            kill.address == failure.backend and kill.ordered <= failure.ended for kill in self.kills
        )

    def report(self, timeline: Timeline) -> Iterator[str]:
        """Yield a line for the whole, and one for each request that failed."""
        yield self.summary()
        yield from (f"   {timeline.explain(failure)}" for failure in self.load.failures)

    def summary(self) -> str:
        load = self.load
        sent = f"{load.sent} requests in {self.seconds:.1f} s ({load.sent / self.seconds:.0f}/s)"
        failed = f"{len(load.failures)} failed, {len(self.lost())} of them not open to a killed pod"
        late = ""
        if windows := self.windows():
            middle, longest = median(windows) * 1000, windows[-1] * 1000
            late = f", {len(load.retried)} made at the second try,"
            late += (
                f" begun up to {middle:.0f} ms (median), {longest:.0f} ms (most) after the death"
            )
        slowest = f"slowest answer {load.slowest * 1000:.0f} ms"
        return f"{self.title}: {sent}, {failed}{late}, {load.unsent} not sent, {slowest}"
