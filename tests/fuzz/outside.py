"""What bytes of Git, webhooks, DNS clients, registries and Docker reach first. See `targets.py`."""

from __future__ import annotations

import asyncio
import io
import json
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

import pyrage

from reconciler.core.clock import SystemClock
from reconciler.desired.age import AgeKeys
from reconciler.desired.limits import ReadLimits
from reconciler.desired.load import Loader
from reconciler.desired.manifest import read_file
from reconciler.kubelet import dockerapi, dockerexec, dockerstream, http2, pullsecrets
from reconciler.kubelet.dockerstream import Raw
from reconciler.kubelet.runtime import RuntimeFailure
from reconciler.model.config import Secret
from reconciler.model.streaming import StreamFailure
from reconciler.proxy.dns.resolver import Resolver
from reconciler.proxy.dns.zone import Settings, Zone
from reconciler.source import semver
from reconciler.source.offline import read_once
from reconciler.source.webhook import Doorkeeper
from tests.fuzz.target import Target

POD = b"""\
apiVersion: v1
kind: Pod
metadata: {name: a, namespace: b, labels: {x: "y"}, annotations: {}}
spec:
  containers:
  - name: c
    image: "i:1"
    command: [sh, -c, 'a $(B) $$(C)']
    env: [{name: B, valueFrom: {fieldRef: {fieldPath: metadata.name}}}]
    resources: {limits: {cpu: 100m, memory: 1Gi}}
    readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 5}
    volumeMounts: [{name: v, mountPath: /v, subPath: s}]
  volumes: [{name: v, hostPath: {path: /srv, type: Directory}}]
"""
LIST = b"""\
%YAML 1.1
---
apiVersion: v1
kind: List
items:
- &a {apiVersion: v1, kind: ConfigMap, metadata: {name: a}, data: {k: |+
    text

    }}
- <<: *a
  metadata: {name: b}
...
"""


@cache
def _keys() -> tuple[AgeKeys, pyrage.x25519.Recipient]:
    identity = pyrage.x25519.Identity.generate()
    with tempfile.NamedTemporaryFile("w", suffix=".key", delete=False) as file:
        file.write(str(identity))
    keys = AgeKeys(Path(file.name))
    keys._read()
    Path(file.name).unlink()
    return keys, identity.to_public()


def _manifest(name: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        read_file(name, data, "default", ReadLimits(), _keys()[0])

    return run


SOPS = b"""\
apiVersion: v1
kind: Secret
metadata: {name: s}
data:
  k: ENC[AES256_GCM,data:AAAA,iv:AAAAAAAAAAAAAAAAAAAAAA==,tag:AAAAAAAAAAAAAAAAAAAAAA==,type:str]
sops:
  age: [{recipient: age1x, enc: "KEY"}]
  lastmodified: "2026-01-01T00:00:00Z"
  mac: ENC[AES256_GCM,data:AAAA,iv:AAAA,tag:AAAA,type:str]
  encrypted_regex: ^(data|stringData)$
  version: 3.9.0
"""


@cache
def _sops() -> bytes:
    """Return a SOPS file whose data key opens, so that what lies behind it is reached."""
    sealed = pyrage.encrypt(bytes(32), [_keys()[1]], armored=True).decode()
    return SOPS.replace(b'"KEY"', json.dumps(sealed).encode())


@cache
def _aged() -> bytes:
    return pyrage.encrypt(POD, [_keys()[1]])


KUSTOMIZATION = b"""\
resources: [app.yaml, ./app.yaml, ../base]
namePrefix: p-
labels: [{pairs: {a: b}, includeSelectors: true}]
images: [{name: i, newTag: "2", digest: sha256:0}]
replicas: [{name: a, count: 3}]
configMapGenerator:
- {name: c, literals: [a=b], files: [f=app.yaml], options: {disableNameSuffixHash: true}}
patches:
- target: {kind: Pod, name: "a.*"}
  patch: |-
    - {op: replace, path: /spec/containers/0/image, value: "x~1y"}
- patch: '{apiVersion: v1, kind: Pod, metadata: {name: a}, $patch: delete}'
"""


def _kustomize(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "app.yaml").write_bytes(POD)
        Path(folder, "kustomization.yaml").write_bytes(data)
        Loader().load(read_once([Path(folder)], SystemClock()))


CONFIG = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"},"data":{"a":"b"}}'
NAMELESS = b'{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a","":{}},"":"b"}'
DELIVERIES = (
    b'x-hub-signature-256: sha256=00\nx-github-event: push\n\n{"ref":"refs/heads/main"}',
    b'x-gitlab-token: secret\nx-gitlab-event-uuid: 1\n\n{"after":"0"}',
)


def _webhook(data: bytes) -> None:
    head, _, body = data.partition(b"\n\n")
    lines = (line.partition(":") for line in head.decode("latin-1").splitlines())
    headers = {name.lower(): value.strip() for name, _, value in lines}
    Doorkeeper("secret").judge(headers, body, 0.0)


@cache
def _resolver() -> Resolver:
    resolver = Resolver(Zone(Settings()))
    resolver.ready = True
    return resolver


def _dns(data: bytes) -> None:
    _resolver().decide(data)


_ANSWERS = (
    dockerapi.container, dockerapi.image, dockerapi.volume, dockerapi.happened,
    dockerapi.security_names,
)  # fmt: skip


def _docker(data: bytes) -> None:
    try:
        answer = json.loads(data)
    except (ValueError, RecursionError):
        return
    for read in _ANSWERS:
        try:
            read(answer)
        except RuntimeFailure:
            continue


CONTAINER = {
    "Id": "1", "Name": "/a", "Created": "2026-01-01T00:00:00.000000000Z", "Image": "sha256:1",
    "Config": {"Labels": {"a": "b"}, "Image": "i", "Entrypoint": ["a"], "Env": ["A=b"]},
    "State": {"Status": "exited", "ExitCode": 1, "FinishedAt": "0001-01-01T00:00:00Z", "Pid": 3},
}  # fmt: skip
EVENT = {
    "Type": "container", "Action": "die", "timeNano": 1,
    "Actor": {"ID": "1", "Attributes": {"exitCode": "1", "name": "a"}},
}  # fmt: skip


def _stream(data: bytes) -> None:
    async def read() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        async for _ in Raw(reader, None).pieces(tty=False):  # type: ignore[arg-type]
            pass

    asyncio.run(read())


def _docker_head(data: bytes) -> None:
    """What begins an answer, as an exec and an attached stream read it."""

    async def read() -> None:
        reader = asyncio.StreamReader(limit=4096)
        reader.feed_data(data)
        reader.feed_eof()
        async with dockerstream._bounded():
            await dockerstream._check(reader)

    with suppress(RuntimeFailure):
        dockerexec._status(data)
    dockerexec._words(data)
    with suppress(StreamFailure):
        asyncio.run(read())


def _docker_file(data: bytes) -> None:
    """A file of an image, as the engine packs it."""
    with suppress(RuntimeFailure):
        dockerapi.only_file([data[:600], data[600:]])


def _packed() -> bytes:
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        member = tarfile.TarInfo("passwd")
        member.size = 4
        tar.addfile(member, io.BytesIO(b"a:b\n"))
    return archive.getvalue()


def _pull_secret(data: bytes) -> None:
    for kind, key in (("dockerconfigjson", ".dockerconfigjson"), ("dockercfg", ".dockercfg")):
        secret = Secret.model_construct(type=f"kubernetes.io/{kind}", data={key: data})
        pullsecrets.credentials("registry.example/a/b:1", [secret])


HEALTHY = b"".join(
    (
        http2.frame(4, 0, 0, b"\0\3\0\0\0\x64"),
        http2.frame(6, 0, 0, bytes(8)),
        http2.frame(1, 0x4, 1, b"\x88\x40\x0bgrpc-status\x010"),
        http2.frame(0, 0x8, 1, b"\1\0\0\0\0\2\x08\1\0"),
        http2.frame(1, 0x25, 1, bytes(5) + b"\xbe"),
    )
)


def _grpc(data: bytes) -> None:
    """What a pod answers to a grpc probe, in two pieces."""
    reply = http2.Reply()
    with suppress(http2.Malformed):
        reply.take(data[: len(data) // 2])
        reply.take(data[len(data) // 2 :])
        reply.headers()


def versions(data: bytes) -> None:
    """A tag, and a range of versions."""
    text = data.decode("utf-8", "replace")
    semver.parse(text)
    try:
        semver.highest(["v1.2.3", "2.0.0-rc.1"], text)
    except ValueError:
        return


_QUERY = b"\0\1\1\0\0\1\0\0\0\0\0"
TARGETS = {
    "yaml_file": Target(_manifest("a.yaml"), (POD, LIST)),
    "json_file": Target(_manifest("a.json"), (CONFIG, NAMELESS, b'[1e9,-0.0,null,"\\ud800"]')),
    "sops_file": Target(_manifest("a.yaml"), (_sops(),)),
    "age_file": Target(_manifest("a.yaml.age"), (_aged(),)),
    "kustomization": Target(_kustomize, (KUSTOMIZATION,)),
    "webhook": Target(_webhook, DELIVERIES),
    "dns": Target(
        _dns,
        (
            _QUERY + b"\1\3web\7default\3svc\7cluster\5local\0\0\1\0\1\0\0)\x10\0\0\0\0\0\0\0",
            _QUERY + b"\0\x011\x0210\7in-addr\4arpa\0\0\x0c\0\1",
            _QUERY + b"\0\5_http\4_tcp\xc0\x0c\0\x21\0\1",
        ),
    ),
    "docker_answer": Target(
        _docker, tuple(json.dumps(each).encode() for each in (CONTAINER, EVENT))
    ),
    "docker_stream": Target(_stream, (b"\1\0\0\0\0\0\0\3abc\2\0\0\0\0\0\0\1d",)),
    "docker_head": Target(
        _docker_head,
        (b'HTTP/1.1 404 Not Found\r\n\r\n{"message":"no such"}', b"HTTP/1.0 200 OK\r\n\r\n"),
    ),
    "docker_file": Target(_docker_file, (_packed(),)),
    "grpc_answer": Target(_grpc, (HEALTHY,)),
    "pull_secret": Target(
        _pull_secret,
        (b'{"auths":{"https://registry.example/v1/":{"auth":"dTpw","username":"u"}}}',),
    ),
    "versions": Target(versions, (b">=1.2.3 <2 || ~3.x", b"v1.2.3-rc.1+build")),
}
