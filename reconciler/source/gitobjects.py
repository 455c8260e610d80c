"""What git prints of a repository's objects, as values. Pure.

Called by `git.py`; nothing here runs git.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit and the tree of manifests in it; `tree` is empty if the sub-path is not there.

    `root` is the tree of the whole commit.
    """

    id: str
    tree: str
    root: str
    author: str
    time: datetime
    message: str


@dataclass(frozen=True, slots=True)
class TreeEntry:
    """One file of a tree; `mode` is Git's (100644, 100755, 120000 link, 160000 submodule)."""

    path: str
    mode: str
    blob: str
    size: int


@dataclass(frozen=True, slots=True)
class Answer:
    """What `git cat-file --batch` says of one object; `kind` is "missing" if it has none."""

    id: str
    kind: str
    content: bytes


def answers(output: bytes) -> Iterable[Answer]:
    """Yield what `git cat-file --batch` says, object by object."""
    at = 0
    while at < len(output):
        end = output.index(b"\n", at)
        words = output[at:end].decode("utf-8", "replace").split(" ")
        at = end + 1
        if len(words) != 3 or not words[2].isdigit():  # noqa: PLR2004 - id, type, size
            yield Answer(words[0], words[-1], b"")
            continue
        size = int(words[2])
        yield Answer(words[0], words[1], output[at : at + size])
        at += size + 1


def records(output: bytes) -> Iterable[str]:
    """Return the NUL-ended records of `-z` output."""
    return output.decode("utf-8", "surrogateescape").split("\0")[:-1]


def parse_commit(answer: Answer) -> Commit:
    """Return a commit from its object; a date that no calendar has counts as the first one."""
    head, _, message = answer.content.decode("utf-8", "replace").partition("\n\n")
    tree, author, when = "", "", datetime.fromtimestamp(0, UTC)
    for line in head.split("\n"):
        word, _, rest = line.partition(" ")
        if word == "tree" and not tree:
            tree = rest
        elif word == "author":
            author = rest.rpartition(">")[0] + ">"
        elif word == "committer":
            with suppress(ValueError, OverflowError, IndexError, OSError):
                seconds = int(rest.rpartition(">")[2].split()[0])
                when = datetime.fromtimestamp(seconds, UTC)
    return Commit(answer.id, tree, tree, author, when, message.strip())
