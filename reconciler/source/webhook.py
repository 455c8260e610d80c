"""Whether a request is a push that we were promised: who signed it, and was it here before. Pure.

Called by `receiver.py`. Known are GitHub and Gitea (HMAC-SHA256 of the body), GitLab (a token in a
header) and anything that sends `Authorization: Bearer` or GitHub's signature. A request is only a
hint to look: nothing in it is believed.
"""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Mapping
from enum import Enum

_REMEMBERED = 4096
_DELIVERIES = ("x-github-delivery", "x-gitea-delivery", "x-gitlab-event-uuid", "x-delivery-id")


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
        self._seen: OrderedDict[str, None] = OrderedDict()

    def judge(self, headers: Mapping[str, str], body: bytes, now: float) -> Answer:
        """Return what to answer; `headers` have lower-case names, `now` is monotonic seconds.

        A delivery that was here before is refused, by its number and by its signed content; the
        rate bounds what a thief of a token could do.
        """
        if not self._authentic(headers, body):
            return Answer.UNAUTHORIZED
        if not self._enough(now):
            return Answer.TOO_MANY
        marks = self._marks(headers, body)
        if any(mark in self._seen for mark in marks):
            return Answer.REPLAYED
        self._seen.update(dict.fromkeys(marks))
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

    def _marks(self, headers: Mapping[str, str], body: bytes) -> list[str]:
        numbers = [f"{name} {headers[name]}" for name in _DELIVERIES if headers.get(name)]
        if any(_signatures(headers)) and body:
            numbers.append(hashlib.sha256(body).hexdigest())
        return numbers


def _signatures(headers: Mapping[str, str]) -> list[str]:
    github = headers.get("x-hub-signature-256", "")
    signed = github.removeprefix("sha256=") if github.startswith("sha256=") else ""
    return [each for each in (signed, headers.get("x-gitea-signature", "")) if each]


def _same(given: str, wanted: bytes) -> bool:
    return bool(wanted) and hmac.compare_digest(given.encode("utf-8", "replace"), wanted)
