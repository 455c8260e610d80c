import io
from pathlib import Path

from rich.console import Console

from reconciler.cli.render import run_render
from reconciler.cli.validate import run_validate
from reconciler.settings import Settings

GOOD = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"


def _console() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=80), out


def test_valid_manifests(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(GOOD)
    console, out = _console()
    assert run_validate([tmp_path], console) == 0
    assert out.getvalue() == "1 object in 1 file: all valid\n"


def test_problems_have_a_place_on_one_line_and_a_hint(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(GOOD.replace("name:", "nam:"))
    console, out = _console()
    assert run_validate([file], console) == 3
    lines = out.getvalue().splitlines()
    assert lines[0].startswith(f"{file}:3:12: metadata.nam: unknown field")
    assert lines[1].strip() == 'hint: did you mean "name"?'
    assert lines[2] == "1 problem in 1 file"


def test_a_path_that_is_not_there(tmp_path: Path) -> None:
    console, out = _console()
    assert run_validate([tmp_path / "nothing"], console) == 3
    assert "cannot read" in out.getvalue()


def test_two_paths_are_one_set_of_objects(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.yaml").write_text(GOOD)
    console, out = _console()
    assert run_validate([tmp_path / "one", tmp_path / "two"], console) == 3
    assert "declared twice" in out.getvalue()


def test_render_prints_objects_without_secrets(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {password: hunter2}\n"
    )
    console, out = _console()
    assert run_render(Settings(), console, tmp_path) == 0
    assert "password: (hidden)" in out.getvalue()
    assert "namespace: default" in out.getvalue()
    assert "hunter2" not in out.getvalue()


def test_render_of_a_bad_source_tells_its_problems(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("kind: Pod\n")
    console, out = _console()
    assert run_render(Settings(), console, tmp_path) == 3
    assert "apiVersion" in out.getvalue()
