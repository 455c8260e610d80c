from reconciler.source.files import is_hidden, is_manifest, resolve_link


def test_manifests_are_visible_yaml_and_json_files() -> None:
    assert [is_manifest(name) for name in ("a.yaml", "b/c.yml", "d.json")] == [True] * 3
    ignored = (".a.yaml", "b/.c/d.yaml", "a.yaml~", "a.yaml.swp", "README.md", "#a.yaml#")
    assert not any(is_manifest(name) for name in ignored)


def test_hidden_looks_at_every_component() -> None:
    assert is_hidden(".git/config")
    assert is_hidden("a/.b/c")
    assert not is_hidden("a/b.c/d")


def test_links_are_followed_through_directories_and_chains() -> None:
    links = {"a.yaml": "b/c.yaml", "b": "real", "chain.yaml": "a.yaml"}
    assert resolve_link("chain.yaml", links) == "real/c.yaml"
    assert resolve_link("plain.yaml", links) == "plain.yaml"


def test_a_link_out_of_the_tree_is_told() -> None:
    assert resolve_link("a", {"a": "/etc/passwd"}) is None
    assert resolve_link("d/a", {"d/a": "../../x"}) is None
    assert resolve_link("d/a", {"d/a": "../x"}) == "x"


def test_links_that_go_round_lead_nowhere() -> None:
    assert resolve_link("a", {"a": "b", "b": "a"}) is None
