"""Which repository a webhook is about, so that only its sources look. Pure.

Called by the composition root for a request that was let in. What it says is a hint: a wrong one
costs a fetch, or a delay until the next one, never more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar
from urllib.parse import parse_qs, urlsplit

T = TypeVar("T")

_URLS = ("clone_url", "ssh_url", "git_url", "html_url", "git_http_url", "git_ssh_url", "http_url",
         "url", "web_url", "homepage")  # fmt: skip
_PLACES = ("repository", "project")


@dataclass(frozen=True, slots=True)
class Push:
    """What a webhook tells: the last part of its path, and the repositories that it names.

    They are names as `repository_name` gives them; none are known of a body of another form.
    """

    path: str = ""
    repositories: frozenset[str] = frozenset()

    def concerned(self, sources: Mapping[str, T], location: Callable[[T], str]) -> list[str]:
        """Return the names of those of `sources` that should look; `location` is what one follows.

        A path that names one costs the same however many there are.
        """
        if self.path:
            return [self.path] if self.path in sources else []
        return [
            name
            for name, source in sources.items()
            if not self.repositories or _followed(location(source)) in self.repositories
        ]


def push_of(target: str, body: bytes, sources: Container[str]) -> Push:
    """Return what a request to `target` with `body` tells.

    Its path counts when it names one of `sources`; any other one is the forge's own business.
    """
    if name := source_in(target, sources):
        return Push(path=name)
    urls = _urls(_decoded(body))
    names = (repository_name(url) for url in urls)
    return Push(repositories=frozenset(name for name in names if name))


def source_in(target: str, sources: Container[str]) -> str:
    """Return the one of `sources` that a request's path names by its last part, "" for none."""
    name = target.partition("?")[0].rstrip("/").rpartition("/")[2]
    return name if name in sources else ""


def repository_name(location: str) -> str:
    """Return the last two parts of a repository's path, as `team/shop`, in lower case.

    The host does not count: the forge may know itself by another name than the daemon.
    """
    path = urlsplit(location).path if "://" in location else location.rpartition(":")[2]
    parts = [part for part in path.lower().split("/") if part]
    return "/".join(parts[-2:]).removesuffix(".git")


_followed = lru_cache(maxsize=4096)(repository_name)
"""The same of what sources follow, which is asked of all of them each time."""


def _decoded(body: bytes) -> object:
    try:
        if body.startswith(b"payload="):  # GitHub, when it sends a form
            body = parse_qs(body.decode())["payload"][0].encode()
        return json.loads(body)
    except (ValueError, KeyError, RecursionError):
        return None


def _urls(told: object) -> Iterator[str]:
    if not isinstance(told, Mapping):
        return
    for holder in (told, *(told.get(place) for place in _PLACES)):
        if isinstance(holder, Mapping):
            found = (holder.get(name) for name in _URLS)
            yield from (each for each in found if isinstance(each, str) and "/" in each)
