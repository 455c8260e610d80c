"""What the people of a history declare: a small shop, changed a little by each commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import orjson

SECRET = "xyzzy-hunter2-plugh"  # noqa: S105 - it is to be looked for
"""In every secret of a history, and nowhere else."""

BROKEN = "broken.yaml"
"""The file of a commit that cannot be read."""

GOOD = ("app:1", "app:2", "app:3")
GONE = "gone:1"
"""An image that no registry has."""

NAMESPACES = ("default", "shop")
Manifest = dict[str, Any]
_SERVES: dict[str, list[str]] = {
    "serves": ["serve"],
    "stubborn": ["sh", "-c", "trap '' TERM; serve"],
}
_DEADLINE = 45
"""Seconds of progress that a rollout has, so that a bad one fails within a history."""


@dataclass(frozen=True, slots=True)
class App:
    """A controller with a service. `mood` is what its containers do; `fault` what is wrong."""

    name: str
    namespace: str = "default"
    replicas: int = 1
    image: str = "app:1"
    surge: int = 1
    unavailable: int = 0
    probed: bool = False
    secret: bool = False
    mood: str = "serves"
    fault: str = ""
    grace: int = 2


@dataclass(frozen=True, slots=True)
class Tree:
    """Everything that one commit declares. `broken` is a file that cannot be read."""

    apps: tuple[App, ...] = ()
    configs: tuple[tuple[str, str], ...] = ()
    lone: str = ""
    broken: bool = False
    number: int = 0

    @property
    def healthy(self) -> bool:
        return not self.broken and not any(app.fault for app in self.apps)


def first(random: Random) -> Tree:
    """Draw what a history begins with: always good."""
    apps = [_app(random, "web", "default")]
    if random.random() < 0.5:
        apps.append(_app(random, "api", random.choice(NAMESPACES)))
    return Tree(tuple(apps), (("settings", "v1"),), random.choice(("", "app:1")))


def _app(random: Random, name: str, namespace: str) -> App:
    surge = random.choice((0, 1, 1, 2))
    return App(
        name, namespace,
        replicas=random.choice((1, 2, 2, 3)),
        image=random.choice(GOOD),
        surge=surge,
        unavailable=random.choice((0, 1)) if surge else 1,
        probed=random.random() < 0.4,
        secret=random.random() < 0.4,
        mood=random.choice(("serves", "serves", "stubborn")),
    )  # fmt: skip


def changed(random: Random, tree: Tree) -> Tree:
    """Draw the next commit from the one before."""
    kind = random.choice(
        ("image", "image", "scale", "config", "bounds", "secret", "app", "lone", "bad")
    )
    tree = replace(tree, broken=False, number=tree.number + 1)
    apps = list(tree.apps)
    place = random.randrange(len(apps))
    app = replace(apps[place], fault="")
    match kind:
        case "image":
            app = replace(app, image=random.choice([i for i in GOOD if i != app.image]))
        case "scale":
            app = replace(app, replicas=random.randrange(0, 4))
        case "bounds":
            app = replace(app, surge=1, unavailable=random.randrange(2), grace=random.randrange(5))
        case "secret":
            app = replace(app, secret=not app.secret, probed=not app.probed)
        case "config":
            return replace(tree, configs=(("settings", f"v{tree.number}"), ("more", "x")))
        case "lone":
            return replace(tree, lone=random.choice(("", "app:1", "app:2")))
        case "app":
            if len(apps) > 1:
                return replace(tree, apps=(apps[0],))
            return replace(tree, apps=(*apps, _app(random, "api", random.choice(NAMESPACES))))
        case _:
            if random.random() < 0.4:
                return replace(tree, broken=True)
            app = replace(app, fault=random.choice(("crash", "missing", "unready")))
    apps[place] = app
    return replace(tree, apps=tuple(apps))


def healed(tree: Tree) -> Tree:
    """Return the tree without what is wrong with it, as the last commit of a history."""
    apps = tuple(replace(app, fault="") for app in tree.apps)
    return replace(tree, apps=apps, broken=False, number=tree.number + 1)


def files(tree: Tree) -> Mapping[str, bytes]:
    """Return the tree as the files of a commit."""
    found = {"commit.txt": str(tree.number).encode()}
    for manifest in manifests(tree):
        meta = manifest["metadata"]
        path = f"{meta.get('namespace', '')}-{manifest['kind']}-{meta['name']}.json".lower()
        found[path] = orjson.dumps(manifest)
    if tree.broken:
        found[BROKEN] = b"kind: [unclosed\n"
    return found


def manifests(tree: Tree) -> list[Manifest]:
    """Return every object that the tree declares."""
    namespaces = sorted({app.namespace for app in tree.apps} - {"default"})
    found: list[Manifest] = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in namespaces
    ]
    for app in tree.apps:
        found += [_controller(app), _service(app)]
    for namespace in sorted({app.namespace for app in tree.apps if app.secret}):
        found.append(_object("Secret", "key", namespace, stringData={"word": SECRET}))
    for name, value in tree.configs:
        found.append(_object("ConfigMap", name, "default", data={"value": value}))
    if tree.lone:
        spec = {"containers": [{"name": "main", "image": tree.lone, "command": ["serve"]}]}
        found.append(_object("Pod", "lone", "default", spec=spec))
    return found


def _object(kind: str, name: str, namespace: str, **body: Any) -> Manifest:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": kind, "metadata": meta, **body}


def _service(app: App) -> Manifest:
    ports = [{"port": 80, "targetPort": 8080}]
    return _object(
        "Service", app.name, app.namespace, spec={"selector": {"app": app.name}, "ports": ports}
    )


def _controller(app: App) -> Manifest:
    made = _object("ReplicationController", app.name, app.namespace)
    made["metadata"]["annotations"] = {
        "reconciler.dev/max-surge": str(app.surge),
        "reconciler.dev/max-unavailable": str(app.unavailable),
        "reconciler.dev/progress-deadline-seconds": str(_DEADLINE),
    }
    container: dict[str, Any] = {
        "name": "main",
        "image": GONE if app.fault == "missing" else app.image,
        "command": ["false"] if app.fault == "crash" else _SERVES[app.mood],
    }
    if app.probed or app.fault == "unready":
        argv = ["false"] if app.fault == "unready" else ["true"]
        container["readinessProbe"] = {"exec": {"command": argv}, "periodSeconds": 5}
    pod: dict[str, Any] = {
        "containers": [container],
        "terminationGracePeriodSeconds": app.grace,
    }
    if app.secret:
        container["env"] = [
            {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "key", "key": "word"}}}
        ]
        container["volumeMounts"] = [{"name": "key", "mountPath": "/key"}]
        pod["volumes"] = [{"name": "key", "secret": {"secretName": "key"}}]
    made["spec"] = {
        "replicas": app.replicas,
        "selector": {"app": app.name},
        "template": {"metadata": {"labels": {"app": app.name}}, "spec": pod},
    }
    return made
