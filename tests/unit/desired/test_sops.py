"""Files that the real `sops` and age encrypted: opened in memory, refused when anything is off."""

# ruff: noqa: E501 - one way to tamper a line

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pyrage
import pytest
import yaml

from reconciler.core.clock import SystemClock
from reconciler.desired.age import AgeKeys
from reconciler.desired.load import Loader
from reconciler.source.offline import read_once

SOPS = shutil.which("sops") or str(Path(sys.executable).with_name("sops"))
needs_sops = pytest.mark.skipif(
    not Path(SOPS).exists(), reason="sops, which writes the files, is not installed"
)
WHOLE = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: b}\n"
PLAIN = """\
# a comment
apiVersion: v1
kind: Secret
metadata:
  name: sec
  labels: {plain: words}
stringData:
  # another
  password: hunter2
  empty: ""
  lines: |
    one
    zwei ü
---
apiVersion: v1
kind: ConfigMap
metadata: {name: conf}
data: {a: "5", b: "true"}
"""
NUMBERS = """\
apiVersion: v1
kind: ReplicationController
metadata: {name: web, annotations: {}}
spec:
  replicas: 3
  selector: {a: b}
  template:
    metadata: {labels: {a: b}}
    spec:
      hostNetwork: false
      terminationGracePeriodSeconds: null
      containers: [{name: c, image: x, stdin: true}, {name: d, image: y1}]
"""


class Vault:
    """A folder, a key, and the programs that encrypt to it."""

    def __init__(self, root):
        self.root = root
        self.identity = pyrage.x25519.Identity.generate()
        self.keys = root.parent / f"{root.name}.key"
        self.keys.write_text(f"# created: today\n{self.identity}\n")

    def sops(self, name, text, *options):
        path = self.root / name
        path.write_text(text)
        recipient = str(self.identity.to_public())
        subprocess.run(
            [SOPS, "--disable-version-check", "encrypt", "-i", "--age", recipient, *options, path],
            check=True,
            timeout=60,
        )
        return path

    def age(self, name, text):
        path = self.root / name
        path.write_bytes(pyrage.encrypt(text.encode(), [self.identity.to_public()]))
        return path

    def load(self, keys=None):
        return Loader(keys=AgeKeys(keys or self.keys)).load(read_once([self.root], SystemClock()))


@pytest.fixture
def vault(tmp_path):
    (tmp_path / "source").mkdir()
    return Vault(tmp_path / "source")


def plainly(text, tmp_path_factory, name="plain.yaml"):
    root = tmp_path_factory.mktemp("plain")
    (root / name).write_text(text)
    return Loader().load(read_once([root], SystemClock()))


def contents(desired):
    assert desired.problems == ()
    return {key: each.content for key, each in desired.objects.items()}


OPTIONS = [
    (),
    ("--encrypted-regex", "^(data|stringData)$"),
    ("--encrypted-suffix", "Data"),
    ("--unencrypted-regex", "^(apiVersion|kind|metadata)$"),
]


@needs_sops
@pytest.mark.parametrize("options", OPTIONS)
def test_what_sops_encrypts_is_what_was_written(vault, tmp_path_factory, options):
    vault.sops("s.yaml", PLAIN, *options)
    assert contents(vault.load()) == contents(plainly(PLAIN, tmp_path_factory))


@needs_sops
def test_a_mac_over_the_encrypted_values_alone_is_checked_as_such(vault, tmp_path_factory):
    rules = {"encrypted_regex": "^stringData$", "mac_only_encrypted": True}
    rules["age"] = str(vault.identity.to_public())
    config = vault.root.parent / "sops.yaml"
    config.write_text(yaml.safe_dump({"creation_rules": [rules]}))
    path = vault.root / "s.yaml"
    path.write_text(PLAIN)
    command = [SOPS, "--disable-version-check", "--config", str(config), "encrypt", "-i", str(path)]
    subprocess.run(command, check=True, timeout=60)
    assert contents(vault.load()) == contents(plainly(PLAIN, tmp_path_factory))
    path.write_text(path.read_text().replace("plain: words", "plain: others"))
    assert vault.load().problems == ()  # what the MAC does not cover may change
    path.write_text(_flip(path.read_text()))
    refusal(vault.load())


@needs_sops
def test_numbers_truths_and_nulls_keep_their_types(vault, tmp_path_factory):
    vault.sops("n.yaml", NUMBERS)
    assert contents(vault.load()) == contents(plainly(NUMBERS, tmp_path_factory))


@needs_sops
def test_json_is_opened_too(vault, tmp_path_factory):
    text = json.dumps(next(yaml.safe_load_all(PLAIN)))
    vault.sops("s.json", text)
    assert contents(vault.load()) == contents(plainly(text, tmp_path_factory, "s.json"))


@needs_sops
def test_encrypting_again_changes_no_content(vault):
    path = vault.sops("s.yaml", PLAIN)
    first, bytes_then = contents(vault.load()), path.read_bytes()
    vault.sops("s.yaml", PLAIN)
    assert path.read_bytes() != bytes_then
    assert contents(vault.load()) == first


def refusal(desired, *secret):
    assert desired.objects == {}
    (problem,) = desired.problems
    assert not any(word in str(problem) for word in ("hunter2", "zwei", *secret))
    return problem.message


@needs_sops
def test_a_wrong_key_rejects_and_tells_nothing(vault, tmp_path):
    vault.sops("s.yaml", PLAIN)
    other = tmp_path / "other.key"
    other.write_text(str(pyrage.x25519.Identity.generate()))
    assert "none of the age keys" in refusal(vault.load(other))


def test_a_key_that_comes_later_opens_what_an_older_one_could_not(vault, tmp_path):
    vault.age("s.yaml.age", WHOLE)
    keys = tmp_path / "rotated.key"
    loader = Loader(keys=AgeKeys(keys))

    def loaded():
        return loader.load(read_once([vault.root], SystemClock()))

    assert "cannot be read" in refusal(loaded())
    assert "cannot be read" in refusal(loaded())
    keys.write_text(str(pyrage.x25519.Identity.generate()))
    assert "none of the age keys" in refusal(loaded())
    keys.write_text(f"{keys.read_text()}\n{vault.identity}\n")
    opened = loaded()
    (key,) = opened.objects
    assert loaded().objects[key] is opened.objects[key]


@needs_sops
def test_no_key_rejects_and_says_how_to_give_one(vault):
    vault.sops("s.yaml", PLAIN)
    desired = Loader().load(read_once([vault.root], SystemClock()))
    assert "--age-key-file" in refusal(desired)


@needs_sops
@pytest.mark.parametrize("keys", ["", "no key\n", "AGE-SECRET-KEY-1BROKEN\n", "-----BEGIN X\n"])
def test_a_broken_key_file_is_told(vault, tmp_path, keys):
    vault.sops("s.yaml", PLAIN)
    broken = tmp_path / "broken.key"
    broken.write_text(keys)
    assert "age key" in refusal(vault.load(broken))


def _flip(text):
    at = text.index("password: ENC[AES256_GCM,data:") + len("password: ENC[AES256_GCM,data:")
    return text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1 :]


def _swap(text):
    lines = re.sub(r"password: (ENC\S+)", r"password: \1", text)
    a = re.search(r"password: (ENC\S+)", lines)[1]
    b = re.search(r"lines: (ENC\S+)", lines)[1]
    return lines.replace(a, "@").replace(b, a).replace("@", b)


TAMPERED = {
    "a changed value": _flip,
    "two values exchanged": _swap,
    "a plain value changed": lambda text: text.replace("plain: words", "plain: others"),
    "a plain value added": lambda text: text.replace("stringData:", "stringData:\n    more: x", 1),
    "a value removed": lambda text: re.sub(r" *password: .*\n", "", text),
    "a value in plain text": lambda text: re.sub(r"password: .*", "password: mine", text),
    "another time": lambda text: re.sub(r"lastmodified: .*", 'lastmodified: "2020-01-01T00:00:00Z"', text),
    "no mac": lambda text: re.sub(r"mac: ENC.*", "mac: nothing", text),
    "a second document": lambda text: text + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
}  # fmt: skip


@needs_sops
@pytest.mark.parametrize("how", TAMPERED)
def test_tampering_rejects_and_tells_nothing(vault, how):
    path = vault.sops("s.yaml", PLAIN, "--encrypted-regex", "^stringData$")
    before = path.read_text()
    path.write_text(TAMPERED[how](before))
    assert path.read_text() != before
    refusal(vault.load())


@needs_sops
def test_an_invalid_secret_is_placed_in_the_encrypted_file_without_its_value(vault):
    text = PLAIN.replace("kind: Secret\n", "kind: Secret\nspec: 5\n").partition("---")[0]
    path = vault.sops("s.yaml", text)
    (problem,) = vault.load().problems
    line = path.read_text().splitlines()[problem.line - 1]
    assert line.startswith("spec: ENC[")


def test_a_whole_file_of_age_is_opened(vault, tmp_path_factory):
    vault.age("s.yaml.age", PLAIN)
    assert contents(vault.load()) == contents(plainly(PLAIN, tmp_path_factory))


def test_a_whole_file_that_is_armored_is_opened(vault, tmp_path_factory):
    path = vault.root / "s.yaml.age"
    recipients = [vault.identity.to_public()]
    path.write_bytes(pyrage.encrypt(PLAIN.encode(), recipients, armored=True))
    assert contents(vault.load()) == contents(plainly(PLAIN, tmp_path_factory))


def test_a_whole_file_that_was_changed_is_refused(vault):
    path = vault.age("s.yaml.age", PLAIN)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert "changed" in refusal(vault.load())


def test_a_whole_file_that_is_none_is_refused(vault):
    (vault.root / "s.yaml.age").write_text(PLAIN)
    assert "age keys" in refusal(vault.load())


@needs_sops
def test_a_kustomization_takes_encrypted_resources_and_files(vault):
    vault.sops("s.yaml", PLAIN)
    vault.age("pw.txt.age", "hunter2")
    (vault.root / "kustomization.yaml").write_text(
        "resources: [s.yaml]\nnamePrefix: p-\n"
        "secretGenerator: [{name: gen, files: [pw=pw.txt.age]}]\n"
        "generatorOptions: {disableNameSuffixHash: true}\n"
    )
    desired = vault.load()
    values = {key.name: each.manifest for key, each in desired.objects.items()}
    assert values["p-sec"]["stringData"] != {}
    assert values["p-sec"]["stringData"]["lines"] == "one\nzwei ü\n"
    assert values["p-gen"]["data"] == {"pw": "aHVudGVyMg=="}


@needs_sops
def test_a_revision_tells_how_much_was_opened_and_built(vault):
    vault.sops("s.yaml", PLAIN)
    vault.age("whole.yaml.age", PLAIN.replace("sec", "other").replace("conf}", "more}"))
    (vault.root / "plain.yaml").write_text(NUMBERS)
    loader = Loader(keys=AgeKeys(vault.keys))
    first = loader.load(read_once([vault.root], SystemClock()))
    assert first.rendered == ("2 encrypted files",)
    (vault.root / "plain.yaml").unlink()
    (vault.root / "s.yaml").unlink()
    (vault.root / "built").mkdir()
    (vault.root / "built" / "kustomization.yaml").write_text("configMapGenerator: [{name: made}]\n")
    again = loader.load(read_once([vault.root], SystemClock()))
    assert again.rendered == ("1 kustomization", "1 encrypted file")
    (vault.root / "whole.yaml.age").unlink()
    (vault.root / "built" / "kustomization.yaml").unlink()
    (vault.root / "plain.yaml").write_text(NUMBERS)
    assert loader.load(read_once([vault.root], SystemClock())).rendered == ()
