"""Webhooks: whom they are from, what is refused, and what the receiver bears."""

import asyncio
import hashlib
import hmac
from contextlib import suppress
from functools import partial

import pytest

from reconciler.core.clock import SystemClock
from reconciler.source.pushed import source_in
from reconciler.source.receiver import Receiver
from reconciler.source.webhook import REPLAY_SECONDS, Answer, Doorkeeper

BODY = b'{"ref": "refs/heads/main"}'


def signature(body=BODY, key="secret"):
    return hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


GOOD = {
    "github": {"x-hub-signature-256": f"sha256={signature()}", "x-github-delivery": "1"},
    "gitea": {"x-gitea-signature": signature(), "x-gitea-delivery": "1"},
    "gitlab": {"x-gitlab-token": "secret", "x-gitlab-event-uuid": "1"},
    "gitlab, newer": {"x-gitlab-token": "secret", "idempotency-key": "1"},
    "generic": {"authorization": "Bearer secret", "x-delivery-id": "1"},
}
BAD = {
    "nothing": {},
    "another secret": {"x-hub-signature-256": f"sha256={signature(key='other')}"},
    "another body": {"x-hub-signature-256": f"sha256={signature(b'other')}"},
    "SHA-1": {"x-hub-signature": "sha1=00", "x-hub-signature-256": signature()},
    "a wrong token": {"x-gitlab-token": "secret2"},
    "basic": {"authorization": "Basic secret"},
    "not ASCII": {"x-gitlab-token": "sécret"},
    "empty": {"x-gitlab-token": "", "x-gitea-signature": "", "authorization": "Bearer "},
}


@pytest.mark.parametrize("forge", GOOD)
def test_each_forge_is_let_in_once(forge):
    keeper = Doorkeeper("secret")
    assert keeper.judge(GOOD[forge], BODY, 0.0) is Answer.ACCEPTED
    assert keeper.judge(GOOD[forge], BODY, 1.0) is Answer.REPLAYED


@pytest.mark.parametrize("what", BAD)
def test_what_does_not_show_the_secret_is_refused(what):
    assert Doorkeeper("secret").judge(BAD[what], BODY, 0.0) is Answer.UNAUTHORIZED


def test_an_empty_secret_lets_nobody_in():
    assert Doorkeeper("").judge({"x-gitlab-token": ""}, BODY, 0.0) is Answer.UNAUTHORIZED


def test_a_signed_body_with_another_number_is_a_replay():
    keeper = Doorkeeper("secret")
    assert keeper.judge(GOOD["github"], BODY, 0.0) is Answer.ACCEPTED
    again = {**GOOD["github"], "x-github-delivery": "2"}
    assert keeper.judge(again, BODY, 1.0) is Answer.REPLAYED


PUSH = b'{"ref": "refs/heads/main", "after": "%s"}' % (b"a" * 40)
TOKENS = [{"x-gitlab-token": "secret"}, {"authorization": "Bearer secret"}]


@pytest.mark.parametrize("token", TOKENS)
def test_a_body_with_a_token_is_a_replay_for_a_while_when_it_names_a_commit(token):
    keeper = Doorkeeper("secret")
    assert keeper.judge(token, PUSH, 0.0) is Answer.ACCEPTED
    other_number = {**token, "idempotency-key": "2"}
    assert keeper.judge(other_number, PUSH, REPLAY_SECONDS - 1) is Answer.REPLAYED
    assert keeper.judge(token, PUSH.replace(b"a", b"b"), REPLAY_SECONDS - 1) is Answer.ACCEPTED
    assert keeper.judge(token, PUSH, REPLAY_SECONDS) is Answer.ACCEPTED
    for body in (b"", b"{}", BODY):  # they say the same of each push
        assert keeper.judge(token, body, REPLAY_SECONDS) is Answer.ACCEPTED
        assert keeper.judge(token, body, REPLAY_SECONDS) is Answer.ACCEPTED


def test_what_names_a_webhook_of_gitlab_is_not_taken_for_a_number_of_a_delivery():
    keeper = Doorkeeper("secret")
    headers = {"x-gitlab-token": "secret", "x-gitlab-webhook-uuid": "for-ever"}
    assert keeper.judge(headers, PUSH, 0.0) is Answer.ACCEPTED
    assert keeper.judge(headers, PUSH.replace(b"a", b"b"), 0.0) is Answer.ACCEPTED


def test_two_webhooks_of_a_repository_that_name_two_sources_are_both_heard_once():
    keeper = Doorkeeper("secret")
    for place in ("shop", "other"):
        assert keeper.judge(GOOD["github"], BODY, 0.0, place) is Answer.ACCEPTED
    assert keeper.judge(GOOD["github"], BODY, 1.0, "shop") is Answer.REPLAYED


def test_a_flood_of_replays_leaves_room_for_what_is_new():
    keeper = Doorkeeper("secret", rate=1.0, burst=2)
    assert keeper.judge(GOOD["github"], BODY, 0.0) is Answer.ACCEPTED
    answers = {keeper.judge(GOOD["github"], BODY, 0.0) for _ in range(100)}
    assert answers == {Answer.REPLAYED}
    assert keeper.judge(GOOD["gitlab"], PUSH, 0.0) is Answer.ACCEPTED


def test_the_rate_is_bounded_and_recovers():
    keeper = Doorkeeper("secret", rate=1.0, burst=3)
    token = {"x-gitlab-token": "secret"}
    answers = [keeper.judge(token, b"", 0.0) for _ in range(4)]
    assert answers == [*[Answer.ACCEPTED] * 3, Answer.TOO_MANY]
    assert keeper.judge(token, b"", 1.0) is Answer.ACCEPTED


def test_what_is_refused_does_not_use_up_the_rate():
    keeper = Doorkeeper("secret", rate=1.0, burst=1)
    for _ in range(10):
        assert keeper.judge({}, BODY, 0.0) is Answer.UNAUTHORIZED
    assert keeper.judge(GOOD["github"], BODY, 0.0) is Answer.ACCEPTED


@pytest.fixture
async def receiver():
    looks = []

    def looked(target, body):
        looks.append((target, body))

    keeper = Doorkeeper("secret", burst=100)
    place = partial(source_in, sources=("shop", "other"))
    made = Receiver("127.0.0.1", 0, keeper, looked, SystemClock(), place=place)
    made.looks = looks
    running = asyncio.create_task(made.run())
    async with asyncio.timeout(10):
        await made.ready.wait()
    yield made
    running.cancel()


async def send(receiver, data):
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(*receiver.address)
        writer.write(data)
        line = await reader.readline()
        writer.close()
    return int(line.split()[1]) if line else 0


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /x HTTP/1.1\r\nX-Gitlab-Token: secret\r\nContent-Length: 2\r\n\r\n{}", 202),
        (b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}", 401),
        (b"GET / HTTP/1.1\r\n\r\n", 405),
        (b"POST / HTTP/1.1\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 411),
        (b"POST / HTTP/1.1\r\nContent-Length: 9999999999\r\n\r\n", 413),
        (b"nonsense\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nX: " + b"x" * 70000 + b"\r\n\r\n", 0),
    ],
)
async def test_the_receiver_answers_each_kind_of_request(receiver, request_, status):
    assert await send(receiver, request_) == status
    assert len(receiver.looks) == (status == 202)


async def test_the_receiver_tells_a_replay_by_the_source_that_the_path_names(receiver):
    tail = f"X-Gitlab-Token: secret\r\nContent-Length: {len(PUSH)}\r\n\r\n".encode() + PUSH
    targets = (b"/shop", b"/hook/shop/", b"/other", b"/", b"/any")
    answers = [await send(receiver, b"POST %s HTTP/1.1\r\n%s" % (each, tail)) for each in targets]
    assert answers == [202, 409, 202, 202, 409]


async def test_connections_that_say_nothing_hold_up_nobody(receiver):
    idle = [await asyncio.open_connection(*receiver.address) for _ in range(100)]
    request = b"POST / HTTP/1.1\r\nX-Gitlab-Token: secret\r\nContent-Length: 2\r\n\r\n{}"
    assert await send(receiver, request) == 202
    first, last = idle[0][0], idle[-1][0]
    async with asyncio.timeout(10):
        with suppress(ConnectionResetError):
            assert await first.read() == b""
    assert not last.at_eof()
    for _, writer in idle:
        writer.close()
