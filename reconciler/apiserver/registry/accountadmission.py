"""Gives a new pod its ServiceAccount: Kubernetes' admission plug-in ServiceAccount.

Called by the registry. A pod runs as the account `default` unless it names another, has the
account's pull secrets unless it names its own, and a volume with a token, the CA and its
namespace, unless it or its account says no. An account may also say which Secrets its pods may use.
"""

from __future__ import annotations

import asyncio
from functools import cache

from reconciler.apiserver.registry import errors, mountable
from reconciler.apiserver.registry.access import Access
from reconciler.core.ids import Ids
from reconciler.model import kinds
from reconciler.model.account import ServiceAccount
from reconciler.model.container import Container, ObjectFieldSelector, VolumeMount
from reconciler.model.pod import Pod, PodSpec
from reconciler.model.volume import (
    ConfigMapProjection,
    DownwardAPIProjection,
    DownwardAPIVolumeFile,
    KeyToPath,
    ProjectedVolumeSource,
    ServiceAccountTokenProjection,
    Volume,
    VolumeProjection,
)

DEFAULT_ACCOUNT = "default"
ROOT_CA = "kube-root-ca.crt"
"""The ConfigMap in every namespace with the CA of this API."""

MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
_VOLUME_PREFIX = "kube-api-access-"
_TOKEN_SECONDS = 3607
_MIRROR = "kubernetes.io/config.mirror"
_MODE = 0o644
# The controller makes `default` in a moment: Kubernetes' plug-in looks again as long as this.
_ATTEMPTS, _PAUSE = 50, 0.02


class AccountAdmission:
    """See the module."""

    def __init__(self, access: Access, ids: Ids) -> None:
        self._access = access
        self._ids = ids

    async def admit(self, pod: Pod) -> Pod:
        """Return a new pod with its account's; raises `StatusError` Forbidden."""
        if _MIRROR in pod.metadata.annotations:
            return pod
        name = pod.spec.service_account_name or DEFAULT_ACCOUNT
        account = await self._account(pod, name)
        self._check_secrets(account, pod)
        spec = pod.spec.replace(service_account_name=name, service_account=name)
        if not spec.image_pull_secrets and account.image_pull_secrets:
            spec = spec.replace(image_pull_secrets=account.image_pull_secrets)
        if _mounts_token(spec, account):
            spec = with_token(spec, f"{_VOLUME_PREFIX}{self._ids.suffix()}")
        return pod.replace(spec=spec)

    def check_ephemeral(self, pod: Pod) -> None:
        """Raise `StatusError` Forbidden for Secrets that new ephemeral containers may not use."""
        name = pod.spec.service_account_name
        if not name or _MIRROR in pod.metadata.annotations:
            return
        account = self._find(pod, name)
        if account is None:
            raise _not_found(pod, name)
        self._check_secrets(account, pod, ephemeral=True)

    def _check_secrets(self, account: ServiceAccount, pod: Pod, *, ephemeral: bool = False) -> None:
        told = mountable.refusal(account, pod, ephemeral=ephemeral)
        if told:
            raise errors.forbidden(kinds.of(Pod), pod.metadata.name, told)

    def _find(self, pod: Pod, name: str) -> ServiceAccount | None:
        record = self._access.find(kinds.of(ServiceAccount), pod.metadata.namespace, name)
        return None if record is None else self._access.decode(ServiceAccount, record)

    async def _account(self, pod: Pod, name: str) -> ServiceAccount:
        for attempt in range(_ATTEMPTS):
            account = self._find(pod, name)
            if account is not None:
                return account
            if name != DEFAULT_ACCOUNT or attempt == _ATTEMPTS - 1:
                break
            await asyncio.sleep(_PAUSE)
        raise _not_found(pod, name)


def _not_found(pod: Pod, name: str) -> errors.StatusError:
    place = f"{pod.metadata.namespace}/{name}"
    return errors.forbidden(
        kinds.of(Pod),
        pod.metadata.name,
        f'error looking up service account {place}: serviceaccount "{name}" not found',
    )


def _mounts_token(spec: PodSpec, account: ServiceAccount) -> bool:
    """ShouldAutomount: the pod's word counts, else the account's, else it is so."""
    for word in (spec.automount_service_account_token, account.automount_service_account_token):
        if word is not None:
            return word
    return True


def with_token(spec: PodSpec, fresh: str) -> PodSpec:
    """Return a pod's spec with the token volume in each container that has nothing there yet.

    The volume is named `fresh`, unless the pod has one of that kind already. Pure.
    """
    found = [each.name for each in spec.volumes if each.name.startswith(_VOLUME_PREFIX)]
    name = found[0] if found else fresh
    containers = tuple(_mounted(each, name) for each in spec.containers)
    init_containers = tuple(_mounted(each, name) for each in spec.init_containers)
    if (containers, init_containers) == (spec.containers, spec.init_containers):
        return spec
    volumes = spec.volumes if found else (*spec.volumes, token_volume(name))
    return spec.replace(volumes=volumes, containers=containers, init_containers=init_containers)


def _mounted(container: Container, volume: str) -> Container:
    if any(mount.mount_path == MOUNT_PATH for mount in container.volume_mounts):
        return container
    mount = VolumeMount(name=volume, read_only=True, mount_path=MOUNT_PATH)
    return container.replace(volume_mounts=(*container.volume_mounts, mount))


def token_volume(name: str) -> Volume:
    """Return the volume with the files `token`, `ca.crt` and `namespace`."""
    return Volume(name=name, projected=_sources())


@cache
def _sources() -> ProjectedVolumeSource:
    token = ServiceAccountTokenProjection(expiration_seconds=_TOKEN_SECONDS, path="token")
    authority = ConfigMapProjection(name=ROOT_CA, items=(KeyToPath(key="ca.crt", path="ca.crt"),))
    own = ObjectFieldSelector(api_version="v1", field_path="metadata.namespace")
    place = DownwardAPIProjection(items=(DownwardAPIVolumeFile(path="namespace", field_ref=own),))
    sources = (
        VolumeProjection(service_account_token=token),
        VolumeProjection(config_map=authority),
        VolumeProjection(downward_api=place),
    )
    return ProjectedVolumeSource(sources=sources, default_mode=_MODE)
