"""The version of the engine's API is the one that the engine takes."""

from __future__ import annotations

from reconciler.kubelet.dockerversion import ApiVersion

OLD = (
    "client version 1.41 is too old. Minimum supported API version is 1.44, please upgrade your"
    " client to a newer version"
)
NEW = "client version 1.44 is too new. Maximum supported API version is 1.41"


def test_an_engine_names_what_it_takes_and_another_one_after_it() -> None:
    version = ApiVersion()
    assert not version.learn("No such container: x")
    assert version.text == "1.41"
    assert version.learn(OLD)
    assert version.text == "1.44"
    assert version.learn(OLD), "a call that was under way"
    assert version.text == "1.44"
    assert not version.learn(OLD.replace("1.41", "1.44")), "another try would change nothing"
    assert version.learn(NEW)
    assert version.text == "1.41"
