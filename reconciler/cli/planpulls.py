"""Which images a plan brings to which nodes before anything stops. Pure; called by `plan`.

Sync asks for the same images; what a node has it says itself, in its status.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from reconciler.kubelet.node import MOST_IMAGES
from reconciler.model.affinity import selects
from reconciler.model.node import Node
from reconciler.sync.plan import Plan, Situation
from reconciler.sync.pulls import requests

_HUB = ("docker.io/library/", "index.docker.io/library/", "docker.io/", "index.docker.io/")


@dataclass(frozen=True, slots=True, order=True)
class Lacking:
    """An image that a node has to pull, or `never` pulls, so that the revision will fail.

    `unsure`: the node may have it, and has too many to name them all.
    """

    node: str
    image: str
    never: bool = False
    unsure: bool = False

    def __str__(self) -> str:
        verb = "is never pulled to" if self.never else "to"
        return f"{verb} node {self.node}{', unless it is there' if self.unsure else ''}"


def lacking(plan: Plan, situation: Situation, nodes: Iterable[Node]) -> tuple[Lacking, ...]:
    """Return what has to be pulled first, by node and image; without a node nothing is known.

    With the policy Always the registry is asked, and what is there is not fetched again.
    """
    known = {node.metadata.name: node for node in nodes}
    world = replace(
        situation, live={**situation.live, **{node.key: node for node in known.values()}}
    )
    asked = requests(plan, world, situation.source, "plan", selects)
    found = set()
    for pull in asked.pulls:
        node, images = pull.spec.node_name, known[pull.spec.node_name].status.images
        names = {plain_name(name) for image in images for name in image.names}
        for wanted in pull.spec.images:
            if plain_name(wanted.image) not in names:
                never, unsure = wanted.pull_policy == "Never", len(images) >= MOST_IMAGES
                found.add(Lacking(node, wanted.image, never, unsure))
    return tuple(sorted(found))


def plain_name(image: str) -> str:
    """Return an image's name as Docker writes it: no docker.io, a tag or a digest."""
    for prefix in _HUB:
        if image.startswith(prefix):
            image = image.removeprefix(prefix)
            break
    name, at, digest = image.partition("@")
    repository, colon, tag = name.rpartition(":")
    tagged = bool(colon) and "/" not in tag
    if at:
        return f"{repository if tagged else name}@{digest}"
    return name if tagged else f"{name}:latest"
