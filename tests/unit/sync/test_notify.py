"""Outcomes told to webhooks, chats, mailboxes and forges; every receiver is a loopback server."""

from __future__ import annotations

import asyncio
import json
import socketserver
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from reconciler.client.informer import Informer
from reconciler.core.clock import SystemClock
from reconciler.model.gitops import Revision
from reconciler.sync.messages import Message, commit_status, message_of, slack_body, state_of
from reconciler.sync.notify import Channels, Notifier
from tests.unit.sync.cluster import Cluster
from tests.unit.sync.world import WEB, settings

BAD = b"kind: ConfigMap\napiVersion: v1\n"


class Receiver:
    """What was posted; `refuse` answers with that many 503 first, or with `code` always."""

    def __init__(self, refuse=0, code=0):
        self.posts = []
        self.refuse, self.code, self.tries = refuse, code, 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                receiver.tries += 1
                body = self.rfile.read(int(self.headers["Content-Length"]))
                refused = receiver.tries <= receiver.refuse
                answer = receiver.code or (503 if refused else 200)
                if answer == 200:
                    receiver.posts.append((self.path, json.loads(body), dict(self.headers)))
                self.send_response(answer)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def serving(receiver):
    thread = threading.Thread(target=receiver.server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield receiver
    finally:
        receiver.server.shutdown()
        receiver.server.server_close()
        thread.join()


class Mailbox:
    """A server that speaks as much SMTP as a plain delivery needs."""

    def __init__(self):
        self.letters = []
        mailbox = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                self.wfile.write(b"220 here\r\n")
                while line := self.rfile.readline():
                    if line.upper().startswith(b"DATA"):
                        self.wfile.write(b"354 go on\r\n")
                        letter = b""
                        while (part := self.rfile.readline()) != b".\r\n":
                            letter += part
                        mailbox.letters.append(letter.decode())
                    self.wfile.write(b"250 fine\r\n")
                    if line.upper().startswith(b"QUIT"):
                        return

        self.server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler)
        self.url = f"smtp://127.0.0.1:{self.server.server_address[1]}/?from=a@x.org&to=b@x.org"


async def wait(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - another thread's doing
            await asyncio.sleep(0.01)


def told(channels, scenario):
    """Run a scenario on a real cluster of this process, with a notifier beside it."""

    async def body():
        cluster = Cluster(SystemClock())
        async with cluster.running():
            informer = Informer(cluster.client, Revision)
            notifier = Notifier(informer, channels)
            tasks = [asyncio.create_task(each.run()) for each in (informer, notifier)]
            await informer.synced.wait()
            try:
                await scenario(cluster)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(body())


def test_a_webhook_and_a_chat_hear_of_each_outcome_once():
    with serving(Receiver()) as web, serving(Receiver()) as chat:

        async def scenario(cluster):
            good = await cluster.apply(WEB, settings("a", key="hunter2"))
            await wait(lambda: len(web.posts) == 1 and len(chat.posts) == 1)
            await cluster.apply(WEB, BAD)
            await wait(lambda: len(web.posts) == 2 and len(chat.posts) == 2)
            (_, first, _), (_, second, _) = web.posts
            assert [(m["revision"], m["phase"]) for m in first["messages"]] == [
                (good.spec.revision, "Healthy")
            ]
            assert second["messages"][0]["phase"] == "Rejected"
            assert ":x: main: " in chat.posts[1][1]["text"]
            assert "hunter2" not in json.dumps([*web.posts, *chat.posts])

        told(Channels(webhook=web.url, slack=chat.url, pace=0.01), scenario)


def test_what_comes_in_quick_succession_is_one_message():
    with serving(Receiver()) as web:

        async def scenario(cluster):
            for number in range(4):
                await cluster.apply(WEB, settings("a", key=str(number)))
                await wait(lambda: web.posts)
            await wait(lambda: len(web.posts) == 2)
            assert [len(body["messages"]) for _, body, _ in web.posts] == [1, 3]

        told(Channels(webhook=web.url, pace=1.5), scenario)


def test_a_receiver_that_is_ill_is_tried_again_and_one_that_refuses_is_not():
    with serving(Receiver(refuse=2)) as ill, serving(Receiver(code=403)) as closed:

        async def scenario(cluster):
            await cluster.apply(WEB)
            await wait(lambda: ill.posts)
            await wait(lambda: closed.tries)
            assert (ill.tries, closed.tries) == (3, 1)

        told(Channels(webhook=ill.url, slack=closed.url, pace=0.01, retry=0.01), scenario)


def test_a_mailbox_gets_a_letter():
    box = Mailbox()
    with serving(box):

        async def scenario(cluster):
            done = await cluster.apply(WEB)
            await wait(lambda: box.letters)
            assert f"[reconciler] main {done.spec.revision[:12]} Healthy" in box.letters[0]
            assert "To: b@x.org" in box.letters[0]

        told(Channels(email=box.url, pace=0.01), scenario)


@pytest.mark.parametrize(
    ("forge", "path", "header", "value", "word"),
    [
        ("github", "/statuses/{}", "Authorization", "Bearer t0ken", "success"),
        ("gitlab", "/statuses/{}", "Private-Token", "t0ken", "success"),
        ("gitea", "/statuses/{}", "Authorization", "token t0ken", "success"),
        ("generic", "/", "Authorization", "Bearer t0ken", "success"),
    ],
)
def test_a_forge_hears_how_its_commit_fares(tmp_path, forge, path, header, value, word):
    token = tmp_path / "token"
    token.write_text("t0ken\n")
    with serving(Receiver()) as receiver:

        async def scenario(cluster):
            done = await cluster.apply(WEB)
            await wait(lambda: receiver.posts and receiver.posts[-1][1]["state"] == word)
            place, body, headers = receiver.posts[-1]
            assert place.rstrip("/") == path.format(done.spec.revision).rstrip("/")
            assert {name.title(): text for name, text in headers.items()}[header] == value
            assert body.get("context", body.get("name")) == "reconciler/main"

        told(Channels(forge=forge, status_url=receiver.url, status_token=token), scenario)


@pytest.mark.parametrize(
    ("phase", "github", "gitlab"),
    [
        ("Planned", "pending", "running"),
        ("Held", "pending", "running"),
        ("Rejected", "failure", "failed"),
        ("RolledBack", "failure", "failed"),
    ],
)
def test_phases_in_the_words_of_a_forge(phase, github, gitlab):
    assert (state_of(phase, "github"), state_of(phase, "gitea")) == (github, github)
    assert state_of(phase, "gitlab") == gitlab


def test_a_long_reason_is_cut_for_a_forge_and_markup_is_text_in_a_chat():
    message = Message("main", "main-1", "c" * 40, "Failed", "A", "<!channel>", "x" * 500)
    _, body = commit_status(message, "github", "https://h/repos/o/n/")
    assert len(body["description"]) == 140
    assert "&lt;!channel&gt;" in slack_body([message])["text"]
    assert message_of(Revision()).phase == ""


@pytest.mark.parametrize(
    ("phase", "sign"),
    [("Healthy", ":white_check_mark:"), ("Held", ":warning:"), ("RolledBack", ":x:")],
)
def test_a_chat_shows_at_once_whether_somebody_is_needed(phase, sign):
    message = Message("main", "main-1", "c0ffee", phase, "A <a@b>", "title", "")
    assert slack_body([message])["text"].startswith(f"{sign} main: c0ffee {phase}")
