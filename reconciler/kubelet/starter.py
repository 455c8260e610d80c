"""Starting and removing: the effects that bring a pod onto the host and off it.

Called by `worker.py`, one pod at a time. What goes wrong comes out as `StartFailed` with
Kubernetes' reason; a sandbox or container that was half made is taken back or found again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Protocol

from reconciler.core.clock import Clock
from reconciler.core.errors import ReconcilerError
from reconciler.kubelet.addresses import AddressPool, NoAddress, Owner
from reconciler.kubelet.cache import ContainerCache
from reconciler.kubelet.cgroups import NotLimited
from reconciler.kubelet.env import ConfigError
from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.images import ImageNotReady, Images, Pulled, Wanted
from reconciler.kubelet.labels import MANAGED, SCOPE, PodContainer, PodKey
from reconciler.kubelet.lookup import Lookup
from reconciler.kubelet.newcomers import Newcomers
from reconciler.kubelet.podnetwork import NetworkFailure, PodNetwork, link_name
from reconciler.kubelet.podspec import HostLimits, container_spec, pod_key, sandbox_spec
from reconciler.kubelet.preparing import Preparer, ProfileMissing
from reconciler.kubelet.pullsecrets import credentials
from reconciler.kubelet.resolver import (
    ClusterDns,
    HostnameTooLong,
    fitted,
    hosts_file,
    kernel_hostname,
    parse_resolver,
    resolver,
)
from reconciler.kubelet.runtime import (
    Container,
    ContainerRuntime,
    ContainerSpec,
    Image,
    NoSuchContainer,
    NoSuchImage,
    RuntimeConflict,
    RuntimeFailure,
    RuntimeUnavailable,
)
from reconciler.kubelet.sandboxprofile import PROFILE
from reconciler.kubelet.securityspec import SecurityRefused
from reconciler.kubelet.volumes.protocol import Ready, VolumeError, VolumePending
from reconciler.kubelet.volumes.volumes import Volumes
from reconciler.model.container import Container as ContainerSpecOf
from reconciler.model.pod import Pod

# From here on an exit code says by which signal a process ended.
_SIGNALLED = 128


class StartFailed(ReconcilerError):
    """A start failed: Kubernetes' waiting reason, a message; `until` when to try again.

    `quiet` says that nothing is wrong and no event is due.
    """

    def __init__(
        self, reason: str, message: str, until: datetime | None = None, *, quiet: bool = False
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.until = until
        self.quiet = quiet


@dataclass(frozen=True, slots=True)
class Host:
    """What a pod on this host is told or gets, beside its own spec.

    `hosts` and `resolver` are the texts of the host's files.
    """

    ip: str
    dns: ClusterDns
    sandbox_image: str
    limits: HostLimits
    hosts: str = ""
    resolver: str = ""
    allocatable: dict[str, str] | None = None
    scope: str = SCOPE


class Listener(Protocol):
    """Hears how far a start is; `narration.py` has the real one. Nothing here takes time."""

    def dns_cut(self, pod: Pod, message: str) -> None:
        """The pod's resolver has more than the C library takes."""
        ...

    def pulling(self, pod: Pod, name: str, message: str) -> None:
        """A container's image is being pulled, and how far that is."""
        ...

    def pulled(
        self, pod: Pod, container: ContainerSpecOf, image: Image, pull: Pulled | None
    ) -> None:
        """A container's image is here; `pull` is None where it was before."""
        ...

    def created(self, pod: Pod, container: ContainerSpecOf) -> None:
        """The engine has made a container."""
        ...


class Starter:
    """Sandboxes and containers of one host, made and removed.

    `image_ready(pod)` is called when a pull ended.
    """

    def __init__(  # noqa: PLR0913 - everything that a host consists of
        self,
        *,
        lookup: Lookup,
        runtime: ContainerRuntime,
        network: PodNetwork,
        addresses: AddressPool,
        files: PodFiles,
        volumes: Volumes,
        images: Images,
        cache: ContainerCache,
        clock: Clock,
        host: Host,
        preparer: Preparer,
        newcomers: Newcomers,
        listener: Listener,
        image_ready: Callable[[PodKey], None],
    ) -> None:
        self._lookup, self._preparer, self._newcomers = lookup, preparer, newcomers
        self._listener, self._image_ready = listener, image_ready
        self._runtime, self._network, self._addresses = runtime, network, addresses
        self._files, self._images, self._cache, self._clock = files, images, cache, clock
        self._volumes, self._host = volumes, host
        self.links: set[str] = set()
        self._profile = PROFILE

    def linked(self, sandbox: PodContainer) -> bool:
        """Tell whether a sandbox has its network."""
        return not sandbox.address or link_name(sandbox.state.name) in self.links

    async def create_sandbox(self, pod: Pod, attempt: int) -> None:
        """Make the pod's sandbox with its network; all of it or nothing. Raises `StartFailed`."""
        owner = Owner(pod.metadata.uid, attempt)
        address = ""
        await self._mounted(pod)
        try:
            if not pod.spec.host_network:
                address = self._addresses.take(owner)
            self._write_network_files(pod, address or self._host.ip)
            name = kernel_hostname(pod, self._host.dns)
            image, limits = self._host.sandbox_image, self._host.limits
            profile = self._profile_for(pod)
            spec = sandbox_spec(pod, attempt, address, image, name, limits, profile)
            made = await self._create(spec)
        except (RuntimeFailure, NoAddress, HostnameTooLong) as error:
            if not isinstance(error, RuntimeUnavailable):  # else it may have been made
                self._addresses.free(address, owner)
            raise _sandbox_failed(error) from error
        await self._bring_up(made, address, owner)

    async def _bring_up(self, made: str, address: str, owner: Owner) -> None:
        try:
            await self._runtime.start(made)
            state = await self._runtime.inspect(made)
            self._cache.put(state)
            if address:
                await self._attach(state, address)
        except (RuntimeFailure, NetworkFailure) as error:
            if isinstance(error, RuntimeUnavailable):
                self._cache.doubt(made)  # it may run
            else:
                await self._runtime.remove(made)
                self._cache.drop(made)
                self._addresses.free(address, owner)
                self._profile = "" if self._profile else PROFILE
            raise _sandbox_failed(error) from error

    def _profile_for(self, pod: Pod) -> str:
        """Return the sandbox's profile; empty for the engine's own.

        An engine's runtime may need what ours forbids: then a sandbox does not start, and the
        next is tried the other way; or it ends by itself, and the pod's next has the engine's.
        """
        boxes = (each.state for each in self._cache.of(pod_key(pod)) if each.is_sandbox)
        failed = any(box.phase == "exited" and 0 < box.exit_code < _SIGNALLED for box in boxes)
        return "" if failed else self._profile

    async def attach_sandbox(self, sandbox: PodContainer) -> None:
        """Plumb the network of a running sandbox that has none."""
        state = await self._runtime.inspect(sandbox.id)
        try:
            await self._attach(state, sandbox.address)
        except NetworkFailure as error:
            raise _sandbox_failed(error) from error

    async def _attach(self, state: Container, address: str) -> None:
        link = link_name(state.name)
        await self._network.attach(state.pid, address, link)
        self.links.add(link)

    def _write_network_files(self, pod: Pod, address: str) -> None:
        host = self._host
        servers, omitted = fitted(resolver(pod, host.dns, parse_resolver(host.resolver)))
        self._files.write_network_files(
            pod.metadata.uid,
            hosts_file(pod, address, host.dns, host.hosts),
            kernel_hostname(pod, host.dns) + "\n",
            servers.text(),
        )
        for message in omitted:
            self._listener.dns_cut(pod, message)

    async def remove_sandbox(self, key: PodKey, sandbox: PodContainer) -> None:
        """Remove a sandbox with its link, and free its address."""
        await self._runtime.remove(sandbox.id)
        if sandbox.address:
            link = link_name(sandbox.state.name)
            await self._network.detach(link)
            self.links.discard(link)
            self._addresses.free(sandbox.address, Owner(key.uid, sandbox.attempt))
        self._cache.drop(sandbox.id)

    def adopt(self, sandbox: PodContainer) -> None:
        """Note the address of a sandbox that was found."""
        if sandbox.address:
            owner = Owner(sandbox.pod.uid, sandbox.attempt)
            self._addresses.claim(sandbox.address, owner)

    def release(self, key: PodKey) -> None:
        """Nothing of the pod is left: free what it may still hold."""
        self._addresses.free_pod(key.uid)

    async def remove_container(self, container: str) -> None:
        """Remove a container, dead or not."""
        await self._runtime.remove(container)
        self._cache.drop(container)
        self._newcomers.forget(container)

    async def start_container(
        self, pod: Pod, spec: ContainerSpecOf, attempt: int, backoff: float, sandbox: str
    ) -> str:
        """Create and start a container; return its id. Raises `StartFailed`."""
        image, pull = await self._image(pod, spec)
        self._listener.pulled(pod, spec, image, pull)
        volumes = await self._mounted(pod)
        try:
            ready = await self._preparer.prepare(pod, spec, attempt, image, volumes)
            wanted = container_spec(pod, spec, attempt, backoff, sandbox, ready, self._host.limits)
        except (ConfigError, SecurityRefused) as error:
            raise StartFailed("CreateContainerConfigError", str(error)) from error
        except ProfileMissing as error:
            raise StartFailed("CreateContainerError", str(error)) from error
        try:
            made = await self._create_container(wanted)
            self._listener.created(pod, spec)
            await self._start(made, wanted, image)
            await self._receive(made, pod, spec, sandbox)
        except StartFailed:
            self._cache.doubt(sandbox)  # a sandbox that died is the likeliest cause
            self._volumes.suspect(pod.metadata.uid)
            raise
        return made

    async def _image(self, pod: Pod, spec: ContainerSpecOf) -> tuple[Image, Pulled | None]:
        accounts = credentials(spec.image, await self._lookup.pull_secrets(pod))
        policy, key = spec.image_pull_policy, pod_key(pod)
        wanted = Wanted(
            spec.image,
            policy,
            (key, spec.name),
            tell=partial(self._listener.pulling, pod, spec.name),
            ready=partial(self._image_ready, key),
            accounts=accounts,
        )
        try:
            return await self._images.ensure(wanted)
        except ImageNotReady as error:
            quiet = error.reason == "ContainerCreating"
            raise StartFailed(error.reason, error.message, error.until, quiet=quiet) from error

    async def _create_container(self, wanted: ContainerSpec) -> str:
        try:
            return await self._create(wanted)
        except NoSuchImage as error:
            self._images.forget()
            # It vanished since it was found: the next try pulls it, or says why not.
            raise StartFailed("ContainerCreating", "", self._clock.now(), quiet=True) from error
        except RuntimeUnavailable:
            raise
        except RuntimeFailure as error:
            raise StartFailed("CreateContainerError", str(error)) from error

    async def _create(self, spec: ContainerSpec) -> str:
        """Create; a leftover of the same name, from a call whose answer was lost, goes first.

        It goes by its id: should the engine remove it late, the name is another's by then.
        """
        spec = replace(spec, labels={**spec.labels, MANAGED: self._host.scope})
        try:
            made = await self._runtime.create(spec)
        except RuntimeConflict:
            with suppress(NoSuchContainer):
                await self._runtime.remove((await self._runtime.inspect(spec.name)).id)
            made = await self._runtime.create(spec)
        self._cache.put(
            Container(made, spec.name, "created", spec.labels, spec.image, "", self._clock.now())
        )
        return made

    async def _start(self, made: str, wanted: ContainerSpec, image: Image) -> None:
        try:
            await self._runtime.start(made)
        except RuntimeUnavailable:
            self._cache.doubt(made)  # it may run
            raise
        except RuntimeFailure as error:
            # The engine keeps what it could not start as a dead container, with its reason, and
            # the restart policy says when to try again. One that is not dead was never tried.
            known = await self._runtime.inspect(made)
            self._cache.put(known)
            until = self._clock.now() if known.phase == "exited" else None
            raise StartFailed("RunContainerError", str(error), until) from error
        now = self._clock.now()
        self._cache.put(
            Container(
                made,
                wanted.name,
                "running",
                {**wanted.labels, MANAGED: self._host.scope},
                wanted.image,
                image.id,
                created=now,
                started=now,
            )
        )

    async def _receive(self, made: str, pod: Pod, spec: ContainerSpecOf, sandbox: str) -> None:
        """Finish what the engine cannot do for a container that runs; else it must not run."""
        boxes = (each for each in self._cache.of(pod_key(pod)) if each.id == sandbox)
        if (box := next(boxes, None)) is None:
            return
        try:
            self._newcomers.receive(made, spec, box)
        except NotLimited as error:
            await self.remove_container(made)
            raise StartFailed("RunContainerError", str(error)) from error

    async def _mounted(self, pod: Pod) -> Mapping[str, Ready]:
        """Make the pod's volumes ready, before its sandbox and before each container."""
        try:
            return await self._volumes.prepare(pod)
        except VolumePending as error:
            raise StartFailed("ContainerCreating", str(error), quiet=True) from error
        except VolumeError as error:
            raise StartFailed("FailedMount", str(error)) from error

    async def update_volumes(self, pod: Pod) -> None:
        """Bring the contents of the pod's volumes up to date. Raises `StartFailed`."""
        try:
            await self._volumes.update(pod)
        except VolumeError as error:
            raise StartFailed("FailedMount", str(error)) from error


def _sandbox_failed(error: Exception) -> StartFailed:
    return StartFailed("FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}")
