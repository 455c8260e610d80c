"""Tells the world of revisions: webhooks, e-mail, commit status. One loop, fed by the informer.

Run by the composition root when something is configured. It reads Revision objects and writes
nothing to the API; what cannot be delivered is tried a few times, logged, and given up. People are
told of each outcome of a revision once; what comes in quick succession is told in one message.
"""

from __future__ import annotations

import asyncio
import json
import smtplib
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import structlog

from reconciler.client.informer import Informer
from reconciler.model.gitops import Revision
from reconciler.sync.messages import (
    TOLD,
    Forge,
    Message,
    authorization,
    commit_status,
    email,
    message_of,
    slack_body,
    state_of,
    webhook_body,
)

_TIMEOUT_SECONDS = 10.0
_ATTEMPTS = 4
_SMTP_PORT = 25


@dataclass(frozen=True, slots=True)
class Channels:
    """Where to tell it; empty ones are not used.

    `email` is `smtp://HOST:PORT/?from=ADDRESS&to=ADDRESS`, with `&user=` and `&password-file=`
    where the server wants them, and then by STARTTLS only. `status_token` is a file. `pace` is how
    many seconds messages to people are gathered after one was sent, `retry` the first wait before
    another attempt.
    """

    webhook: str = ""
    slack: str = ""
    email: str = ""
    forge: Forge | None = None
    status_url: str = ""
    status_token: Path | None = None
    pace: float = 30.0
    retry: float = 1.0


class Notifier:
    """Follows the revisions from when it starts; what was reached before is not told again."""

    def __init__(self, revisions: Informer[Revision], channels: Channels) -> None:
        self._revisions = revisions
        self._channels = channels
        self._people: list[Message] = []
        self._forges: list[Message] = []
        self._told: set[tuple[str, str]] = set()
        self._states: dict[str, tuple[str, str]] = {}
        self._wake_people = asyncio.Event()
        self._wake_forges = asyncio.Event()
        self._log = structlog.get_logger(component="notify")
        revisions.subscribe(self._changed)

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell_people(), name="notify.people")
            group.create_task(self._tell_forge(), name="notify.forge")

    def _changed(self, _: str, old: Revision | None, new: Revision | None) -> None:
        if new is None:
            return
        message = message_of(new)
        before = old.status.phase if old is not None else ""
        if old is None and not self._revisions.synced.is_set():
            self._told.add((message.name, message.phase))
            return
        if message.phase in TOLD and message.phase != before:
            self._queue(message)
        if self._channels.forge and new.spec.commit and message.phase not in ("", before):
            self._queue_status(message, self._channels.forge)

    def _queue(self, message: Message) -> None:
        if (message.name, message.phase) not in self._told:
            self._told.add((message.name, message.phase))
            self._people.append(message)
            self._wake_people.set()

    def _queue_status(self, message: Message, forge: Forge) -> None:
        state = (state_of(message.phase, forge), message.text)
        if self._states.get(message.name) != state:
            self._states[message.name] = state
            self._forges.append(message)
            self._wake_forges.set()

    async def _tell_people(self) -> None:
        channels = self._channels
        while True:
            await self._wake_people.wait()
            self._wake_people.clear()
            messages, self._people = self._people, []
            if channels.webhook:
                body = webhook_body(messages)
                await self._deliver("webhook", lambda: post(channels.webhook, body))  # noqa: B023
            if channels.slack:
                text = slack_body(messages)
                await self._deliver("slack", lambda: post(channels.slack, text))  # noqa: B023
            if channels.email:
                await self._deliver("email", lambda: send_email(channels.email, messages))  # noqa: B023
            await asyncio.sleep(channels.pace)

    async def _tell_forge(self) -> None:
        channels = self._channels
        while True:
            await self._wake_forges.wait()
            self._wake_forges.clear()
            messages, self._forges = self._forges, []
            for message in messages:
                await self._deliver("status", lambda: post_status(channels, message))  # noqa: B023

    async def _deliver(self, channel: str, send: Callable[[], None]) -> None:
        """Send on a thread, again with doubled waits; a refusal for good is not tried again."""
        wait = self._channels.retry
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await asyncio.to_thread(send)
            except urllib.error.HTTPError as error:
                reason = f"{error.code} {error.reason}"
                if error.code < 500 and error.code not in (408, 429):  # noqa: PLR2004 - RFC 9110
                    self._log.warning("notify.refused", channel=channel, reason=reason)
                    return
            except (OSError, smtplib.SMTPException) as error:
                reason = _reason(error)
            else:
                return
            if attempt < _ATTEMPTS:
                await asyncio.sleep(wait)
                wait *= 2
        self._log.warning("notify.failed", channel=channel, reason=reason)


def post(url: str, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
    """POST JSON; blocking. Raises `OSError`, of which `urllib.error.HTTPError` is one."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise OSError("only http and https addresses are posted to")
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked
        url,
        data=json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "User-Agent": "reconciler", **(headers or {})},
    )
    with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
        answer.read(1)


def post_status(channels: Channels, message: Message) -> None:
    """Post a commit's status to the forge; blocking. Raises `OSError`."""
    forge = channels.forge
    if forge is None:
        return
    url, body = commit_status(message, forge, channels.status_url)
    headers = {}
    if channels.status_token is not None:
        headers = authorization(forge, channels.status_token.read_text().strip())
    post(url, body, headers)


def send_email(place: str, messages: list[Message]) -> None:
    """Send one e-mail by SMTP; blocking. Raises `OSError`, `smtplib.SMTPException`."""
    parts = urlsplit(place)
    query = {name: values[0] for name, values in parse_qs(parts.query).items()}
    host, port = parts.hostname or "localhost", parts.port or _SMTP_PORT
    with smtplib.SMTP(host, port, timeout=_TIMEOUT_SECONDS) as server:
        if "user" in query:
            server.starttls()
            server.login(query["user"], Path(query["password-file"]).read_text().strip())
        server.send_message(email(messages, query["from"], query["to"]))


def _reason(error: Exception) -> str:
    """Return what went wrong, without the address: it may hold a secret."""
    inner = getattr(error, "reason", None)
    return str(inner) if inner is not None else f"{type(error).__name__}: {error}"
