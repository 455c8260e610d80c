"""What admission costs: microseconds for each stage, of a pod and of a ReplicationController."""

from __future__ import annotations

import timeit
from typing import Any

from reconciler.admission.decode import decode
from reconciler.admission.defaults import apply_defaults
from reconciler.admission.unsupported import unsupported
from reconciler.admission.validate import validate

ROUNDS = 5000

SPEC: dict[str, Any] = {
    "containers": [
        {
            "name": "web",
            "image": "example/web:1",
            "command": ["web", "--verbose"],
            "env": [{"name": "GET_HOSTS_FROM", "value": "env"}, {"name": "B", "value": "c"}],
            "ports": [{"containerPort": 80}],
            "resources": {
                "requests": {"cpu": "100m", "memory": "64Mi"},
                "limits": {"cpu": "100m", "memory": "64Mi"},
            },
            "readinessProbe": {"httpGet": {"path": "/", "port": 80}},
            "volumeMounts": [{"name": "cache", "mountPath": "/cache"}],
        }
    ],
    "volumes": [{"name": "cache", "emptyDir": {}}],
}
LABELS = {"app": "web", "tier": "frontend"}
META = {"name": "web", "namespace": "default", "labels": LABELS}
POD = {"apiVersion": "v1", "kind": "Pod", "metadata": META, "spec": SPEC}
CONTROLLER = {
    "apiVersion": "v1",
    "kind": "ReplicationController",
    "metadata": META,
    "spec": {
        "replicas": 3,
        "selector": {"app": "web"},
        "template": {"metadata": {"labels": LABELS}, "spec": SPEC},
    },
}


def main() -> None:
    """Print one line a kind: each stage, and all of them."""
    for value in (POD, CONTROLLER):
        decoded = decode(value)
        obj = apply_defaults(decoded)
        stages = {
            "decode": lambda value=value: decode(value),
            "defaults": lambda decoded=decoded: apply_defaults(decoded),
            "validate": lambda obj=obj: validate(obj),
            "unsupported": lambda obj=obj: unsupported(obj),
            "encode": obj.to_json,
        }
        cost = {
            name: min(timeit.repeat(stage, number=ROUNDS, repeat=3)) / ROUNDS * 1e6
            for name, stage in stages.items()
        }
        admission = cost["decode"] + cost["defaults"] + cost["validate"]
        line = "  ".join(f"{name} {each:.0f}" for name, each in cost.items())
        print(f"{obj.kind:22} {line}  admission {admission:.0f} us")


if __name__ == "__main__":
    main()
