from __future__ import annotations

import pytest

from reconciler.cli.main import main


@pytest.mark.parametrize(
    "arguments",
    [["plan", "--branch", "--output=/tmp/x"], ["plan", "--nothing"], ["plan", "-o", "xml"], []],
)
def test_arguments_that_mean_nothing_are_not_taken_for_a_plan_with_changes(arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 3
    assert "error: " in capsys.readouterr().err
