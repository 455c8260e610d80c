"""Tokens for the projected volumes of this node's pods. Called by the volume kind alone.

The kubelet's token manager: a token that lies in the volume stays until four fifths of its time
are over; what is asked for is bound to the pod, so that it ends with it.
"""

from __future__ import annotations

from reconciler.client.protocol import ApiError, Client
from reconciler.core.clock import Clock
from reconciler.kubelet.volumes.protocol import VolumeError
from reconciler.model.pod import Pod
from reconciler.model.token import SECONDS_DEFAULT, BoundObject, TokenSpec, validity
from reconciler.model.volume import ServiceAccountTokenProjection


class AccountTokens:
    """`Tokens` from the API."""

    def __init__(self, client: Client, clock: Clock) -> None:
        self._client, self._clock = client, clock

    async def token(
        self, pod: Pod, wanted: ServiceAccountTokenProjection, held: bytes | None
    ) -> bytes:
        """See `Tokens.token`."""
        if held is not None:
            known = validity(held.decode("ascii", "replace"))
            if known is not None and known.is_fresh(self._clock.now().timestamp()):
                return held
        meta = pod.metadata
        spec = TokenSpec(
            audiences=(wanted.audience,) if wanted.audience else (),
            seconds=wanted.expiration_seconds or SECONDS_DEFAULT,
            bound=BoundObject("Pod", meta.name, meta.uid),
        )
        account = pod.spec.service_account_name
        try:
            issued = await self._client.request_token(account, meta.namespace, spec)
        except ApiError as error:
            raise VolumeError(f"failed to fetch token: {error}") from error
        return issued.text.encode()
