"""Names, files and folders of a pod; its addresses; the sandbox's image."""

from __future__ import annotations

import io
import shutil
import socket
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from reconciler.kubelet import sandboximage
from reconciler.kubelet.addresses import AddressPool, NoAddress, Owner
from reconciler.kubelet.files import PodFiles
from reconciler.kubelet.podnetwork import is_pod_link, link_name
from reconciler.kubelet.resolver import (
    ClusterDns,
    Resolver,
    fitted,
    hostname,
    hosts_file,
    parse_resolver,
    resolver,
)
from reconciler.kubelet.volumes.emptydir import EmptyDir
from reconciler.kubelet.volumes.hostpath import host_path
from reconciler.kubelet.volumes.protocol import VolumeError
from reconciler.model.volumesource import HostPathVolumeSource
from tests.unit.kubelet.builders import pod

DNS = ClusterDns("10.96.0.10")
HOST = parse_resolver("# x\nsearch corp.example\nnameserver 192.0.2.53\noptions timeout:1\n")
ROOT = Path(__file__).parents[3]


def test_the_hosts_file_is_kubernetes_own() -> None:
    aliases = [{"ip": "192.0.2.7", "hostnames": ["a", "b"]}]
    text = hosts_file(pod(hostAliases=aliases), "10.244.0.9", DNS, "")
    assert text.startswith("# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n")
    assert "\n10.244.0.9\tweb\n" in text
    assert text.endswith("\n# Entries added by HostAliases.\n192.0.2.7\ta\tb\n")
    named = hosts_file(pod(hostname="h", subdomain="s"), "10.244.0.9", DNS, "")
    assert "10.244.0.9\th.s.default.svc.cluster.local\th\n" in named
    host = hosts_file(pod(hostNetwork=True), "192.0.2.1", DNS, "127.0.0.1 x\n")
    assert host == "# Kubernetes-managed hosts file (host network).\n127.0.0.1 x\n"


def test_a_hostname_has_at_most_63_characters() -> None:
    long = pod()
    long = long.replace(metadata=long.metadata.replace(name="a" * 62 + "-b"))
    assert hostname(long) == "a" * 62


SEARCHES = ("default.svc.cluster.local", "svc.cluster.local", "cluster.local", "corp.example")


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, Resolver(("10.96.0.10",), SEARCHES, ("ndots:5",))),
        ({"dnsPolicy": "ClusterFirst", "hostNetwork": True}, HOST),
        (
            {"dnsPolicy": "ClusterFirstWithHostNet", "hostNetwork": True},
            Resolver(("10.96.0.10",), SEARCHES, ("ndots:5",)),
        ),
        ({"dnsPolicy": "Default"}, HOST),
        (
            {
                "dnsPolicy": "None",
                "dnsConfig": {
                    "nameservers": ["192.0.2.1"],
                    "searches": ["x"],
                    "options": [{"name": "ndots", "value": "2"}, {"name": "rotate"}],
                },
            },
            Resolver(("192.0.2.1",), ("x",), ("ndots:2", "rotate")),
        ),
        (
            {"dnsConfig": {"options": [{"name": "ndots", "value": "1"}]}},
            Resolver(("10.96.0.10",), SEARCHES, ("ndots:1",)),
        ),
    ],
)
def test_the_resolver_follows_policy_and_config(spec: dict, expected: Resolver) -> None:
    assert resolver(pod(**spec), DNS, HOST) == expected


def test_the_resolver_is_written_in_kubernetes_order() -> None:
    assert Resolver(("1.1.1.1",), ("a", "b"), ("ndots:5",)).text() == (
        "search a b\nnameserver 1.1.1.1\noptions ndots:5\n"
    )


def test_no_more_is_written_than_the_c_library_takes() -> None:
    few = Resolver(("1.1.1.1",) * 3, ("a",) * 32, ("ndots:5",))
    assert fitted(few) == (few, ())
    many = Resolver(("1.1.1.1", "2.2.2.2", "3.3.3.3", "4.4.4.4"), ("a",) * 33)
    found, messages = fitted(many)
    assert (found.nameservers, found.searches) == (many.nameservers[:3], many.searches[:32])
    assert messages == (
        (
            "Nameserver limits were exceeded, some nameservers have been omitted, "
            "the applied nameserver line is: 1.1.1.1 2.2.2.2 3.3.3.3"
        ),
        (
            "Search Line limits were exceeded, some search paths have been omitted, "
            f"the applied search line is: {' '.join(['a'] * 32)}"
        ),
    )


@pytest.mark.parametrize(
    ("searches", "kept"),
    [
        (["b" * 253, "c" * 254, "d"], ["b" * 253, "d"]),
        (["b" * 204] * 10, ["b" * 204] * 9),
        ([*["b" * 204] * 9, "b" * 203], [*["b" * 204] * 9, "b" * 203]),
    ],
)
def test_search_domains_have_a_longest_line(searches: list[str], kept: list[str]) -> None:
    found, messages = fitted(Resolver((), tuple(searches)))
    assert found.searches == tuple(kept)
    assert bool(messages) == (kept != searches)


async def test_folders_come_and_go(tmp_path: Path) -> None:
    files = PodFiles(tmp_path / "state", tmp_path / "run")
    files.prepare()
    assert files.launcher.read_bytes() == sandboximage.program()
    assert files.launcher.stat().st_mode & 0o777 == 0o755
    files.write_network_files("u", "h", "n", "r")
    place = files.place("u", EmptyDir(files.offload, 0), "data")
    place.memory.mkdir(parents=True)
    assert place.memory.is_relative_to(tmp_path / "run")
    assert list(files.places("u")) == [("kubernetes.io~empty-dir", place)]
    log = await files.termination_log("u", "app", 0)
    log.write_text("x" * 5000)
    assert files.termination_message("u", "app", 0) == "x" * 4096
    assert files.termination_message("u", "app", 1) == ""
    secret = files.write_secret_environment("u", "app", b"A=1\0")
    assert secret.is_relative_to(tmp_path / "run")
    assert stat.S_IMODE((tmp_path / "run" / "pods").stat().st_mode) == 0o700
    assert files.uids() == {"u"}
    await files.remove("u")
    assert files.uids() == frozenset()
    assert not files.exist("u")
    await files.remove_all()
    assert list((tmp_path / "state").iterdir()) == []


def test_host_paths_are_what_their_type_says(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    place = socket.socket(socket.AF_UNIX)
    place.bind(str(tmp_path / "socket"))
    place.close()

    def check(name: str, kind: str | None) -> Path:
        return host_path(HostPathVolumeSource(path=str(tmp_path / name), type=kind))

    assert check("file", "File")
    assert check("socket", "Socket")
    assert check(".", "Directory")
    assert check("file", None)
    assert check("made/deep", "DirectoryOrCreate")
    assert check("fresh", "FileOrCreate")
    assert (tmp_path / "fresh").is_file()
    for name, kind in [
        ("file", "Directory"),
        ("absent", "Directory"),
        (".", "File"),
        ("absent", "File"),
        ("file", "Socket"),
        ("file", "CharDevice"),
        ("file", "BlockDevice"),
        ("made", "FileOrCreate"),
        ("file", "DirectoryOrCreate"),
    ]:
        with pytest.raises(VolumeError, match="hostPath type check failed"):
            check(name, kind)


def test_a_host_path_is_looked_for_in_the_host_s_own_root(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "run").symlink_to("/run")  # absolute in the host's eyes
    (tmp_path / "run" / "file").touch()

    def check(path: str, kind: str) -> Path:
        return host_path(HostPathVolumeSource(path=path, type=kind), tmp_path)

    assert check("/var/run/file", "File") == Path("/var/run/file")
    assert check("/var/run/made/deep", "DirectoryOrCreate")
    assert (tmp_path / "run" / "made" / "deep").is_dir()
    assert check("/var/run/fresh", "FileOrCreate")
    assert (tmp_path / "run" / "fresh").is_file()
    with pytest.raises(VolumeError, match="/etc/passwd is not a file"):
        check("/etc/passwd", "File")


def test_addresses_are_given_in_turn_and_kept_by_their_owners() -> None:
    pool = AddressPool("10.0.0.0/29")
    assert pool.gateway == "10.0.0.1"
    first = pool.take(Owner("a", 0))
    assert pool.take(Owner("a", 0)) == first == "10.0.0.2"
    pool.free(first, Owner("b", 0))
    assert pool.take(Owner("b", 0)) == "10.0.0.3"
    pool.free(first, Owner("a", 0))
    assert pool.take(Owner("c", 0)) == "10.0.0.4"
    assert pool.claim("10.0.0.5", Owner("d", 1))
    assert not pool.claim("10.0.0.5", Owner("e", 1))
    assert not pool.claim("192.0.2.1", Owner("e", 1))
    assert pool.take(Owner("e", 0)) == "10.0.0.6"
    assert pool.take(Owner("f", 0)) == "10.0.0.2"
    with pytest.raises(NoAddress, match="all 5 are in use"):
        pool.take(Owner("g", 0))
    pool.free_pod("d")
    assert pool.take(Owner("g", 0)) == "10.0.0.5"
    assert len(pool) == 5


def test_link_names_fit_and_are_known_again() -> None:
    name = link_name("k8s_POD_" + "x" * 200)
    assert len(name) == 15
    assert is_pod_link(name)
    assert not is_pod_link("reconciler0")


def test_the_sandbox_image_is_the_same_each_time() -> None:
    assert sandboximage.root_tar("x86_64") == sandboximage.root_tar("x86_64")
    assert sandboximage.image_name("x86_64") != sandboximage.image_name("aarch64")
    with tarfile.open(fileobj=io.BytesIO(sandboximage.root_tar("aarch64"))) as archive:
        assert archive.extractfile("pause").read() == sandboximage.program("aarch64")


@pytest.mark.parametrize(("machine", "number"), [("x86_64", 62), ("aarch64", 183)])
def test_the_program_is_a_small_static_one(machine: str, number: int) -> None:
    program = sandboximage.program(machine)
    assert program[:5] == b"\x7fELF\x02"
    assert int.from_bytes(program[18:20], "little") == number
    assert len(program) < 4096
    assert b"/lib" not in program


@pytest.mark.parametrize(
    ("architecture", "prefix"),
    [("amd64", "x86_64-linux-gnu"), ("arm64", "aarch64-linux-gnu")],
)
def test_the_kept_program_is_what_its_source_gives(
    tmp_path: Path, architecture: str, prefix: str
) -> None:
    compiler = shutil.which(f"{prefix}-gcc")
    if compiler is None:
        pytest.skip(f"{prefix}-gcc is not installed")
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=True)
    if "12.2.0-14" not in version.stdout:
        pytest.skip("another compiler gives other bytes")
    subprocess.run([ROOT / "scripts" / "build-pause", tmp_path], capture_output=True, check=True)
    kept = ROOT / "reconciler" / "kubelet" / "pause" / f"pause-{architecture}"
    assert (tmp_path / f"pause-{architecture}").read_bytes() == kept.read_bytes()


def test_the_launcher_adds_variables_and_becomes_the_command(tmp_path: Path) -> None:
    program = tmp_path / "launch"
    program.write_bytes(sandboximage.program())
    program.chmod(0o755)
    variables = tmp_path / "variables"
    variables.write_bytes(b"SECRET=a b\0EMPTY=\0")

    def launch(*command: str, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, "launch", variables, *command],
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )

    found = launch("env", PATH="/nowhere:/usr/bin:/bin", KEPT="1")
    assert found.stdout == "PATH=/nowhere:/usr/bin:/bin\nKEPT=1\nSECRET=a b\nEMPTY=\n"
    assert launch("/bin/sh", "-c", "exit 7").returncode == 7
    assert launch("no-such-program", PATH="/bin").returncode == 127
    assert launch("/etc/passwd").returncode == 126
    variables.unlink()
    assert launch("env").returncode == 126
