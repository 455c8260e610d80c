"""Sources on real Git servers: how they let us in, what is followed, what is refused."""

import asyncio
import hashlib
import hmac
import shutil
import subprocess
import tempfile
import time
from contextlib import aclosing
from pathlib import Path

import pytest

from reconciler.core.clock import SystemClock
from reconciler.model.gitops import SourceSpec
from reconciler.source.access import Access, SecretData
from reconciler.source.place import Opening, open_source
from reconciler.source.receiver import Receiver
from reconciler.source.snapshot import Snapshot, SourceProblem
from reconciler.source.webhook import Doorkeeper
from tests.integration.gitservers import HttpsServer, Signer, Sshd, git_daemon
from tests.unit.source.gitrepo import TestRepository

pytestmark = pytest.mark.integration


@pytest.fixture
def repository(tmp_path):
    made = TestRepository(tmp_path / "repo")
    made.commit("one", a="first: 1")
    return made


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    return tmp_path


def opened(location, state, access=None, **spec):
    opening = Opening(SystemClock(), state, 3600.0, access or Access())
    return open_source(SourceSpec(url=str(location), **spec), opening)


def look(location, state, access=None, **spec) -> Snapshot | SourceProblem:
    """Return what a source yields first."""

    async def once():
        source = opened(location, state, access, **spec)
        try:
            async with aclosing(source.snapshots()) as snapshots, asyncio.timeout(30):
                return await anext(snapshots)
        finally:
            await source.close()

    return asyncio.run(once())


def paths(seen):
    assert isinstance(seen, Snapshot), seen
    return list(seen.files)


def reason(seen):
    assert isinstance(seen, SourceProblem), seen
    return seen.reason


@pytest.fixture
def ssh(tmp_path, home):
    folder = tmp_path / "ssh"
    folder.mkdir()
    server = Sshd(folder)
    yield server
    server.process.kill()
    server.process.wait()


def test_ssh_with_a_key_and_a_known_host(repository, ssh, tmp_path):
    folder = tmp_path / "ssh"
    access = Access(ssh_key_file=folder / "client", known_hosts_file=folder / "known_hosts")
    assert paths(look(ssh.url(repository.path), tmp_path / "s", access=access)) == ["a.yaml"]


def test_ssh_refuses_a_key_that_is_not_let_in(repository, ssh, tmp_path):
    folder = tmp_path / "ssh"
    access = Access(ssh_key_file=folder / "stranger", known_hosts_file=folder / "known_hosts")
    assert reason(look(ssh.url(repository.path), tmp_path / "s", access=access)) == "Unreachable"


@pytest.mark.parametrize("known", ["", "another"])
def test_ssh_refuses_a_host_that_is_not_known_or_has_another_key(repository, ssh, tmp_path, known):
    folder = tmp_path / "ssh"
    line = f"[127.0.0.1]:{ssh.port} {(folder / 'stranger.pub').read_text()}" if known else ""
    (folder / "others").write_text(line)
    access = Access(ssh_key_file=folder / "client", known_hosts_file=folder / "others")
    assert reason(look(ssh.url(repository.path), tmp_path / "s", access=access)) == "Unreachable"


@pytest.fixture
def https(tmp_path, home, request):
    folder = tmp_path / "tls"
    folder.mkdir()
    server = HttpsServer(tmp_path, folder, getattr(request, "param", "x-access-token:secret-token"))
    yield server
    server.close()


def test_https_with_a_token_and_a_test_authority(repository, https, tmp_path):
    (tmp_path / "token").write_text("secret-token\n")
    access = Access(token_file=tmp_path / "token", ca_file=https.ca)
    assert paths(look(f"{https.url}/repo", tmp_path / "s", access=access)) == ["a.yaml"]


@pytest.mark.parametrize("https", ["ada:pass:word"], indirect=True)
def test_https_with_a_user_and_a_password(repository, https, tmp_path):
    (tmp_path / "token").write_text("ada:pass:word")
    access = Access(token_file=tmp_path / "token", ca_file=https.ca)
    assert paths(look(f"{https.url}/repo", tmp_path / "s", access=access)) == ["a.yaml"]


def test_https_refuses_a_wrong_token_and_shows_none(repository, https, tmp_path):
    (tmp_path / "token").write_text("wrong-token")
    access = Access(token_file=tmp_path / "token", ca_file=https.ca)
    seen = look(f"{https.url}/repo", tmp_path / "s", access=access)
    assert reason(seen) == "Unreachable"
    assert "wrong-token" not in seen.message


def test_https_refuses_an_authority_that_is_not_trusted(repository, https, tmp_path):
    (tmp_path / "token").write_text("secret-token")
    seen = look(f"{https.url}/repo", tmp_path / "s", access=Access(token_file=tmp_path / "token"))
    assert reason(seen) == "Unreachable"
    assert "certificate" in seen.message


def test_a_token_file_that_is_missing_is_told(repository, https, tmp_path):
    access = Access(token_file=tmp_path / "none", ca_file=https.ca)
    assert reason(look(f"{https.url}/repo", tmp_path / "s", access=access)) == "CredentialsMissing"


@pytest.fixture
def daemon(tmp_path, home):
    process, url = git_daemon(tmp_path)
    yield url
    process.kill()
    process.wait()


@pytest.fixture
def tagged(repository):
    """The commits of the tags v1.0.0, v1.2.0 and v2.0.0, and of the branch."""
    commits = {}
    for tag in ("v1.0.0", "v1.2.0", "v2.0.0"):
        commits[tag] = repository.commit(tag, **{tag.replace(".", "-"): "a: 1"})
        repository.git("tag", tag)
    commits["main"] = repository.commit("later", later="a: 1")
    return commits


@pytest.mark.parametrize("served", [True, False])
@pytest.mark.parametrize(
    ("options", "commit"),
    [
        ({"branch": "main"}, "main"),
        ({"tag": "v1.0.0"}, "v1.0.0"),
        ({"semver": "1.x"}, "v1.2.0"),
        ({"semver": "*"}, "v2.0.0"),
    ],
)
def test_what_may_be_followed(repository, tagged, daemon, tmp_path, options, commit, served):
    location = f"{daemon}/repo" if served else repository.path
    seen = look(location, tmp_path / "s", **options)
    assert isinstance(seen, Snapshot), seen
    assert seen.revision == tagged[commit]


@pytest.mark.parametrize("served", [True, False])
def test_one_commit_is_held(repository, tagged, daemon, tmp_path, served):
    location = f"{daemon}/repo" if served else repository.path
    seen = look(location, tmp_path / "s", commit=tagged["v1.0.0"])
    assert seen.revision == tagged["v1.0.0"]


@pytest.mark.parametrize(
    "options", [{"tag": "v9"}, {"semver": ">=9"}, {"commit": "0" * 40}, {"branch": "none"}]
)
def test_what_is_not_there_is_told(repository, tagged, daemon, tmp_path, options):
    assert reason(look(f"{daemon}/repo", tmp_path / "s", **options)) == "BranchMissing"


def in_secret(path, name="allowed_signers"):
    return Access(verify=lambda: SecretData("team/keys", {name: path.read_bytes()}))


TRUST = pytest.mark.parametrize("trust", [lambda path: Access(signers_file=path), in_secret])


@TRUST
def test_a_commit_signed_by_a_trusted_ssh_key_is_taken(repository, tmp_path, home, trust):
    signer = Signer(tmp_path, "ada")
    commit = signer.commit(repository, "signed")
    seen = look(repository.path, tmp_path / "s", access=trust(signer.trust))
    assert seen.revision == commit
    assert seen.verified
    assert not look(repository.path, tmp_path / "t").verified


@TRUST
def test_unsigned_and_untrusted_commits_are_refused(repository, tmp_path, home, trust):
    signer, stranger = Signer(tmp_path, "ada"), Signer(tmp_path, "eve")
    access = trust(signer.trust)
    assert reason(look(repository.path, tmp_path / "s", access=access)) == "SignatureInvalid"
    stranger.commit(repository, "by-eve")
    assert reason(look(repository.path, tmp_path / "s", access=access)) == "SignatureInvalid"


@pytest.mark.parametrize(("name", "why"), [("other", "KeysMissing"), ("a.asc", "KeysUnreadable")])
def test_a_secret_without_a_key_trusts_nobody(repository, tmp_path, name, why):
    access = in_secret(Signer(tmp_path, "ada").trust, name)
    assert reason(look(repository.path, tmp_path / "s", access=access)) == why


def test_a_signed_tag_vouches_for_an_unsigned_commit(repository, daemon, tmp_path):
    signer = Signer(tmp_path, "ada")
    signer.tag(repository, "v1.0.0")
    access = Access(signers_file=signer.trust)
    seen = look(f"{daemon}/repo", tmp_path / "s", semver="1.x", access=access)
    assert isinstance(seen, Snapshot), seen
    repository.git("tag", "v1.1.0")
    seen = look(f"{daemon}/repo", tmp_path / "s", semver="1.x", access=access)
    assert reason(seen) == "SignatureInvalid"


def test_a_commit_signed_by_a_trusted_pgp_key_is_taken(repository, tmp_path, home):
    gnupg = Path(tempfile.mkdtemp(prefix="gpg-"))  # gpg-agent's socket needs a short path
    gpg = ["gpg", "--homedir", str(gnupg), "--batch", "--quiet", "--passphrase", ""]
    try:
        key = "ada@example.com"
        subprocess.run([*gpg, "--quick-generate-key", key, "ed25519", "sign"], check=True)
        (tmp_path / "keys.asc").write_bytes(
            subprocess.run(
                [*gpg, "--armor", "--export", key], check=True, capture_output=True
            ).stdout
        )
        repository.git("config", "gpg.program", str(_wrapper(tmp_path, gnupg)))
        repository.git(
            "-c", f"user.signingkey={key}", "commit", "-q", "--allow-empty", "-S", "-m", "s"
        )
        commit = repository.git("rev-parse", "HEAD")
        repository.git("config", "--unset", "gpg.program")
        access = Access(gpg_keys_file=tmp_path / "keys.asc")
        secret = in_secret(tmp_path / "keys.asc", "ada.asc")
        assert look(repository.path, tmp_path / "s", access=access).revision == commit
        assert look(repository.path, tmp_path / "s", access=secret).revision == commit
        repository.commit("unsigned")
        assert reason(look(repository.path, tmp_path / "s", access=access)) == "SignatureInvalid"
    finally:
        subprocess.run(["gpgconf", "--homedir", str(gnupg), "--kill", "all"], check=False)
        shutil.rmtree(gnupg, ignore_errors=True)


async def test_a_webhook_shows_a_push_in_less_than_a_second(repository, daemon, tmp_path):
    source = opened(f"{daemon}/repo", tmp_path / "s")
    keeper = Doorkeeper("secret")
    receiver = Receiver("127.0.0.1", 0, keeper, lambda *_: source.look(), SystemClock())
    listening = asyncio.create_task(receiver.run())
    try:
        async with aclosing(source.snapshots()) as snapshots, asyncio.timeout(30):
            await anext(snapshots)
            await receiver.ready.wait()
            commit = repository.commit("pushed", pushed="a: 1")
            started = time.monotonic()
            assert await post(receiver.address, b'{"after": "x"}', "secret") == 202
            seen = await anext(snapshots)
            assert time.monotonic() - started < 1.0
        assert seen.revision == commit
    finally:
        listening.cancel()
        await source.close()


async def post(address, body, secret):
    reader, writer = await asyncio.open_connection(*address)
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    head = f"POST / HTTP/1.1\r\nX-Hub-Signature-256: sha256={signature}\r\n"
    writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
    status = int((await reader.readline()).split()[1])
    writer.close()
    return status


def _wrapper(folder, gnupg):
    script = folder / "gpg"
    script.write_text(f'#!/bin/sh\nexec gpg --homedir {gnupg} --batch --passphrase "" "$@"\n')
    script.chmod(0o755)
    return script


def secret(data):
    return lambda: SecretData("team/git", {key: value.encode() for key, value in data.items()})


def in_memory(tmp_path, read):
    (tmp_path / "run").mkdir(exist_ok=True)
    return {"secret": read, "run_dir": tmp_path / "run"}


@pytest.mark.parametrize(
    ("https", "data"),
    [
        ("x-access-token:secret-token", {"token": "secret-token"}),
        ("me:secret", {"username": "me", "password": "secret\n"}),
    ],
    indirect=["https"],
)
def test_https_with_what_a_secret_holds(repository, https, tmp_path, data):
    data["ca.crt"] = https.ca.read_text()
    access = Access(**in_memory(tmp_path, secret(data)))
    assert paths(look(f"{https.url}/repo", tmp_path / "s", access=access)) == ["a.yaml"]
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("names", [("ssh-privatekey",), ("identity",)])
def test_ssh_with_what_a_secret_holds(repository, ssh, tmp_path, names):
    folder = tmp_path / "ssh"
    data = {names[0]: (folder / "client").read_text()}
    access = Access(**in_memory(tmp_path, secret(data)))
    told = look(ssh.url(repository.path), tmp_path / "s", access=access)
    assert (told.reason, told.message) == (
        "CredentialsMissing", 'Secret team/git has no key "known_hosts"',
    )  # fmt: skip
    data["known_hosts"] = (folder / "known_hosts").read_text()
    access = Access(**in_memory(tmp_path, secret(data)))
    assert paths(look(ssh.url(repository.path), tmp_path / "s", access=access)) == ["a.yaml"]
    assert list((tmp_path / "run").iterdir()) == []


def test_a_source_of_others_has_none_of_our_own_ssh_keys(repository, ssh, tmp_path):
    keys = tmp_path / ".ssh"
    keys.mkdir()
    shutil.copy(tmp_path / "ssh" / "client", keys / "id_ed25519")
    known = tmp_path / "ssh" / "known_hosts"
    access = Access(known_hosts_file=known, own=False)
    assert reason(look(ssh.url(repository.path), tmp_path / "s", access=access)) == "Unreachable"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({}, 'Secret team/git has no key "password" or "token" or "bearerToken"'),
        ({"token": "a\nHost: b"}, 'key "token" of Secret team/git has more than one line'),
    ],
)
def test_a_secret_without_what_is_needed_is_told_by_its_keys(
    repository, https, tmp_path, data, message
):
    access = Access(**in_memory(tmp_path, secret(data)))
    told = look(f"{https.url}/repo", tmp_path / "s", access=access)
    assert (told.reason, told.message) == ("CredentialsMissing", message)


def test_a_secret_is_not_sent_where_anybody_reads_it(repository, daemon, tmp_path):
    access = Access(**in_memory(tmp_path, secret({"token": "t"})))
    told = look(f"{daemon}/repo", tmp_path / "s", access=access)
    assert told.reason == "CredentialsRefused"


async def test_a_rotated_secret_is_used_at_the_next_fetch(repository, https, tmp_path):
    data = {"token": "old-token", "ca.crt": https.ca.read_text()}
    access = Access(**in_memory(tmp_path, secret(data)))
    source = opened(f"{https.url}/repo", tmp_path / "s", access)
    async with aclosing(source.snapshots()) as snapshots, asyncio.timeout(30):
        refused = await anext(snapshots)
        assert refused.reason == "Unreachable"
        assert "old-token" not in refused.message
        data |= {"token": "secret-token"}
        source.look()
        assert paths(await anext(snapshots)) == ["a.yaml"]
    await source.close()
