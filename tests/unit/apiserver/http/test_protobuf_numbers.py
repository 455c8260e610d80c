"""The table of field numbers against the descriptors that kubectl's own program carries."""

from __future__ import annotations

import re
import shutil
import zlib
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2

from reconciler.apiserver.http.protobuf import classes

_GZIP = re.compile(rb"\x1f\x8b\x08\x00\x00\x00\x00\x00")
_OF_THE_API = re.compile(r"k8s\.io/(api|apimachinery)/.*generated\.proto")
_LIMIT = 512 * 1024


def _descriptors(program: bytes) -> dict[str, Any]:
    """Return the files of messages that lie packed in a Go program, by name."""
    found: dict[str, Any] = {}
    for start in (match.start() for match in _GZIP.finditer(program)):
        file = descriptor_pb2.FileDescriptorProto()
        try:
            file.ParseFromString(zlib.decompressobj(31).decompress(program[start : start + _LIMIT]))
        except (zlib.error, classes.decode_error()):
            continue
        if _OF_THE_API.fullmatch(file.name):
            found[file.name] = file
    return found


@pytest.fixture(scope="module")
def numbers() -> dict[str, list[dict[str, int]]]:
    """Each message's fields and their numbers; several packages may have a message of one name."""
    program = shutil.which("kubectl")
    files = _descriptors(Path(program).read_bytes()) if program else {}
    if not files:
        pytest.skip("there is no kubectl on this machine that carries its descriptors")
    found: dict[str, list[dict[str, int]]] = {}
    for file in files.values():
        for message in file.message_type:
            # One field's name in the descriptors is not its name in JSON.
            fields = {"uid" if f.name == "uID" else f.name: f.number for f in message.field}
            found.setdefault(message.name, []).append(fields)
    return found


def test_numbers(numbers: dict[str, list[dict[str, int]]]) -> None:
    of_kubernetes = [name for name in classes.table() if not name.startswith("openapi.")]
    for message in of_kubernetes:
        fields = classes.table()[message]
        known = numbers[re.split(r"[ .]", message)[-1]]
        ours = {field: int(described.split(" ", 1)[0]) for field, described in fields.items()}
        assert any(ours.items() <= theirs.items() for theirs in known), message
