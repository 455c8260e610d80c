"""A volume plugin for Docker: speaks its protocol on a Unix socket and keeps what it was asked.

Run as a program by `test_volumes_plugin.py`: SOCKET FOLDER. Each request is a line of
FOLDER/asked; each volume is a folder below FOLDER.
"""

from __future__ import annotations

import json
import socketserver
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

SOCKET, FOLDER = Path(sys.argv[1]), Path(sys.argv[2])
VOLUMES: set[str] = set()


def create(name: str, options: dict[str, str]) -> dict[str, Any]:
    if "refuse" in options.get("volumeID", ""):
        return {"Err": "no such disk"}
    (FOLDER / name).mkdir(exist_ok=True)
    VOLUMES.add(name)
    return {}


def known(name: str) -> dict[str, Any]:
    if name not in VOLUMES:
        return {"Err": "no such volume"}
    return {"Volume": {"Name": name, "Mountpoint": str(FOLDER / name), "Status": {}}}


def answer(verb: str, asked: dict[str, Any]) -> dict[str, Any]:
    name = asked.get("Name", "")
    answers: dict[str, Callable[[], dict[str, Any]]] = {
        "/Plugin.Activate": lambda: {"Implements": ["VolumeDriver"]},
        "/VolumeDriver.Capabilities": lambda: {"Capabilities": {"Scope": "global"}},
        "/VolumeDriver.Create": lambda: create(name, asked.get("Opts") or {}),
        "/VolumeDriver.Mount": lambda: {"Mountpoint": str(FOLDER / name)},
        "/VolumeDriver.Path": lambda: {"Mountpoint": str(FOLDER / name)},
        "/VolumeDriver.Get": lambda: known(name),
        "/VolumeDriver.List": lambda: {"Volumes": [{"Name": each} for each in sorted(VOLUMES)]},
    }
    return answers.get(verb, dict)()


class Handler(BaseHTTPRequestHandler):
    """One request of the engine."""

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        asked = json.loads(self.rfile.read(length) or b"{}")
        with (FOLDER / "asked").open("a") as log:
            log.write(json.dumps([self.path, asked]) + "\n")
        body = json.dumps({"Err": "", **answer(self.path, asked)}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/vnd.docker.plugins.v1.1+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "engine"

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The plugin."""

    daemon_threads = True


if __name__ == "__main__":
    SOCKET.parent.mkdir(parents=True, exist_ok=True)
    SOCKET.unlink(missing_ok=True)
    Server(str(SOCKET), Handler).serve_forever()
