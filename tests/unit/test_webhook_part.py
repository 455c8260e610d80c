"""The composition root makes a receiver of webhooks when the settings want one, and only then."""

import pytest

from reconciler.core.clock import SystemClock
from reconciler.following import webhooks
from reconciler.settings import Settings, SettingsError, load


def parts(**settings):
    return webhooks(Settings(**settings), lambda _, __: None, SystemClock())


def test_without_the_setting_there_is_none():
    assert parts() == {}


def test_with_an_address_and_a_secret_there_is_one(tmp_path):
    (tmp_path / "secret").write_text("s\n")
    made = parts(webhook_listen="127.0.0.1:0", webhook_secret_file=tmp_path / "secret")
    assert list(made) == ["webhooks"]


@pytest.mark.parametrize("content", [None, "", "\n"])
def test_a_secret_that_is_missing_or_empty_is_refused(tmp_path, content):
    path = tmp_path / "secret"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingsError, match="webhook_secret_file"):
        parts(webhook_listen="127.0.0.1:0", webhook_secret_file=path)


def test_an_address_alone_is_refused():
    with pytest.raises(SettingsError, match="needs webhook_secret_file"):
        load({"webhook_listen": "127.0.0.1:9292"}, {})
