"""Which Secrets a pod may use: those that its ServiceAccount names, where that is enforced. Pure.

Called by `accountadmission.py`. Kubernetes' annotation `kubernetes.io/enforce-mountable-secrets`,
with the words of its admission plug-in ServiceAccount.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reconciler.model.account import ServiceAccount
from reconciler.model.container import Container
from reconciler.model.pod import Pod

_ENFORCED = "kubernetes.io/enforce-mountable-secrets"
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
"""What Go's ParseBool takes for true."""


def refusal(account: ServiceAccount, pod: Pod, *, ephemeral: bool = False) -> str:
    """Return why a pod may not use a Secret that it names, empty when it may use all of them.

    `ephemeral` asks of the containers alone that a pod gets while it runs.
    """
    if account.metadata.annotations.get(_ENFORCED) not in _TRUE:
        return ""
    if ephemeral:
        return next(_of_containers(pod.spec.ephemeral_containers, "ephemeral ", account), "")
    return next(_of_pod(pod, account), "")


def _of_pod(pod: Pod, account: ServiceAccount) -> Iterator[str]:
    mountable = {each.name for each in account.secrets}
    for volume in pod.spec.volumes:
        if volume.secret is not None and volume.secret.secret_name not in mountable:
            yield _unnamed(f"volume with {_secret(volume.secret.secret_name)}", account)
    yield from _of_containers(pod.spec.init_containers, "init ", account)
    yield from _of_containers(pod.spec.containers, "", account)
    pulling = {each.name for each in account.image_pull_secrets}
    for index, each in enumerate(pod.spec.image_pull_secrets):
        if each.name not in pulling:
            lead = f'imagePullSecrets[{index}].name="{each.name}"'
            yield _unnamed(lead, account, "imagePullSecret")


def _of_containers(
    containers: Iterable[Container], word: str, account: ServiceAccount
) -> Iterator[str]:
    mountable = {each.name for each in account.secrets}
    for container in containers:
        lead = f"{word}container {container.name} with"
        for source in container.env_from:
            if source.secret_ref is not None and source.secret_ref.name not in mountable:
                what = f"{lead} envFrom referencing {_secret(source.secret_ref.name)}"
                yield _unnamed(what, account)
        for variable in container.env:
            ref = variable.value_from.secret_key_ref if variable.value_from else None
            if ref is not None and ref.name not in mountable:
                what = f"{lead} envVar {variable.name} referencing {_secret(ref.name)}"
                yield _unnamed(what, account)


def _secret(name: str) -> str:
    return f'secret.secretName="{name}"'


def _unnamed(what: str, account: ServiceAccount, kind: str = "secret") -> str:
    name = account.metadata.name
    return f"{what} is not allowed because service account {name} does not reference that {kind}"
