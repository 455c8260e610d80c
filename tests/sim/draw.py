"""Draws the history of a seed. The same seed always gives the same one."""

from __future__ import annotations

from random import Random

from tests.sim import manifests
from tests.sim.faults import Fault
from tests.sim.history import (
    SPAN,
    Arm,
    ClockJump,
    Commit,
    Crash,
    DiskFull,
    EngineAway,
    GitAway,
    Hand,
    History,
    Kill,
    NetAway,
    NewKey,
    Reboot,
    Step,
    Stop,
    What,
)
from tests.sim.misfortunes import (
    AT_CALLS,
    CALLS,
    DEATHS,
    EFFECTS,
    HANDS,
    KINDS,
    LISTS,
    OTHERS,
    RESEAL,
    UNSEEN,
    WATCHES,
)

IN_TURN = 2
"""Of so many seeds one has, beside what chance gives it, faults that all seeds take in turn."""


def drawn(seed: int) -> History:
    """Draw the history of a seed."""
    random = Random(f"history {seed}")
    nodes = random.choice((1, 1, 2))
    tree = manifests.first(random)
    commits = [Step(0.0, Commit(tree))]
    for _ in range(random.randrange(1, 5)):
        tree = manifests.changed(random, tree)
        at = random.uniform(5, SPAN) if random.random() < 0.8 else commits[-1].at + 0.2
        commits.append(Step(at, Commit(tree, rewrite=random.random() < 0.08)))
    misfortunes = random.choice((0, 1, 2, 4, 8))
    steps = [*commits]
    for _ in range(misfortunes):
        at = _when(random, commits)
        steps += _with_company(random, at, _misfortune(random, nodes))
    steps.sort(key=lambda step: step.at)
    disorder = random.choice((0.0, 0.0, 0.1, 0.5))
    lag = random.choice((0.0, 0.0, 0.05, 0.5))
    keep = random.choice((0.0, 0.0, 15.0))
    accounts = random.random() < 0.25
    if seed % IN_TURN:
        for what in _in_turn(random, seed // IN_TURN):
            steps += _with_company(random, _when(random, commits), what)
            nodes = max(nodes, _node(what) + 1)
    every = tuple(range(len(steps)))
    return History(seed, nodes, disorder, lag, tuple(steps), every, keep, accounts)


def _when(random: Random, commits: list[Step]) -> float:
    """Draw a time: often while a commit is being worked on, for there most goes wrong."""
    if random.random() < 0.5:
        return random.uniform(0, SPAN)
    return min(random.choice(commits).at + random.expovariate(0.3), SPAN)


def _with_company(random: Random, at: float, what: What) -> list[Step]:
    """Return a misfortune, and what has to go with it to be felt."""
    steps = [Step(at, what)]
    match what:
        case NewKey():
            steps.append(Step(at + random.uniform(0, 20), Stop(0.5)))
        case Arm(Fault(point=point)) if point.startswith("list."):
            steps.append(Step(at, Arm(Fault(point.replace("list", "watch") + ".*", "cut"))))
        case Arm(Fault(point=point)) if point == RESEAL[0]:
            steps += [Step(at, NewKey()), Step(at, Stop(0.5))]
    return steps


def _in_turn(random: Random, turn: int) -> list[What]:
    """Return a fault of each sort: as many turns as a sort has kinds bring all of them."""
    call, how = AT_CALLS[turn % len(AT_CALLS)]
    unseen, way = UNSEEN[turn % len(UNSEEN)]
    others = (
        *(
            Arm(Fault(point, effect, int(_is_of_agents(point)), seconds=8.0))
            for point, effect in OTHERS
        ),
        NetAway(1, 30.0),
    )
    people = (
        *(Hand(word, random.randrange(6)) for word in HANDS),
        *(Kill(0, random.randrange(8), death) for death in DEATHS),
    )
    return [
        Arm(Fault(call, how, seconds=2.0)),
        Arm(Fault(unseen, way, seconds=8.0)),
        others[turn % len(others)],
        people[turn % len(people)],
    ]


def _node(what: What) -> int:
    """Return the node that a misfortune is about: one that only agents meet needs a second."""
    match what:
        case Arm(Fault(node=node)) | NetAway(node):
            return node
        case _:
            return 0


def _is_of_agents(point: str) -> bool:
    """Say whether only those processes meet a fault that are not the daemon."""
    return point.startswith("api.")


def _misfortune(random: Random, nodes: int) -> What:
    node = random.randrange(nodes)
    kind = random.randrange(22)
    if kind < 4:
        return Crash(node, random.randrange(1, 400), random.choice((0.5, 3.0, 30.0)))
    if kind < 9:
        call, effect = random.choice(CALLS), random.choice(EFFECTS)
        seconds = random.choice((0.5, 2.0, 40.0)) if effect == "hang" else 0.5
        return Arm(Fault(call, effect, node, random.randrange(3), seconds))
    if kind < 12:
        point, effect = random.choice(OTHERS)
        here = node if point.startswith(("kernel", "event", "api")) else 0
        return Arm(Fault(point, effect, here, random.randrange(6), random.choice((1.0, 8.0))))
    if kind < 15:
        return _unseen(random)
    return _rest(random, node)


def _unseen(random: Random) -> What:
    """Draw something that keeps a part of the program from seeing what is."""
    kind = random.choice(KINDS)
    if random.random() < 0.3:
        return Arm(Fault(f"list.{kind}", random.choice(LISTS), seconds=random.choice((2.0, 15.0))))
    effect, seconds = random.choice(WATCHES), random.choice((1.0, 8.0, 30.0))
    if random.random() < 0.4:
        return Arm(Fault(f"watch.{kind}.DELETED", effect, seconds=seconds))
    return Arm(Fault(f"watch.{kind}.*", effect, skip=random.randrange(4), seconds=seconds))


def _rest(random: Random, node: int) -> What:
    rest: tuple[What, ...] = (
        Stop(random.choice((0.5, 10.0))),
        Reboot(node, random.choice((2.0, 20.0, 60.0))),
        EngineAway(node, random.choice((1.0, 15.0))),
        NetAway(node, random.choice((5.0, 60.0))) if node else GitAway(5.0),
        NewKey() if random.random() < 0.7 else Arm(Fault("store.reseal", "crash")),
        GitAway(random.choice((5.0, 40.0))),
        DiskFull(random.choice((1.0, 10.0))),
        ClockJump(random.choice((-3600.0, -30.0, 30.0, 3600.0))),
        Kill(node, random.randrange(8), random.choice(DEATHS)),
        Kill(node, random.randrange(8), random.choice(DEATHS)),
        *(Hand(random.choice(HANDS), random.randrange(6)) for _ in range(3)),
    )
    return random.choice(rest)
