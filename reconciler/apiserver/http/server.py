"""Listens: TLS on a TCP address, and a Unix socket for root on this host.

One part of the daemon, built and run by the composition root. It accepts connections and ends
them; what a request means is `api.py`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from reconciler.apiserver.http.api import Api
from reconciler.apiserver.http.audit import Level
from reconciler.apiserver.http.connection import Connection, PeerIdentity
from reconciler.apiserver.http.declared import Declared, nothing_declared
from reconciler.apiserver.http.listener import Listener
from reconciler.apiserver.http.podlistener import (
    PodAccess,
    bound,
    from_pods,
    is_closed_to_pods,
    pod_side,
)
from reconciler.apiserver.registry.registry import Registry
from reconciler.apiserver.security import bootstrap
from reconciler.apiserver.security.accounts import AccountTokens
from reconciler.apiserver.security.authentication import (
    Authenticator,
    of_certificate,
    of_unix_peer,
)
from reconciler.apiserver.security.authority import Authority, CertificateError
from reconciler.apiserver.security.signing import SigningKeyError
from reconciler.apiserver.security.tokens import admin_token
from reconciler.core.clock import Clock
from reconciler.core.errors import ReconcilerError
from reconciler.model.streaming import NodeStreams

_DAY = 86400.0
_BACKLOG = 1024
_NAMES = (
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
)


class ListenError(ReconcilerError):
    """The address cannot be listened on."""


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """Where to listen, and where secrets lie.

    `listen` is "address:port" (port 0: any); `unix_socket` the local socket's path; `pki` the
    folder of certificates and the token; `names` further names that the certificate is for; `pods`
    lets this host's pods in where `listen` is loopback; `audit` says which requests are logged.
    """

    listen: str
    unix_socket: Path | None
    pki: Path
    names: tuple[str, ...] = ()
    pods: PodAccess | None = None
    audit: Level = "none"

    @property
    def token_file(self) -> Path:
        """The file of the administrator's token."""
        return self.pki / "admin.token"


class ApiServer:
    """The REST face of a registry. `address` is where it listens, once `ready` is set.

    `node` answers for logs, exec and port-forward of this host's pods; `declared` for what Git
    declares; `measures` has more text for /metrics; `accounts` has the tokens of ServiceAccounts,
    where there are any.
    """

    def __init__(
        self,
        registry: Registry,
        clock: Clock,
        settings: ApiSettings,
        node: NodeStreams | None = None,
        declared: Declared = nothing_declared,
        measures: Callable[[], str] = str,
        accounts: AccountTokens | None = None,
    ) -> None:
        self.ready = asyncio.Event()
        self.address = settings.listen
        self._registry = registry
        self._clock = clock
        self._node = node
        self._declared = declared
        self._measures = measures
        self._accounts = accounts
        self._settings = settings
        self._authority = Authority(settings.pki)
        self._open: set[Connection] = set()
        self._log = structlog.get_logger(component="api")

    async def run(self) -> None:
        """Serve until cancelled. Raises `ListenError`, `CertificateError`."""
        host, port = split_address(self._settings.listen)
        access = self._settings.pods
        inside = (access.gateway,) if access is not None else ()
        names = certificate_names(host, (*self._settings.names, *inside))
        await asyncio.to_thread(self._authority.ensure, names, self._clock.now())
        await bootstrap.ensure(self._registry)
        context = self._authority.context()
        api = self._api()
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self._end_connections)
            secured = self._secured(api, _bound_to(host, port), context, of_certificate)
            tcp = await stack.enter_async_context(secured)
            if self._settings.unix_socket is not None:
                local = await self._unix(api, self._settings.unix_socket)
                stack.callback(local.close)
                stack.callback(self._settings.unix_socket.unlink, missing_ok=True)
            name, bound_port = tcp.address
            self.address = f"[{name}]:{bound_port}" if ":" in name else f"{name}:{bound_port}"
            if access is not None and is_closed_to_pods(host):
                inner = self._for_pods(api, access, bound_port, context)
                await stack.enter_async_context(inner)
            self._log.info("api.listening", address=self.address)
            self.ready.set()
            await self._keep_fresh(context, names)

    def _api(self) -> Api:
        return Api(
            self._registry,
            self._clock,
            Authenticator(admin_token(self._settings.token_file), self._accounts),
            address=self._settings.listen,
            node=self._node,
            declared=self._declared,
            audit=self._settings.audit,
            measures=self._measures,
            connections=lambda: len(self._open),
        )

    def _for_pods(
        self, api: Api, access: PodAccess, port: int, context: ssl.SSLContext
    ) -> Listener:
        try:
            listening = bound(access.gateway, port)
        except OSError as error:
            raise _cannot_listen(error) from error
        return self._secured(api, listening, context, from_pods(of_certificate, access))

    def _secured(
        self, api: Api, listening: socket.socket, context: ssl.SSLContext, identify: PeerIdentity
    ) -> Listener:
        make = self._protocol(api, identify)
        return Listener(listening, context, make, lambda: len(self._open))

    async def pod_address(self) -> tuple[str, int]:
        """Return host and port by which pods reach the server, once it listens."""
        await self.ready.wait()
        host, port = split_address(self.address)
        access = self._settings.pods
        return (pod_side(host, access) if access is not None else host), port

    async def _unix(self, api: Api, path: Path) -> asyncio.Server:
        make = self._protocol(api, of_unix_peer)
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_unix_server(make, sock=_bound(path), backlog=_BACKLOG)
        except OSError as error:
            raise _cannot_listen(error) from error

    def _protocol(self, api: Api, identify: PeerIdentity) -> Callable[[], Connection]:
        return lambda: Connection(api.handle, identify, self._open)

    async def _keep_fresh(self, context: ssl.SSLContext, names: tuple[str, ...]) -> None:
        """Renew the certificate in time; connections to come use the new one."""
        while True:
            await asyncio.sleep(_DAY)
            try:
                if self._accounts is not None:
                    await asyncio.to_thread(self._accounts.keys.ensure, self._clock.now())
                made = await asyncio.to_thread(self._authority.ensure, names, self._clock.now())
                if made:
                    self._authority.load(context)
                    self._log.info("api.certificate_renewed")
            except (CertificateError, SigningKeyError) as error:
                self._log.error("api.certificate_failed", reason=str(error))

    def _end_connections(self) -> None:
        for connection in tuple(self._open):
            connection.close()


def _cannot_listen(error: OSError) -> ListenError:
    return ListenError(f"the API cannot listen: {error}")


def _bound_to(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise _cannot_listen(error) from error


def _bound(path: Path) -> socket.socket:
    """Return a socket at `path`, in place of one that a killed daemon left, for root alone."""
    path.parent.mkdir(mode=0o711, parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX)
    try:
        listening.bind(str(path))
        path.chmod(0o600)
    except OSError:
        listening.close()
        raise
    return listening


def split_address(text: str) -> tuple[str, int]:
    """Return host and port of "address:port"; raises `ListenError`."""
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
        return str(address), int(port)
    except ValueError as error:
        raise ListenError(f'listen: expected "ADDRESS:PORT", got "{text}"') from error


def certificate_names(host: str, more: tuple[str, ...]) -> tuple[str, ...]:
    """Return every name that clients may reach the server by."""
    loopback = ("127.0.0.1", "::1")
    return tuple(dict.fromkeys((*_NAMES, *loopback, host, socket.gethostname().lower(), *more)))
