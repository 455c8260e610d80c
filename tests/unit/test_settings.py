from __future__ import annotations

import ipaddress
from pathlib import Path

import pytest

from reconciler.controllers.replication.policy import RolloutDefaults
from reconciler.settings import SettingsError, load


def test_flags_beat_the_file_and_the_file_beats_the_environment(tmp_path: Path):
    config = tmp_path / "c.yaml"
    config.write_text("node-name: from-file\ninterval: 3\n")
    environment = {
        "RECONCILER_NODE_NAME": "from-env",
        "RECONCILER_INTERVAL": "5",
        "RECONCILER_BRANCH": "from-env",
    }
    settings = load({"config": str(config), "node_name": "from-flag", "branch": None}, environment)
    assert (settings.node_name, settings.interval, settings.branch) == ("from-flag", 3, "from-env")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nodename: a", "nodename: unknown setting; known are branch, tag"),
        ("interval: soon", r"interval: .*valid number.*\(got 'soon'\)"),
        ("pod_cidr: 10.0.0.1/8", "pod_cidr: .*has host bits set"),
        (
            "cluster_dns: 10.97.0.10",
            "cluster_dns 10.97.0.10 lies outside service_cidr 10.96.0.0/16",
        ),
        ("pod_cidr: 10.96.0.0/24", "pod_cidr 10.96.0.0/24 overlaps service_cidr"),
        ("max-surge: some", r'max_surge: .*"some" is not a number of pods or a percentage'),
        ("progress-deadline-seconds: 0", "progress_deadline_seconds: .*greater than or equal to 1"),
        ("source: ''", "source: .*at least 1 character"),
        ("- a", "expected a mapping"),
        ("a: [", "while parsing a flow"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_wrong(tmp_path: Path, text: str, message: str):
    config = tmp_path / "c.yaml"
    config.write_text(text)
    with pytest.raises(SettingsError, match=message):
        load({"config": str(config)}, {})


def test_a_missing_config_file_is_named():
    with pytest.raises(SettingsError, match=r"--config /nowhere\.yaml: .*No such file"):
        load({"config": "/nowhere.yaml"}, {})


def test_rollouts_have_defaults_that_a_person_may_set(tmp_path: Path):
    config = tmp_path / "c.yaml"
    config.write_text("max-surge: 2\nmax_unavailable: 10%\nminReadySeconds: 3\n")
    rollout = load({"config": str(config), "progress_deadline_seconds": "60"}, {}).rollout
    assert rollout == RolloutDefaults("2", "10%", 3, 60)


def test_the_api_listens_on_loopback_unless_it_is_told_otherwise():
    host, _, _ = load({}, {}).listen.rpartition(":")
    assert ipaddress.ip_address(host).is_loopback
    assert load({}, {"RECONCILER_LISTEN": "192.0.2.1:6443"}).listen == "192.0.2.1:6443"
