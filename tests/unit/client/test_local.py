"""The local client: Kubernetes' errors as `ApiError`, shared objects, watches."""

from pathlib import Path
from random import Random
from typing import Any

import pytest

from reconciler.apiserver.registry.registry import Registry
from reconciler.client.local import LocalClient
from reconciler.client.protocol import (
    AlreadyExists,
    ApiError,
    ConflictError,
    Expired,
    Invalid,
    NotFound,
)
from reconciler.core.ids import Ids
from reconciler.desired.limits import ReadLimits
from reconciler.desired.manifest import read_file
from reconciler.model.config import ConfigMap
from reconciler.model.meta import ObjectMeta
from reconciler.store.memory import MemoryStore
from reconciler.sync.manifest import applied_manifest, applied_object

ROOT = Path(__file__).parents[3]
SECRET = b"""\
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {password: open sesame}
data: {user: YQ==}
"""


def test_each_refusal_has_its_class(run: Any, client: LocalClient, config: Any) -> None:
    made = run(client.create(config("a")))
    run(client.update(made.replace(data={"x": "y"})))
    for write, kind, code in (
        (client.get(ConfigMap, "none", "default"), NotFound, 404),
        (client.create(config("a")), AlreadyExists, 409),
        (client.update(made.replace(data={"x": "z"})), ConflictError, 409),
        (client.create(config("b", **{"/": "x"})), Invalid, 422),
        (client.list(ConfigMap, label_selector="a in ("), ApiError, 400),
    ):
        with pytest.raises(kind) as caught:
            run(write)
        assert caught.value.code == code


def test_a_list_is_chosen_by_labels(run: Any, client: LocalClient, config: Any) -> None:
    for name in ("a1", "b1", "a2"):
        run(client.create(config(name)))
    found = run(client.list(ConfigMap, "default", label_selector="first=a"))
    assert [item.metadata.name for item in found.items] == ["a1", "a2"]
    assert found.resource_version == found.items[-1].metadata.resource_version


def test_a_watch_hands_out_the_object_that_was_stored(
    run: Any, client: LocalClient, config: Any
) -> None:
    start = run(client.list(ConfigMap)).resource_version
    made = run(client.create(config("a")))
    event = run(anext(client.watch(ConfigMap, resource_version=start)))
    assert event.type == "ADDED"
    assert event.object is made


def test_a_watch_from_lost_history_has_expired(
    run: Any, client: LocalClient, config: Any, store: MemoryStore
) -> None:
    start = run(client.list(ConfigMap)).resource_version
    run(client.create(config("a")))
    store.compact()
    with pytest.raises(Expired):
        run(anext(client.watch(ConfigMap, resource_version=start)))


def test_a_deleted_object_is_told_in_its_last_state(
    run: Any, client: LocalClient, config: Any
) -> None:
    made = run(client.create(config("a", x="y")))
    run(client.delete(ConfigMap, "a", "default", uid=made.metadata.uid))
    version = made.metadata.resource_version
    event = run(anext(client.watch(ConfigMap, resource_version=version)))
    assert event.type == "DELETED"
    assert event.object.data == {"x": "y"}
    assert int(event.object.metadata.resource_version) > int(version)


def test_what_was_admitted_before_is_stored_as_if_it_were_admitted_now(
    virtual: Any, clock: Any
) -> None:
    files = sorted((ROOT / "cluster-state").rglob("*.yaml"))
    read = [read_file(str(f), f.read_bytes(), "default", ReadLimits()) for f in files]
    secret = read_file("s.yaml", SECRET, "guestbook", ReadLimits())
    declared = [each for result in (*read, secret) for each in result.objects]
    declared.sort(key=lambda each: each.key.kind != "Namespace")
    assert {each.key.kind for each in declared} >= {"Secret", "Service", "ReplicationController"}
    stored = []
    for admits in (False, True):
        client = LocalClient(Registry(MemoryStore(), clock, Ids(Random(1))))
        objects = []
        for each in declared:
            manifest = applied_manifest(each.manifest, "main", each.key)
            admitted = applied_object(each.obj, "main", each.key) if admits else None
            applying = client.apply(manifest, manager="git", admitted=admitted)
            objects.append(virtual.run_until_complete(applying).to_json())
        stored.append(objects)
    assert stored[0] == stored[1]


def test_what_was_admitted_before_meets_the_rules_of_the_registry(
    run: Any, client: LocalClient, config: Any
) -> None:
    homeless = config("a").replace(metadata=ObjectMeta(name="a", namespace="nowhere"))
    with pytest.raises(NotFound):
        run(client.apply(homeless.to_dict(), manager="git", admitted=homeless))
    large = config("a", k="v")
    large = large.replace(
        metadata=large.metadata.replace(annotations={"example.com/a": "x" * 300_000})
    )
    with pytest.raises(Invalid):
        run(client.apply(large.to_dict(), manager="git", admitted=large))
