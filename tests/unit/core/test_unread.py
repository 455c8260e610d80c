from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

# In a process of its own, for what is forgotten is forgotten; in one, for loading takes its time.
_PROGRAM = """
import gc, json, socket
from dataclasses import FrozenInstanceError, replace
from reconciler import app
from reconciler.admission.decode import decode
from reconciler.apiserver.http import openapi
from reconciler.core.unread import forget
from reconciler.kubelet.runtime import Resources
from reconciler.proxy.loop import Proxy

def alike():
    gc.collect()
    classes = [each for each in gc.get_objects() if type(each) is type]
    return sum(repr(each) == repr(Resources) for each in classes)

def refusal(change):
    try:
        change()
    except FrozenInstanceError as error:
        return str(error)

before = alike()
forget(kept="reconciler.model")

given = Resources()
document = json.loads(openapi._document("gitops.reconciler.dev", "v1alpha1"))
source = document["components"]["schemas"]["dev.reconciler.gitops.v1alpha1.Source"]
pod = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "web", "creationTimestamp": "2025-01-02T03:04:05Z"},
    "spec": {
        "volumes": [{"name": "files", "secret": {"secretName": "keys", "defaultMode": 256}}],
        "containers": [{"name": "main", "resources": {"limits": {"cpu": "500m"}}}],
    },
}
print(json.dumps({
    "descriptions": [each.__doc__ for each in (app, Proxy, Proxy.run, app.main, socket)],
    "annotations": app.main.__annotations__,
    "constant": app.main.__code__.co_consts[0],
    "source": source["description"],
    "alike": [before, alike()],
    "set": refusal(lambda: setattr(given, "memory", 1)),
    "deleted": refusal(lambda: delattr(given, "memory")),
    "replaced": replace(given, memory=1).memory,
    "equal": given == Resources() and hash(given) == hash(Resources()),
    "pod": {**json.loads(decode(pod).to_json()), "status": None} == {**pod, "status": None},
}))
"""


@pytest.fixture(scope="module")
def told() -> Any:
    command = [sys.executable, "-W", "error", "-c", _PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr
    return json.loads(done.stdout)


def test_what_only_readers_need_is_gone(told: Any) -> None:
    assert told["descriptions"] == [None] * 5
    assert (told["annotations"], told["constant"]) == ({}, None)


def test_the_models_keep_what_the_api_tells_of_them(told: Any) -> None:
    assert told["source"].startswith("A Git repository or a directory")


def test_a_frozen_dataclass_is_there_once_and_still_refuses_to_be_changed(told: Any) -> None:
    assert told["alike"] == [2, 1]
    assert told["set"] == "cannot assign to field 'memory'"
    assert told["deleted"] == "cannot delete field 'memory'"
    assert told["replaced"] == 1
    assert told["equal"]


def test_models_that_are_built_afterwards_decode_and_encode_as_before(told: Any) -> None:
    assert told["pod"]
