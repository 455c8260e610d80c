"""The objects that a container is started with: its environment's, its image's accounts.

Called by `starter.py`; reads from the API and from the service informer, decides nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.client.informer import Informer
from reconciler.client.protocol import Client, NotFound
from reconciler.kubelet.env import Surroundings, references
from reconciler.kubelet.serviceenv import MASTER_NAMESPACE, service_variables
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.container import Container
from reconciler.model.pod import Pod
from reconciler.model.service import Service

_BY_NAMESPACE = "namespace"


class Lookup:
    """Objects by the names that pods give. `missing(pod, names)` tells of absent pull secrets."""

    def __init__(
        self,
        client: Client,
        services: Informer[Service],
        host_ip: str,
        allocatable: Mapping[str, str],
        missing: Callable[[Pod, list[str]], None],
    ) -> None:
        self._client, self._services = client, services
        self._host_ip, self._allocatable = host_ip, allocatable
        self._missing = missing
        services.add_index(_BY_NAMESPACE, lambda service: (service.metadata.namespace,))

    async def pull_secrets(self, pod: Pod) -> list[Secret]:
        """Return the pod's imagePullSecrets; those that are not there are told of, and no fault."""
        found, missing = [], []
        for reference in pod.spec.image_pull_secrets:
            try:
                found.append(await self._client.get(Secret, reference.name, pod.metadata.namespace))
            except NotFound:
                missing.append(reference.name)
        if missing:
            self._missing(pod, missing)
        return found

    async def surroundings(self, pod: Pod, spec: Container, address: str) -> Surroundings:
        """Return what the environment of a container of the pod is made of."""
        config_maps: dict[str, ConfigMap | None] = {}
        secrets: dict[str, Secret | None] = {}
        namespace = pod.metadata.namespace
        for reference in references(spec):
            try:
                found = await self._client.get(reference.kind, reference.name, namespace)
            except NotFound:
                continue
            if isinstance(found, Secret):
                secrets[reference.name] = found
            else:
                config_maps[reference.name] = found
        return Surroundings(
            config_maps=config_maps,
            secrets=secrets,
            services=self._service_variables(pod),
            allocatable=self._allocatable,
            host_ip=self._host_ip,
            pod_ip=address,
        )

    def _service_variables(self, pod: Pod) -> dict[str, str]:
        namespace = pod.metadata.namespace
        index = self._services.by_index
        services = index(_BY_NAMESPACE, namespace)
        if namespace != MASTER_NAMESPACE:
            services = [*services, *index(_BY_NAMESPACE, MASTER_NAMESPACE)]
        links = pod.spec.enable_service_links is not False
        return service_variables(services, namespace, links=links)
