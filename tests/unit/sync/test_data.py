"""Which data a plan wipes or keeps."""

from __future__ import annotations

from reconciler.model.meta import KubeObject, ObjectKey, ObjectMeta
from reconciler.model.namespace import Namespace
from reconciler.model.storage import CSIPersistentVolumeSource, PersistentVolume
from reconciler.model.volumebinding import DRIVER
from reconciler.sync.actions import Prune
from reconciler.sync.data import data_effects
from reconciler.sync.outcome import Impossible
from reconciler.sync.plan import Plan, Situation
from tests.unit.controllers.test_volumes import claim, volume

CLAIM = ObjectKey("PersistentVolumeClaim", "default", "data")


def ours(name: str, policy: str) -> PersistentVolume:
    made = volume(name)
    source = CSIPersistentVolumeSource(driver=DRIVER, volume_handle=name)
    return made.replace(
        spec=made.spec.replace(csi=source, host_path=None, persistent_volume_reclaim_policy=policy)
    )


def fates(gone: ObjectKey, *live: KubeObject) -> list[tuple[str, str, str]]:
    def predict(*_: object) -> Impossible:
        raise AssertionError("nothing is compared here")

    situation = Situation("main", {}, {obj.key: obj for obj in live}, (), predict)
    plan = Plan((Prune(gone, "uid", "Background"),))
    return [(each.fate, each.volume, each.claim) for each in data_effects(plan, situation)]


def test_only_a_volume_of_ours_with_policy_delete_is_wiped() -> None:
    bound = claim(volumeName="pv")
    assert fates(CLAIM, bound, ours("pv", "Delete")) == [("wipe", "pv", "default/data")]
    assert fates(CLAIM, bound, ours("pv", "Retain")) == [("keep", "pv", "default/data")]
    by_hand = volume("pv", persistentVolumeReclaimPolicy="Delete")
    assert fates(CLAIM, bound, by_hand) == [("keep", "pv", "default/data")]


def test_a_namespace_takes_its_claims_along() -> None:
    space = Namespace(metadata=ObjectMeta(name="default"))
    bound, other = claim(volumeName="pv"), claim("other")
    found = fates(space.key, space, bound, other, ours("pv", "Delete"))
    assert found == [("wipe", "pv", "default/data")]


def test_what_has_no_volume_or_stays_is_not_told() -> None:
    assert fates(CLAIM, claim(), ours("pv", "Delete")) == []
    elsewhere = ObjectKey("ConfigMap", "default", "data")
    assert fates(elsewhere, claim(volumeName="pv"), ours("pv", "Delete")) == []
