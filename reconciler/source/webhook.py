"""Whether a request is a push that we were promised: who signed it, and was it here before. Pure.

Called by `receiver.py`. Known are GitHub and Gitea (HMAC-SHA256 of the body), GitLab (a token in a
header) and anything that sends `Authorization: Bearer` or GitHub's signature. A request is only a
hint to look: nothing in it is believed.

A delivery is known again by the number that its forge gives it, and by its body: a signed one for
as long as it is remembered, for its signature holds for ever; one that came with a token for
`REPLAY_SECONDS`, and only when it names a commit, for a body that is always the same (`{}`) tells
pushes not apart. Who has stolen a token can make new bodies: there the rate alone is a bound.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum
from math import inf

_REMEMBERED = 4096
# GitLab's X-Gitlab-Webhook-UUID is no number of a delivery: a webhook has one for its whole life.
_DELIVERIES = (
    "x-github-delivery", "x-gitea-delivery", "x-gitlab-event-uuid", "idempotency-key",
    "x-delivery-id",
)  # fmt: skip
_COMMIT = re.compile(rb"\b[0-9a-f]{40}(?:[0-9a-f]{24})?\b")

REPLAY_SECONDS = 300.0
"""For how long a body with a token and the name of a commit is not let in again."""


class Answer(Enum):
    """What a request gets, as HTTP has it."""

    ACCEPTED = 202
    UNAUTHORIZED = 401
    REPLAYED = 409
    TOO_MANY = 429


class Doorkeeper:
    """Judges requests by `secret`; `rate` a second are let in, and `burst` at once."""

    def __init__(self, secret: str, *, rate: float = 2.0, burst: int = 20) -> None:
        self._secret = secret.encode()
        self._rate = rate
        self._burst = float(burst)
        self._left = float(burst)
        self._at = 0.0
        self._seen: OrderedDict[str, float] = OrderedDict()

    def judge(self, headers: Mapping[str, str], body: bytes, now: float, place: str = "") -> Answer:
        """Return what to answer; `headers` have lower-case names, `now` is monotonic seconds.

        A delivery that was here before is refused. `place` is the source that the request's path
        names: a forge tells each webhook of a repository of an event, with one number and body.
        """
        if not self._authentic(headers, body):
            return Answer.UNAUTHORIZED
        marks = {f"{place} {mark}": now + age for mark, age in self._marks(headers, body).items()}
        if any(self._seen.get(mark, -inf) > now for mark in marks):
            return Answer.REPLAYED
        if not self._enough(now):
            return Answer.TOO_MANY
        self._seen.update(marks)
        while len(self._seen) > _REMEMBERED:
            self._seen.popitem(last=False)
        return Answer.ACCEPTED

    def _enough(self, now: float) -> bool:
        self._left = min(self._burst, self._left + (now - self._at) * self._rate)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def _authentic(self, headers: Mapping[str, str], body: bytes) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        tokens = [headers.get("x-gitlab-token", ""), bearer if scheme.lower() == "bearer" else ""]
        if any(_same(token, self._secret) for token in tokens):
            return True
        wanted = hmac.new(self._secret, body, hashlib.sha256).hexdigest().encode()
        return any(_same(each, wanted) for each in _signatures(headers))

    def _marks(self, headers: Mapping[str, str], body: bytes) -> dict[str, float]:
        """Return what the delivery is known by, and for how many seconds."""
        marks = {f"{name} {headers[name]}": inf for name in _DELIVERIES if headers.get(name)}
        if body and any(_signatures(headers)):
            marks[hashlib.sha256(body).hexdigest()] = inf
        elif _COMMIT.search(body):
            marks[hashlib.sha256(body).hexdigest()] = REPLAY_SECONDS
        return marks


def _signatures(headers: Mapping[str, str]) -> list[str]:
    github = headers.get("x-hub-signature-256", "")
    signed = github.removeprefix("sha256=") if github.startswith("sha256=") else ""
    return [each for each in (signed, headers.get("x-gitea-signature", "")) if each]


def _same(given: str, wanted: bytes) -> bool:
    return bool(wanted) and hmac.compare_digest(given.encode("utf-8", "replace"), wanted)
