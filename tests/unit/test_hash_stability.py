"""An upgrade of the daemon must not restart anything: what marks pods and containers is fixed.

Running containers carry the hash of their definition, pods that of their template. Were one of them
computed otherwise by the next version (another field, another default, another encoding), the first
sync after an upgrade would replace every pod. When this test fails, mend the change; the golden
file only grows.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.admission.decode import decode
from reconciler.admission.defaults import apply_defaults
from reconciler.controllers.replication.template import template_hash
from reconciler.kubelet.roster import spec_hash
from reconciler.model.inplace import shape_of
from reconciler.model.pod import PodTemplateSpec
from reconciler.model.replication import ReplicationController

GOLDEN = Path(__file__).parent / "golden"
TEMPLATES: dict[str, Any] = yaml.safe_load((GOLDEN / "templates.yaml").read_text())
HASHES: dict[str, Any] = json.loads((GOLDEN / "hashes.json").read_text())


def admitted(name: str) -> PodTemplateSpec:
    """Return a template as the store has it."""
    manifest = {
        "apiVersion": "v1",
        "kind": "ReplicationController",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"template": TEMPLATES[name]},
    }
    controller = apply_defaults(decode(manifest))
    assert isinstance(controller, ReplicationController)
    assert controller.spec.template is not None
    return controller.spec.template


def hashes(name: str) -> dict[str, Any]:
    template = admitted(name)
    containers = (*template.spec.init_containers, *template.spec.containers)
    return {
        "template": template_hash(template),
        "shape": shape_of(template),
        "containers": {each.name: spec_hash(each) for each in containers},
    }


def test_every_template_has_its_golden_hash() -> None:
    assert TEMPLATES.keys() == HASHES.keys()


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_a_template_and_its_containers_are_hashed_as_ever(name: str) -> None:
    assert hashes(name) == HASHES[name]


@pytest.mark.parametrize("name", sorted(TEMPLATES))
def test_what_was_stored_is_hashed_alike_when_it_is_read_again(name: str) -> None:
    stored = admitted(name).to_json()
    again = PodTemplateSpec.model_validate_json(stored)
    assert template_hash(again) == HASHES[name]["template"]
