"""A webhook makes the sources look that it is about, and no others."""

import json

import pytest

from reconciler.source.pushed import Push, push_of, repository_name

GITHUB = {"repository": {"clone_url": "https://github.com/Team/Shop.git",
                         "ssh_url": "git@github.com:Team/Shop.git"}}  # fmt: skip
GITLAB = {"project": {"git_http_url": "https://gitlab.example.com/group/team/shop.git",
                      "git_ssh_url": "git@gitlab.example.com:group/team/shop.git"}}  # fmt: skip
PLAIN = {"url": "ssh://git@10.0.0.1:22/srv/team/shop"}
SOURCES = frozenset({"shop", "other"})


def concerned(push, **places):
    """Return which of these sources, by what they follow, should look."""
    return push.concerned(places, str)


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("https://git.example.com/team/shop.git", "team/shop"),
        ("https://me:secret@git.example.com/Team/Shop/", "team/shop"),
        ("git@git.example.com:team/shop.git", "team/shop"),
        ("ssh://git@git.example.com:2222/a/b/team/shop", "team/shop"),
        ("git://127.0.0.1:9418/repo", "repo"),
        ("/srv/git/shop.git", "git/shop"),
    ],
)
def test_the_name_of_a_repository(location, name):
    assert repository_name(location) == name


@pytest.mark.parametrize("told", [GITHUB, GITLAB, PLAIN])
def test_each_forge_names_the_repository(told):
    push = push_of("/", json.dumps(told).encode(), SOURCES)
    assert concerned(
        push,
        a="https://mirror.local/team/shop",
        b="git@elsewhere:team/shop.git",
        c="https://mirror.local/team/shop-two",
        shop="https://mirror.local/other/shop",
    ) == ["a", "b"]


def test_a_form_is_read_too():
    body = b"payload=%7B%22repository%22%3A%7B%22clone_url%22%3A%22https%3A%2F%2Fh%2Fa%2Fb%22%7D%7D"
    assert push_of("/", body, SOURCES).repositories == {"a/b"}


@pytest.mark.parametrize("target", ["/shop", "/hooks/shop/", "/shop?token=x"])
def test_a_path_names_the_source(target):
    push = push_of(target, json.dumps(GITHUB).encode(), SOURCES)
    assert push == Push(path="shop")
    places = {"shop": "https://h/any/thing", "other": "https://github.com/team/shop"}
    assert concerned(push, **places) == ["shop"]


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'"x"', b"null", b'{"repository": 1}', b"[" * 100_000, b"\xff",
             b"payload=%7B", b'{"url": "x"}']
)  # fmt: skip
def test_what_says_nothing_concerns_all(body):
    push = push_of("/any", body, SOURCES)
    assert concerned(push, shop="https://h/a/b", other="https://h/c/d") == ["shop", "other"]
