from reconciler.source.files import TreeLimits
from reconciler.source.gitobjects import TreeEntry
from reconciler.source.gittree import LINK, manifest_files
from reconciler.source.snapshot import FileRef

LIMITS = TreeLimits(file_bytes=100)


def _blob(path: str, blob: str = "b1", size: int = 10) -> TreeEntry:
    return TreeEntry(path, "100644", blob, size)


def _link(path: str) -> TreeEntry:
    return TreeEntry(path, LINK, "link", 5)


def test_manifests_get_the_prefix_and_others_are_left_out() -> None:
    entries = [_blob("a.yaml"), _blob("README.md"), _blob(".x/b.yaml")]
    assert manifest_files(entries, {}, "apps/", LIMITS) == {
        "apps/a.yaml": FileRef("apps/a.yaml", "b1", 10)
    }


def test_a_large_file_is_refused_not_read() -> None:
    files = manifest_files([_blob("a.yaml", size=101)], {}, "", LIMITS)
    assert files["a.yaml"].refused == "the file has 101 bytes, and at most 100 are read"


def test_a_link_to_a_manifest_of_the_tree_is_passed_over() -> None:
    entries = [_blob("a.yaml"), _link("b.yaml")]
    assert set(manifest_files(entries, {"b.yaml": "a.yaml"}, "", LIMITS)) == {"a.yaml"}


def test_a_link_to_another_file_of_the_tree_is_read() -> None:
    entries = [_blob(".data/a.yaml", "b7"), _link("a.yaml")]
    files = manifest_files(entries, {"a.yaml": ".data/a.yaml"}, "", LIMITS)
    assert files == {"a.yaml": FileRef("a.yaml", "b7", 10)}


def test_links_out_of_the_tree_or_to_nothing_are_refused() -> None:
    entries = [_link("a.yaml"), _link("b.yaml"), _link("c")]
    links = {"a.yaml": "../../etc/passwd", "b.yaml": "gone.yaml", "c": "/etc"}
    refused = {
        path: ref.refused for path, ref in manifest_files(entries, links, "", LIMITS).items()
    }
    outside = "the symbolic link leads to '{}', which is outside the source's tree"
    assert refused == {
        "a.yaml": outside.format("../../etc/passwd"),
        "b.yaml": "the symbolic link leads to a file that does not exist",
        "c": outside.format("/etc"),
    }


def test_a_submodule_is_refused() -> None:
    files = manifest_files([TreeEntry("lib", "160000", "c1", 0)], {}, "", LIMITS)
    assert "it is a submodule" in files["lib"].refused


def test_a_name_that_is_not_utf8_is_refused() -> None:
    files = manifest_files([_blob("\udcff.yaml")], {}, "", LIMITS)
    assert [ref.refused for ref in files.values()] == ["its name is not UTF-8"]
