"""A small operator, run by kopf in `test_python_clients.py`.

It keeps, beside each ConfigMap labelled `mirror: "yes"`, a second one with its values in capitals,
and writes the URLs of all Sources into the ConfigMap `sources`.
"""

from __future__ import annotations

from typing import Any

import kopf
import kubernetes

kubernetes.config.load_kube_config()
CORE = kubernetes.client.CoreV1Api()
SPACE = "kopf"


def _apply(name: str, data: dict[str, str]) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    CORE.patch_namespaced_config_map(
        name, SPACE, body, field_manager="mirror", force=True,
        _content_type="application/apply-patch+yaml",
    )  # fmt: skip


@kopf.on.create("configmaps", labels={"mirror": "yes"})
@kopf.on.update("configmaps", labels={"mirror": "yes"})
def mirror(name: str, body: kopf.Body, **_: Any) -> None:
    _apply(f"{name}-mirror", {key: value.upper() for key, value in body["data"].items()})
    kopf.info(body, reason="Mirrored", message=f"mirrored {name}")


@kopf.on.delete("configmaps", labels={"mirror": "yes"})
def forget(name: str, **_: Any) -> None:
    CORE.delete_namespaced_config_map(f"{name}-mirror", SPACE)


@kopf.on.event("gitops.reconciler.dev", "v1alpha1", "sources")
def note(event: dict[str, Any], name: str, spec: kopf.Spec, **_: Any) -> None:
    if event["type"] != "DELETED":
        _apply("sources", {name: spec["url"]})
