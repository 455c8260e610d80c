"""What the registry must be told of the cluster."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """Ranges that services are given from.

    `service_cidr` is the range of cluster IPs; `reserved_ips` those of them that no service may
    have, such as the cluster DNS address; `node_ports` the first and last node port.
    `service_accounts` says whether pods get their account (admission plug-in ServiceAccount), which
    wants the controllers that make accounts.
    """

    service_cidr: str = "10.96.0.0/16"
    reserved_ips: tuple[str, ...] = ("10.96.0.10",)
    node_ports: tuple[int, int] = (30000, 32767)
    service_accounts: bool = False
