"""The local client: Kubernetes' errors as `ApiError`, shared objects, watches."""

from typing import Any

import pytest

from reconciler.client.local import LocalClient
from reconciler.client.protocol import (
    AlreadyExists,
    ApiError,
    ConflictError,
    Expired,
    Invalid,
    NotFound,
)
from reconciler.model.config import ConfigMap
from reconciler.store.memory import MemoryStore


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
