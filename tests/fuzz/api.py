"""What bytes of the API's clients reach first. See `targets.py`."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from typing import Any

from reconciler.apiserver.http import body, pages, patching, query, reading
from reconciler.apiserver.http.connection import Connection
from reconciler.apiserver.http.message import Reply, Request
from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.security import jwt
from reconciler.apiserver.streaming.spdy import frames
from reconciler.desired import yaml
from reconciler.desired.limits import ReadLimits
from reconciler.model import kinds, quantity, schema, selector
from reconciler.model.pod import Pod
from reconciler.model.quantity import QuantityError
from reconciler.model.selector import SelectorError
from reconciler.model.token import validity
from tests.fuzz.target import Target

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"a": "b"}},
    "spec": {
        "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}],
        "volumes": [{"name": "v", "emptyDir": {}}],
    },
}
_PROTOBUF = "application/vnd.kubernetes.protobuf"
_PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
)


def _read(data: bytes, content_type: str) -> None:
    request = Request("POST", "/", {}, {"content-type": content_type}, data)
    for resource in (kinds.of(Pod), kinds.RESOURCES[0]):
        for validation in ("Strict", "Warn"):
            try:
                sent = body.read(request, body.expected(resource), validation)  # type: ignore[arg-type]
                body.decode(sent, validation)  # type: ignore[arg-type]
            except StatusError:
                continue


def json_body(data: bytes) -> None:
    """A body in JSON."""
    _read(data, "application/json")


def yaml_body(data: bytes) -> None:
    """A body in YAML."""
    _read(data, "application/yaml")


def protobuf_body(data: bytes) -> None:
    """A body in protobuf: the envelope whole, and its content."""
    _read(data, _PROTOBUF)
    lead = b"k8s\x00\x0a\x09\x0a\x02v1\x12\x03Pod"
    size = len(data)
    length = bytearray()
    while size > 0x7F:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    _read(lead + b"\x12" + bytes((*length, size)) + data, _PROTOBUF)


def manifests(data: bytes) -> None:
    """A file of Git's."""
    yaml.parse(data, ReadLimits())


def patches(data: bytes) -> None:
    """A patch of each type, on a pod."""
    for content_type in _PATCHES:
        request = Request("PATCH", "/", {}, {"content-type": content_type}, data)
        try:
            patch = patching.read_patch(request)
            value = patching.changed(patch, json.loads(json.dumps(POD)), schema.of(Pod))
            patch.shown(value)
        except StatusError:
            continue


def words(data: bytes) -> None:
    """The small languages of a query: selectors, fields, tokens of pages, quantities."""
    text = data.decode("utf-8", "replace")
    given = {"labelSelector": [text], "fieldSelector": [text], "continue": [text], "limit": [text]}
    for resource in (kinds.of(Pod), kinds.RESOURCES[0]):
        for labels, fields in ((text, ""), ("", text)):
            try:
                reading.chooser(resource, labels, fields)
            except StatusError:
                continue
    for check, refusals in (
        (lambda: query.list_options(Request("GET", "/", given, {})), (StatusError,)),
        (lambda: pages.parse(text), (StatusError,)),
        (lambda: str(selector.parse(text)), (SelectorError,)),
        (lambda: quantity.canonical(text), (QuantityError,)),
    ):
        try:
            check()
        except refusals:
            continue


class _Transport(asyncio.Transport):
    """Counts what is written."""

    sent = 0
    closed = False

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def write(self, data: Any) -> None:
        self.sent += len(data)

    def abort(self) -> None:
        self.closed = True

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default


def connection(data: bytes) -> None:
    """The bytes of a connection, in two pieces."""
    asyncio.run(_talk(data))


async def _talk(data: bytes) -> None:
    async def answer(request: Request) -> Reply:
        return Reply(200, request.path.encode("utf-8", "surrogatepass"))

    transport = _Transport()
    served = Connection(answer, lambda _: None, set())
    served.connection_made(transport)
    middle = len(data) // 2
    for piece in (data[:middle], data[middle:]):
        served.data_received(piece)
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    served.connection_lost(None)
    outcome = await asyncio.gather(served._worker, return_exceptions=True)
    if isinstance(outcome[0], Exception):
        raise outcome[0]


def spdy(data: bytes) -> None:
    """The frames of SPDY/3.1, as old kubectls exec."""
    try:
        list(frames.Reader().feed(data))
    except frames.Malformed:
        return


_JSON = json.dumps(POD).encode()


def token(data: bytes) -> None:
    """A token of whoever asks: unsigned bytes, and claims of any form that are signed."""
    with suppress(jwt.BadToken):
        jwt.decode(data.decode("latin-1"), {"k": b"s"})
    validity(data.decode("latin-1"))


_SEEDS = (
    _JSON,
    b"apiVersion: v1\nkind: Pod\nmetadata: &m {name: p}\nspec: {containers: [*m]}\n",
    b"a in (b,c),!d,e=f",
    b"metadata.name=p,status.phase!=Running",
    b"1.5Gi",
    jwt.encode({"iat": 1, "exp": 2}, "k", b"s").encode(),
    b'[{"op":"add","path":"/metadata/labels/x","value":"y"}]',
    b'{"spec":{"containers":[{"name":"c","$patch":"delete"}]}}',
    b"k8s\x00\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x00",
    b"POST /a%2fb?c=d HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    b"\x80\x03\x00\x01\x00\x00\x00\x0c\x00\x00\x00\x01",
)

TARGETS = {
    each.__name__: Target(each, _SEEDS)
    for each in (
        json_body, yaml_body, protobuf_body, manifests, patches, words, token, connection, spdy,
    )
}  # fmt: skip
