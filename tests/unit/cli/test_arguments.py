from __future__ import annotations

import argparse
from importlib.metadata import version

import pytest

from reconciler.cli.main import build_parser, main


@pytest.mark.parametrize(
    "arguments",
    [["plan", "--branch", "--output=/tmp/x"], ["plan", "--nothing"], ["plan", "-o", "xml"], []],
)
def test_arguments_that_mean_nothing_are_not_taken_for_a_plan_with_changes(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 3
    assert "error: " in capsys.readouterr().err


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert (ended.value.code, capsys.readouterr().out) == (
        0,
        f"reconciler {version('reconciler')}\n",
    )


def test_help_speaks_of_every_command_and_setting_in_the_users_words() -> None:
    (commands,) = (
        each for each in build_parser()._actions if isinstance(each, argparse._SubParsersAction)
    )
    for name, parser in commands.choices.items():
        text = parser.format_help()
        assert "Pydantic" not in text, name
        assert all(each.help for each in parser._actions), name
