import pytest

from reconciler.source.address import Address, AddressError, is_remote, redact


@pytest.mark.parametrize(
    "location",
    ["https://host/r.git", "ssh://git@host/r", "git@host:team/r.git", "file:///srv/r", "git://h/r"],
)
def test_remote_addresses(location: str) -> None:
    assert is_remote(location)
    assert Address(location).location == location


@pytest.mark.parametrize("location", ["/srv/repo", "./repo", "repo", "../a:b"])
def test_local_paths(location: str) -> None:
    assert not Address(location).remote


@pytest.mark.parametrize(
    "location",
    ["ssh://-oProxyCommand=x/r", "https://host/a b", "https://host/\nx", "-oProxy@host:path"],
)
def test_addresses_that_git_must_not_be_given(location: str) -> None:
    with pytest.raises(AddressError):
        Address(location)


def test_a_foreign_transport_is_no_remote() -> None:
    assert not is_remote("ext::sh -c touch% /tmp/x")
    assert not is_remote("ftp://host/x")


@pytest.mark.parametrize("branch", ["--upload-pack=x", "a..b", "a b", "x.lock", "a^", "a:b", "@"])
def test_branches_that_are_none(branch: str) -> None:
    with pytest.raises(AddressError):
        Address("/srv/repo", branch)


def test_a_branch_may_have_slashes() -> None:
    assert Address("/srv/repo", "team/feature-1").ref == "refs/heads/team/feature-1"


def test_the_sub_path_is_made_plain_and_stays_inside() -> None:
    assert Address("/r", sub_path="./apps//web/").sub_path == "apps/web"
    with pytest.raises(AddressError):
        Address("/r", sub_path="apps/../../x")


def test_credentials_are_not_shown() -> None:
    assert redact("https://user:secret@host/r.git?token=secret") == "https://host/r.git"
    assert redact("git@host:r.git") == "git@host:r.git"
