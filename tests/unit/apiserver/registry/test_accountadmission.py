"""The admission plug-in ServiceAccount: what a pod gets of its account."""

from __future__ import annotations

import asyncio
import json
from random import Random
from typing import Any

import pytest

from reconciler.apiserver.registry.accountadmission import MOUNT_PATH
from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.registry.settings import RegistrySettings
from reconciler.core.clock import SystemClock
from reconciler.core.ids import Ids
from reconciler.model.account import ServiceAccount
from reconciler.model.pod import Pod
from reconciler.store.memory import MemoryStore


async def registry(*accounts: dict[str, Any]) -> Registry:
    settings = RegistrySettings(service_accounts=True)
    made = Registry(MemoryStore(), SystemClock(), Ids(Random(1)), settings)
    await made.start()
    for account in accounts:
        meta = {"name": account.pop("name", "default"), "namespace": "default"}
        text = json.dumps({"metadata": meta, **account})
        await made.create(ServiceAccount.model_validate_json(text))
    return made


def pod(**spec: Any) -> Pod:
    whole = {"containers": [{"name": "c", "image": "i"}], **spec}
    meta = {"name": "p", "namespace": "default"}
    return Pod.model_validate_json(json.dumps({"metadata": meta, "spec": whole}))


def paths(made: Pod) -> list[str]:
    return [mount.mount_path for mount in made.spec.containers[0].volume_mounts]


async def test_a_pod_gets_the_default_account_and_a_token_volume() -> None:
    made = await (await registry({})).create(pod(initContainers=[{"name": "i", "image": "i"}]))
    assert made.spec.service_account_name == made.spec.service_account == "default"
    (volume,) = made.spec.volumes
    assert volume.name.startswith("kube-api-access-")
    assert paths(made) == [MOUNT_PATH]
    mount = made.spec.init_containers[0].volume_mounts[0]
    assert (mount.name, mount.read_only) == (volume.name, True)
    sources = volume.to_dict()["projected"]["sources"]
    assert sources[0] == {"serviceAccountToken": {"expirationSeconds": 3607, "path": "token"}}
    assert sources[1]["configMap"]["name"] == "kube-root-ca.crt"


@pytest.mark.parametrize(
    ("of_account", "of_pod", "mounted"),
    [(None, None, True), (False, None, False), (False, True, True), (True, False, False)],
)
async def test_the_pods_word_on_its_token_counts_before_the_accounts(
    of_account: bool | None, of_pod: bool | None, mounted: bool
) -> None:
    word = "automountServiceAccountToken"
    served = await registry({} if of_account is None else {word: of_account})
    made = await served.create(pod() if of_pod is None else pod(**{word: of_pod}))
    assert bool(paths(made)) is mounted
    assert bool(made.spec.volumes) is mounted


async def test_what_a_pod_has_mounted_there_itself_stays() -> None:
    own = {"name": "c", "image": "i", "volumeMounts": [{"name": "v", "mountPath": MOUNT_PATH}]}
    made = await (await registry({})).create(
        pod(containers=[own], volumes=[{"name": "v", "emptyDir": {}}])
    )
    assert [volume.name for volume in made.spec.volumes] == ["v"]
    assert [mount.name for mount in made.spec.containers[0].volume_mounts] == ["v"]


async def test_pull_secrets_are_the_accounts_unless_the_pod_has_its_own() -> None:
    served = await registry({"imagePullSecrets": [{"name": "of-account"}]})
    made = await served.create(pod())
    assert [each.name for each in made.spec.image_pull_secrets] == ["of-account"]
    await served.delete(Pod, "p", "default")
    made = await served.create(pod(imagePullSecrets=[{"name": "own"}]))
    assert [each.name for each in made.spec.image_pull_secrets] == ["own"]


async def test_an_account_that_is_not_there_is_told() -> None:
    served = await registry({})
    with pytest.raises(StatusError) as refused:
        await served.create(pod(serviceAccountName="missing"))
    assert refused.value.code == 403
    assert refused.value.message == (
        'pods "p" is forbidden: error looking up service account default/missing: serviceaccount'
        ' "missing" not found'
    )


async def test_the_default_account_is_awaited_for_a_moment() -> None:
    served = await registry()
    asked = asyncio.create_task(served.create(pod()))
    meta = {"name": "default", "namespace": "default"}
    await served.create(ServiceAccount.model_validate({"metadata": meta}))
    assert (await asked).spec.service_account_name == "default"


async def test_a_mirror_of_a_static_pod_is_left_alone() -> None:
    made = pod()
    marked = made.metadata.replace(annotations={"kubernetes.io/config.mirror": "x"})
    stored = await (await registry()).create(made.replace(metadata=marked))
    assert not stored.spec.volumes


SPARING = {
    "name": "sparing",
    "secrets": [{"name": "allowed"}],
    "imagePullSecrets": [{"name": "pull"}],
}
ENFORCED = "kubernetes.io/enforce-mountable-secrets"


def _using(name: str) -> dict[str, Any]:
    return {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": name, "key": "k"}}}]}


def _all_from(name: str) -> dict[str, Any]:
    return {"envFrom": [{"secretRef": {"name": name}}]}


def _container(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "image": "i", **more}


async def sparing(word: str) -> Registry:
    """Return a registry with an account whose pods may use its own Secrets alone, if `word`."""
    held = await registry(dict(SPARING))
    account = held.get(ServiceAccount, "sparing", "default")
    meta = account.metadata.replace(annotations={ENFORCED: word})
    await held.update(account.replace(metadata=meta))
    return held


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (
            {"volumes": [{"name": "v", "secret": {"secretName": "other"}}]},
            'volume with secret.secretName="other"',
        ),
        (
            {"containers": [_container("c", **_using("other"))]},
            'container c with envVar A referencing secret.secretName="other"',
        ),
        (
            {"containers": [_container("c", **_all_from("other"))]},
            'container c with envFrom referencing secret.secretName="other"',
        ),
        (
            {"initContainers": [_container("i", **_using("other"))]},
            'init container i with envVar A referencing secret.secretName="other"',
        ),
        ({"imagePullSecrets": [{"name": "other"}]}, 'imagePullSecrets[0].name="other"'),
    ],
)
async def test_an_account_may_say_which_secrets_its_pods_use(
    spec: dict[str, Any], told: str
) -> None:
    with pytest.raises(StatusError) as refused:
        await (await sparing("true")).create(pod(serviceAccountName="sparing", **spec))
    assert refused.value.code == 403
    assert f"{told} is not allowed because service account sparing" in refused.value.message
    await (await sparing("no")).create(pod(serviceAccountName="sparing", **spec))


async def test_the_secrets_that_an_account_names_may_be_used() -> None:
    held = await sparing("true")
    made = await held.create(
        pod(
            serviceAccountName="sparing",
            volumes=[{"name": "v", "secret": {"secretName": "allowed"}}],
            containers=[_container("c", **_using("allowed"), **_all_from("allowed"))],
            imagePullSecrets=[{"name": "pull"}],
        )
    )
    added = _container("debug", **_using("other"))
    whole = made.to_dict()
    whole["spec"]["ephemeralContainers"] = [added]
    debugged = Pod.model_validate_json(json.dumps(whole))
    with pytest.raises(StatusError, match="ephemeral container debug with envVar A"):
        await held.update(debugged, subresource="ephemeralcontainers")
