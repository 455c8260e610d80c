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

_CALLS = (
    "docker.create", "docker.create", "docker.start", "docker.start", "docker.remove",
    "docker.signal", "docker.list", "docker.inspect", "docker.image", "docker.exec",
    "network.attach", "network.detach", "network.links",
)  # fmt: skip
_EFFECTS = ("refuse", "lost", "lost", "hang", "crash-before", "crash-after", "crash-half")
_KINDS = (
    "Pod", "Pod", "ReplicationController", "Node", "Service", "Endpoints", "EndpointSlice",
    "ConfigMap", "Secret", "Namespace", "Source.gitops.reconciler.dev",
)  # fmt: skip
_OTHERS = (
    ("store.write", "crash-before"), ("store.write", "crash-after"), ("store.write", "full"),
    ("store.write", "device-before"), ("store.write", "device-after"),
    ("kernel.apply", "refuse"), ("kernel.apply", "crash-before"), ("kernel.apply", "crash-after"),
    ("kernel.replace", "refuse"), ("git.fetch", "fail"), ("git.blob", "fail"),
    ("event.die", "lose"), ("event.die", "late"), ("event.die", "twice"), ("event.start", "lose"),
    ("api.update", "lost"), ("api.delete", "lost"), ("api.*", "refuse"), ("api.*", "late"),
)  # fmt: skip
_WATCHES = ("cut", "cut", "late", "late", "lose", "twice")
_LISTS = ("refuse", "late")
_DEATHS = ("die", "kill", "remove", "unheard", "vanish")
_HANDS = (
    "delete-pod", "scale", "edit-config", "delete-service", "delete-controller", "make-config",
    "label-pod", "edit-image", "flush-rules", "delete-endpoints", "delete-waiting", "make-service",
    "hold-config", "hold-controller", "undelete",
)  # fmt: skip


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
        steps += _misfortunes(random, _when(random, commits), nodes)
    steps.sort(key=lambda step: step.at)
    disorder = random.choice((0.0, 0.0, 0.1, 0.5))
    lag = random.choice((0.0, 0.0, 0.05, 0.5))
    keep = random.choice((0.0, 0.0, 15.0))
    accounts = random.random() < 0.25
    every = tuple(range(len(steps)))
    return History(seed, nodes, disorder, lag, tuple(steps), every, keep, accounts)


def _when(random: Random, commits: list[Step]) -> float:
    """Draw a time: often while a commit is being worked on, for there most goes wrong."""
    if random.random() < 0.5:
        return random.uniform(0, SPAN)
    return min(random.choice(commits).at + random.expovariate(0.3), SPAN)


def _misfortunes(random: Random, at: float, nodes: int) -> list[Step]:
    """Draw one misfortune, and what goes with it."""
    what = _misfortune(random, nodes)
    steps = [Step(at, what)]
    match what:
        case NewKey():
            steps.append(Step(at + random.uniform(0, 20), Stop(0.5)))
        case Arm(Fault(point=point)) if point.startswith("list."):
            steps.append(Step(at, Arm(Fault(point.replace("list", "watch") + ".*", "cut"))))
        case Arm(Fault(point="store.reseal")):
            steps += [Step(at, NewKey()), Step(at, Stop(0.5))]
    return steps


def _misfortune(random: Random, nodes: int) -> What:
    node = random.randrange(nodes)
    kind = random.randrange(22)
    if kind < 4:
        return Crash(node, random.randrange(1, 400), random.choice((0.5, 3.0, 30.0)))
    if kind < 9:
        call, effect = random.choice(_CALLS), random.choice(_EFFECTS)
        seconds = random.choice((0.5, 2.0, 40.0)) if effect == "hang" else 0.5
        return Arm(Fault(call, effect, node, random.randrange(3), seconds))
    if kind < 12:
        point, effect = random.choice(_OTHERS)
        here = node if point.startswith(("kernel", "event", "api")) else 0
        return Arm(Fault(point, effect, here, random.randrange(6), random.choice((1.0, 8.0))))
    if kind < 15:
        return _unseen(random)
    return _rest(random, node)


def _unseen(random: Random) -> What:
    """Draw something that keeps a part of the program from seeing what is."""
    kind = random.choice(_KINDS)
    if random.random() < 0.3:
        return Arm(Fault(f"list.{kind}", random.choice(_LISTS), seconds=random.choice((2.0, 15.0))))
    effect, seconds = random.choice(_WATCHES), random.choice((1.0, 8.0, 30.0))
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
        Kill(node, random.randrange(8), random.choice(_DEATHS)),
        Kill(node, random.randrange(8), random.choice(_DEATHS)),
        *(Hand(random.choice(_HANDS), random.randrange(6)) for _ in range(3)),
    )
    return random.choice(rest)
