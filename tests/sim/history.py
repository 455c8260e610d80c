"""A history: what people and misfortune do, when. Drawn from a seed, or a part of one drawn."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.sim import manifests
from tests.sim.faults import Fault
from tests.sim.manifests import Tree

SPAN = 120.0
"""Virtual seconds in which things happen; afterwards there is peace."""


@dataclass(frozen=True, slots=True)
class Commit:
    """Somebody pushes. `rewrite` puts it on the commit before the last, not on the last."""

    tree: Tree
    rewrite: bool = False


@dataclass(frozen=True, slots=True)
class Crash:
    """A process is killed after `steps` more steps of the world, and started again later."""

    node: int
    steps: int
    away: float


@dataclass(frozen=True, slots=True)
class Stop:
    """The daemon is stopped in order, and started again later."""

    away: float


@dataclass(frozen=True, slots=True)
class Reboot:
    """A host goes down with all that runs on it, and comes up again."""

    node: int
    away: float


@dataclass(frozen=True, slots=True)
class EngineAway:
    """Docker does not answer for a while; its containers run on, its events are lost."""

    node: int
    seconds: float


@dataclass(frozen=True, slots=True)
class GitAway:
    seconds: float


@dataclass(frozen=True, slots=True)
class DiskFull:
    seconds: float


@dataclass(frozen=True, slots=True)
class ClockJump:
    seconds: float


@dataclass(frozen=True, slots=True)
class Kill:
    """A container dies by itself or by somebody's hand; `pick` chooses among those there are.

    The events of one that dies "unheard", or that somebody lets "vanish", are lost.
    """

    node: int
    pick: int
    how: str


@dataclass(frozen=True, slots=True)
class Hand:
    """Somebody with kubectl does something; `pick` chooses the object."""

    what: str
    pick: int


@dataclass(frozen=True, slots=True)
class Arm:
    """The next call that fits suffers the fault."""

    fault: Fault


What = (
    Commit | Crash | Stop | Reboot | EngineAway | GitAway | DiskFull | ClockJump | Kill | Hand | Arm
)


@dataclass(frozen=True, slots=True)
class Step:
    """`what` happens `at` virtual seconds."""

    at: float
    what: What


@dataclass(frozen=True, slots=True)
class History:
    """A world and what happens in it. `kept` are the numbers of the steps drawn that happen."""

    seed: int
    nodes: int
    disorder: float
    lag: float
    steps: tuple[Step, ...]
    kept: tuple[int, ...]

    def only(self, kept: tuple[int, ...]) -> History:
        """Return the history in which only the steps of these numbers happen."""
        return History(self.seed, self.nodes, self.disorder, self.lag, self.steps, kept)

    def happening(self) -> list[Step]:
        return [self.steps[number] for number in self.kept]

    @property
    def name(self) -> str:
        """How to replay it: the seed, and the steps kept when not all of them are."""
        if len(self.kept) == len(self.steps):
            return str(self.seed)
        return f"{self.seed}:{','.join(map(str, self.kept))}"


def drawn(seed: int) -> History:
    """Draw the history of a seed."""
    random = Random(f"history {seed}")
    nodes = random.choice((1, 1, 2))
    tree = manifests.first(random)
    steps = [Step(0.0, Commit(tree))]
    for _ in range(random.randrange(1, 5)):
        tree = manifests.changed(random, tree)
        at = random.uniform(5, SPAN) if random.random() < 0.8 else steps[-1].at + 0.2
        steps.append(Step(at, Commit(tree, rewrite=random.random() < 0.08)))
    misfortunes = random.choice((0, 1, 2, 4, 8))
    steps += [Step(random.uniform(0, SPAN), _misfortune(random, nodes)) for _ in range(misfortunes)]
    steps.sort(key=lambda step: step.at)
    disorder = random.choice((0.0, 0.0, 0.1, 0.5))
    lag = random.choice((0.0, 0.0, 0.05, 0.5))
    return History(seed, nodes, disorder, lag, tuple(steps), tuple(range(len(steps))))


_CALLS = (
    "docker.create", "docker.create", "docker.start", "docker.start", "docker.remove",
    "docker.signal", "docker.list", "docker.inspect", "docker.image", "docker.exec",
    "network.attach", "network.detach", "network.links",
)  # fmt: skip
_EFFECTS = ("refuse", "lost", "lost", "hang", "crash-before", "crash-after", "crash-half")
_OTHERS = (
    ("store.write", "crash-before"), ("store.write", "crash-after"), ("store.write", "full"),
    ("kernel.apply", "refuse"), ("kernel.apply", "crash-before"), ("kernel.apply", "crash-after"),
    ("kernel.replace", "refuse"), ("git.fetch", "fail"), ("git.blob", "fail"),
    ("event.die", "lose"), ("event.die", "late"), ("event.die", "twice"), ("event.start", "lose"),
    ("watch.Pod", "cut"), ("watch.Pod", "late"), ("watch.Pod", "lose"), ("watch.*", "cut"),
    ("watch.ReplicationController", "late"), ("watch.Node", "cut"), ("watch.*", "twice"),
    ("api.update", "lost"), ("api.delete", "lost"), ("api.*", "refuse"),
)  # fmt: skip


def _misfortune(random: Random, nodes: int) -> What:
    node = random.randrange(nodes)
    kind = random.randrange(20)
    if kind < 4:
        return Crash(node, random.randrange(1, 400), random.choice((0.5, 3.0, 30.0)))
    if kind < 10:
        call, effect = random.choice(_CALLS), random.choice(_EFFECTS)
        seconds = random.choice((0.5, 2.0, 40.0)) if effect == "hang" else 0.5
        return Arm(Fault(call, effect, node, random.randrange(3), seconds))
    if kind < 14:
        point, effect = random.choice(_OTHERS)
        here = node if point.startswith(("kernel", "event", "api")) else 0
        return Arm(Fault(point, effect, here, random.randrange(6), random.choice((1.0, 8.0))))
    rest: tuple[What, ...] = (
        Stop(random.choice((0.5, 10.0))),
        Reboot(node, random.choice((2.0, 20.0, 60.0))),
        EngineAway(node, random.choice((1.0, 15.0))),
        GitAway(random.choice((5.0, 40.0))),
        DiskFull(random.choice((1.0, 10.0))),
        ClockJump(random.choice((-3600.0, -30.0, 30.0, 3600.0))),
        Kill(node, random.randrange(8), random.choice(_DEATHS)),
        Kill(node, random.randrange(8), random.choice(_DEATHS)),
        Hand(random.choice(_HANDS), random.randrange(6)),
        Hand(random.choice(_HANDS), random.randrange(6)),
    )
    return random.choice(rest)


_DEATHS = ("die", "kill", "remove", "unheard", "vanish")
_HANDS = (
    "delete-pod", "scale", "edit-config", "delete-service", "delete-controller", "make-config",
    "label-pod", "edit-image", "flush-rules", "delete-endpoints",
)  # fmt: skip
