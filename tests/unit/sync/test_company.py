"""What a Namespace or Source takes along when it goes."""

from __future__ import annotations

from reconciler.model.gitops import Source, SourceSpec
from reconciler.model.meta import ObjectMeta
from reconciler.sync.company import company
from tests.unit.sync.world import manifest, settings, stored

WEB = stored(manifest("Namespace", "web"))
TEAM = Source(metadata=ObjectMeta(name="team"), spec=SourceSpec(url="https://x.example/y"))


def along(head, *live):
    objects = {obj.key: obj for obj in (head, *live)}
    (found,) = company([head.key], objects).values()
    return [obj.metadata.name for obj in found]


def test_with_a_namespace_goes_what_anybody_made_in_it() -> None:
    elsewhere = stored(manifest("ConfigMap", "elsewhere", "other"))
    theirs, ours = stored(settings("theirs"), source="two"), stored(settings("ours"))
    assert along(WEB, theirs, ours, elsewhere, stored(settings("hand"), source="")) == [
        "hand", "ours", "theirs",
    ]  # fmt: skip


def test_what_follows_from_others_or_goes_already_does_not_count() -> None:
    owner = {"apiVersion": "v1", "kind": "ReplicationController", "name": "c", "uid": "u"}
    pods = {"ownerReferences": [{**owner, "controller": True}]}
    made = stored(manifest("ConfigMap", "made", metadata=pods), source="")
    going = stored(settings("going"))
    marked = going.metadata.replace(deletion_timestamp="2026-01-01T00:00:00Z")
    account = stored(manifest("ServiceAccount", "default"), source="")
    authority = stored(settings("kube-root-ca.crt"), source="")
    assert along(WEB, made, going.replace(metadata=marked), account, authority) == []


def test_a_source_takes_along_what_is_in_the_namespaces_that_it_declares() -> None:
    space = stored(manifest("Namespace", "web"), source="team")
    hand = stored(settings("hand"), source="")
    assert along(TEAM, space, hand, stored(settings("other"), source="one")) == [
        "hand", "other", "web",
    ]  # fmt: skip
    keeps = TEAM.replace(spec=TEAM.spec.replace(prune=False))
    assert along(keeps, space, hand) == []


def test_what_takes_nothing_along_is_not_named() -> None:
    lone = stored(settings("lone"))
    assert company([lone.key], {lone.key: lone, WEB.key: WEB}) == {}
