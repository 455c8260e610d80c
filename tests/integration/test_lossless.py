"""Rollouts, updates in place and scaling lose no request; a kill only those to the killed pod."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.conftest import Launch
from tests.integration.harness import Engine, Manifests
from tests.integration.lossless import NAMESPACE, SHORT, Proof, declare
from tests.integration.outcome import Timeline

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def test_only_a_kill_loses_requests_and_only_those_to_the_killed_pod(
    tmp_path: Path, launch: Launch, engine: Engine
) -> None:
    manifests = Manifests(tmp_path / "source", git=False)
    declare(manifests, SHORT)
    daemon, timeline = launch(manifests.folder), Timeline(NAMESPACE)
    with timeline.follow():
        proof = Proof(manifests, daemon, engine, timeline, SHORT)
        proof.settle()
        outcomes = [proof.rollouts(), proof.updates(), proof.scalings(), proof.kills()]
    told = "\n".join(line for each in outcomes for line in each.report(timeline))
    assert [each.lost() for each in outcomes] == [[], [], [], []], told
    assert all(each.load.answers.total() > 0 for each in outcomes), told
