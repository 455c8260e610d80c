"""What is told to the outside of a revision, and in which form. Pure.

Called by `notify.py`. Nothing here knows how a message travels. A message has what `history` shows:
no field's value, so no secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any, Literal

from reconciler.model.gitops import Revision

Forge = Literal["github", "gitlab", "gitea", "generic"]

TOLD = frozenset(("Healthy", "Held", "Rejected", "Failed", "RolledBack"))
"""The phases of which people are notified."""

_BAD = frozenset(("Rejected", "Failed", "RolledBack"))
_LONGEST = 140
_STATES: dict[Forge, tuple[str, str, str]] = {
    "github": ("pending", "success", "failure"),
    "gitlab": ("running", "success", "failed"),
    "gitea": ("pending", "success", "failure"),
    "generic": ("pending", "success", "failure"),
}


@dataclass(frozen=True, slots=True)
class Message:
    """One phase that a revision reached."""

    source: str
    name: str
    revision: str
    phase: str
    author: str
    title: str
    text: str

    @property
    def line(self) -> str:
        """The message as one line for people."""
        head = f"{self.source}: {self.revision[:12]} {self.phase}"
        return ": ".join(part for part in (head, self.title, self.text) if part)


def message_of(revision: Revision) -> Message:
    """Return the message of the phase that a revision is in."""
    spec, status = revision.spec, revision.status
    title = spec.message.partition("\n")[0]
    return Message(
        spec.source, revision.metadata.name, spec.revision, status.phase, spec.author, title,
        status.message,
    )  # fmt: skip


def webhook_body(messages: Sequence[Message]) -> dict[str, Any]:
    """Return the JSON of the generic webhook: one entry a message, oldest first."""
    return {
        "messages": [
            {
                "source": each.source,
                "name": each.name,
                "revision": each.revision,
                "phase": each.phase,
                "author": each.author,
                "title": each.title,
                "message": each.text,
            }
            for each in messages
        ]
    }


def slack_body(messages: Sequence[Message]) -> dict[str, Any]:
    """Return the JSON that Slack's incoming webhooks and their imitators take."""
    lines = [f"{_sign(each.phase)} {each.line}" for each in messages]
    text = "\n".join(lines)
    return {"text": text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")}


def _sign(phase: str) -> str:
    if phase == "Healthy":
        return ":white_check_mark:"
    return ":x:" if phase in _BAD else ":warning:"


def email(messages: Sequence[Message], sender: str, receiver: str) -> EmailMessage:
    """Return the messages as one e-mail; its subject names the newest."""
    newest = messages[-1]
    made = EmailMessage()
    made["From"], made["To"] = sender, receiver
    made["Subject"] = f"[reconciler] {newest.source} {newest.revision[:12]} {newest.phase}"
    made.set_content("\n".join(each.line for each in messages) + "\n")
    return made


def state_of(phase: str, forge: Forge) -> str:
    """Return a commit's state in the words of a forge."""
    on_its_way, good, bad = _STATES[forge]
    if phase == "Healthy":
        return good
    return bad if phase in _BAD else on_its_way


def commit_status(message: Message, forge: Forge, url: str) -> tuple[str, dict[str, Any]]:
    """Return the address and JSON by which a forge takes a commit's status.

    `url` is the repository's in the forge's API: `https://api.github.com/repos/OWNER/NAME`,
    `https://HOST/api/v4/projects/ID`, `https://HOST/api/v1/repos/OWNER/NAME`.
    """
    context = f"reconciler/{message.source}"
    state = state_of(message.phase, forge)
    words = f"{message.phase}: {message.text}".rstrip(": ")
    words = words if len(words) <= _LONGEST else f"{words[: _LONGEST - 1]}…"
    place = f"{url.rstrip('/')}/statuses/{message.revision}"
    match forge:
        case "gitlab":
            return place, {"state": state, "name": context, "description": words}
        case "github" | "gitea":
            return place, {"state": state, "context": context, "description": words}
        case "generic":
            return url, {
                "commit": message.revision, "state": state, "context": context,
                "description": words,
            }  # fmt: skip


def authorization(forge: Forge, token: str) -> dict[str, str]:
    """Return the header that carries a forge's token."""
    match forge:
        case "gitlab":
            return {"PRIVATE-TOKEN": token}
        case "gitea":
            return {"Authorization": f"token {token}"}
        case "github" | "generic":
            return {"Authorization": f"Bearer {token}"}
