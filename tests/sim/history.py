"""A history: what people and misfortune do, when. A whole one is drawn by `draw.py`."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
class NetAway:
    """The agent of a node and the daemon do not reach each other for a while."""

    node: int
    seconds: float


@dataclass(frozen=True, slots=True)
class NewKey:
    """Somebody puts a new key in front of the store's; the next start uses it."""


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
    Commit
    | Crash
    | Stop
    | Reboot
    | EngineAway
    | NetAway
    | NewKey
    | GitAway
    | DiskFull
    | ClockJump
    | Kill
    | Hand
    | Arm
)


@dataclass(frozen=True, slots=True)
class Step:
    """`what` happens `at` virtual seconds."""

    at: float
    what: What


@dataclass(frozen=True, slots=True)
class History:
    """A world and what happens in it. `kept` are the numbers of the steps drawn that happen.

    `lag` is how late watches are in the mean, `keep` how long what is pruned rests, both in
    seconds; with `accounts` pods get tokens.
    """

    seed: int
    nodes: int
    disorder: float
    lag: float
    steps: tuple[Step, ...]
    kept: tuple[int, ...]
    keep: float = 0.0
    accounts: bool = False

    def only(self, kept: tuple[int, ...]) -> History:
        """Return the history in which only the steps of these numbers happen."""
        return replace(self, kept=kept)

    def happening(self) -> list[Step]:
        """Return the steps in the order in which they happen."""
        return sorted((self.steps[number] for number in self.kept), key=lambda step: step.at)

    @property
    def name(self) -> str:
        """How to replay it: the seed, and the steps kept when not all of them are."""
        if len(self.kept) == len(self.steps):
            return str(self.seed)
        return f"{self.seed}:{','.join(map(str, self.kept))}"
