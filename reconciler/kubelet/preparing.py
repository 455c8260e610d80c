"""Makes ready what a container mounts, knows and runs as, before it is created.

Called by `starter.py`. It reads objects, the host's profiles and, where who a container runs as
depends on them, the image's own users and groups; it writes only below the pod's folders.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from reconciler.core.errors import ReconcilerError
from reconciler.kubelet import launcher
from reconciler.kubelet.accounts import GROUP, PASSWD, Accounts, parse_accounts
from reconciler.kubelet.cache import ContainerCache
from reconciler.kubelet.env import ConfigError, Environment, environment
from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.labels import MANAGED
from reconciler.kubelet.lookup import Lookup
from reconciler.kubelet.podspec import Prepared, pod_key, reveals, whole_command
from reconciler.kubelet.runtime import ContainerRuntime, Image
from reconciler.kubelet.securityspec import needs_accounts, seccomp_profile
from reconciler.kubelet.volumes import subpath
from reconciler.kubelet.volumes.protocol import Ready, VolumeError
from reconciler.model.container import Container, EphemeralContainer
from reconciler.model.pod import Pod

_MESSAGE_PATH = "/dev/termination-log"


class ProfileMissing(ReconcilerError):
    """A profile of this host that a container asks for cannot be read."""


class Preparer:
    """What containers of one host need; `skipped(pod, message)` hears of variables left out.

    `profiles` is the folder of the host's seccomp profiles, `scope` what tells whose containers
    those are which are made on the way.
    """

    def __init__(
        self,
        lookup: Lookup,
        runtime: ContainerRuntime,
        files: PodFiles,
        cache: ContainerCache,
        host_ip: str,
        scope: str,
        profiles: Path,
        skipped: Callable[[Pod, str], None],
    ) -> None:
        self._lookup, self._runtime, self._files = lookup, runtime, files
        self._cache, self._host_ip, self._profiles = cache, host_ip, profiles
        self._skipped, self._scope = skipped, scope
        self._accounts: dict[str, Accounts] = {}
        self._reading: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def prepare(
        self,
        pod: Pod,
        container: Container,
        attempt: int,
        image: Image,
        volumes: Mapping[str, Ready],
    ) -> Prepared:
        """Make all ready. Raises `ConfigError`, `ProfileMissing` and what the engine raises."""
        uid = pod.metadata.uid
        around = await self._lookup.surroundings(pod, container, self._address(pod))
        variables = environment(pod, container, around)
        for message in variables.skipped:
            self._skipped(pod, message)
        bound = await self._bind(pod, container, variables, volumes)
        log = await self._files.termination_log(uid, container.name, attempt)
        last_words = (str(log), container.termination_message_path or _MESSAGE_PATH)
        return Prepared(
            image=image,
            environment=variables,
            files=(*self._files.network_files(uid), last_words),
            volumes=volumes,
            bound=bound,
            launcher=str(self._files.launcher),
            secret_file=self._hide(pod, container, variables, image),
            target=self._target(pod, container),
            accounts=await self._image_accounts(pod, container, image),
            seccomp=await self._seccomp(pod, container),
        )

    def _hide(self, pod: Pod, container: Container, variables: Environment, image: Image) -> str:
        """Write what only the launcher may read, if there is any; return the file's path."""
        hidden = variables.hidden()
        if not hidden:
            return ""
        told = reveals(container, variables)
        command = whole_command(container, variables, image) if told else ()
        content = launcher.content(hidden, command)
        uid = pod.metadata.uid
        return str(self._files.write_secret_environment(uid, container.name, content))

    async def _image_accounts(
        self, pod: Pod, container: Container, image: Image
    ) -> Accounts | None:
        """Return the image's users and groups where they matter; read once an image."""
        if not needs_accounts(pod, container):
            return None
        async with self._reading[image.id]:
            if image.id not in self._accounts:
                texts = [await self._text(image, name) for name in (PASSWD, GROUP)]
                self._accounts[image.id] = parse_accounts(*texts)
        return self._accounts[image.id]

    async def _text(self, image: Image, path: str) -> str:
        found = await self._runtime.image_file(image.id, path, {MANAGED: self._scope})
        return found.decode(errors="replace")

    async def _seccomp(self, pod: Pod, container: Container) -> str:
        name = seccomp_profile(pod, container)
        if not name:
            return ""
        path = self._profiles / name
        try:
            text: str = await self._files.offload(path.read_text)
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else error
            raise ProfileMissing(f'cannot load seccomp profile "{path}": {why}') from error
        return text

    async def _bind(
        self,
        pod: Pod,
        container: Container,
        variables: Environment,
        volumes: Mapping[str, Ready],
    ) -> dict[str, str]:
        """Bind the parts of volumes that the container mounts. Raises `ConfigError`."""
        bound: dict[str, str] = {}
        for index, mount in enumerate(container.volume_mounts):
            inside = subpath.sub_path(mount, variables)
            if mount.name not in volumes or not subpath.needs_binding(mount, inside):
                continue
            target = self._files.binding(pod.metadata.uid, mount.name, container.name, index)
            arguments = (volumes[mount.name], mount, inside, target)
            try:
                made = await self._files.offload(subpath.bind, *arguments)
            except (VolumeError, OSError) as error:
                where = f'volumeMount "{mount.name}" of container "{container.name}"'
                raise ConfigError(f"failed to prepare subPath for {where}: {error}") from error
            if made is not None:
                bound[mount.mount_path] = str(made)
        return bound

    def _target(self, pod: Pod, container: Container) -> str:
        """Return the id of the container whose processes an ephemeral one is to see."""
        name = container.target_container_name if isinstance(container, EphemeralContainer) else ""
        if not name:
            return ""
        running = (c for c in self._cache.of(pod_key(pod)) if c.running and c.name == name)
        found = next(running, None)
        if found is None:
            raise ConfigError(f'unable to find target container "{name}"')
        return found.id

    def _address(self, pod: Pod) -> str:
        if pod.spec.host_network:
            return self._host_ip
        boxes = (c for c in self._cache.of(pod_key(pod)) if c.is_sandbox and c.running)
        return next((box.address for box in boxes), "")
