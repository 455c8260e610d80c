"""The host is closed to every source that the daemon's settings do not name, until it is opened."""

import pytest

from reconciler.admission.create import validate
from reconciler.admission.decode import decode
from reconciler.admission.defaults import apply_defaults
from reconciler.model.gitops import SourceSpec
from reconciler.sync.bounds import ORIGIN_ANNOTATION
from reconciler.sync.hostaccess import CLOSED, HostAccess, access_of, beyond_access
from tests.unit.sync.fleet import Fleet, source
from tests.unit.sync.test_bounds import objects
from tests.unit.sync.world import controller, desired, manifest, pod, settings

ALL = HostAccess(
    frozenset(("privileged", "hostNamespaces", "hostPorts", "nodePorts", "roleBindings")), ("/",)
)


def container(**fields):
    return [{"name": "app", "image": "app:1", **fields}]


def volume(path):
    return [{"name": "v", "hostPath": {"path": path}}]


def role_binding():
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": {"name": "b", "namespace": "web"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "web"}],
    }  # fmt: skip


ASKS = {
    "a path": (pod("p", volumes=volume("/etc")), "spec.volumes[0].hostPath.path", ""),
    "a privileged container": (
        pod("p", containers=container(securityContext={"privileged": True})), "spec", "privileged",
    ),
    "a capability": (
        pod("p", containers=container(securityContext={"capabilities": {"add": ["SYS_ADMIN"]}})),
        "spec", "privileged",
    ),
    "no seccomp": (
        pod("p", securityContext={"seccompProfile": {"type": "Unconfined"}}), "spec", "privileged",
    ),
    "the network": (pod("p", hostNetwork=True), "spec.hostNetwork", "hostNamespaces"),
    "the processes": (pod("p", hostPID=True), "spec.hostPID", "hostNamespaces"),
    "the shared memory": (pod("p", hostIPC=True), "spec.hostIPC", "hostNamespaces"),
    "a port": (
        pod("p", containers=container(ports=[{"containerPort": 80, "hostPort": 80}])),
        "spec.containers[0].ports[0].hostPort", "hostPorts",
    ),
    "a node port": (
        manifest("Service", "s", spec={"type": "NodePort", "ports": [{"port": 80}]}),
        "spec.type", "nodePorts",
    ),
    "a load balancer": (
        manifest("Service", "s", spec={"type": "LoadBalancer", "ports": [{"port": 80}]}),
        "spec.type", "nodePorts",
    ),
    "an address": (
        manifest("Service", "s", spec={"externalIPs": ["192.0.2.1"], "ports": [{"port": 80}]}),
        "spec.externalIPs", "nodePorts",
    ),
    "rights": (role_binding(), "kind", "roleBindings"),
    "opening it to another": (
        source("other", namespaces=["web"], allow=["hostPorts"]), "spec.allow[0]", "hostPorts",
    ),
    "a path for another": (
        source("other", namespaces=["web"], hostPaths=["/srv"]), "spec.hostPaths[0]", "",
    ),
}  # fmt: skip


def faults(tree, access):
    return [(each.path, each.message) for each in beyond_access("team", tree.values(), access)]


@pytest.mark.parametrize("what", ASKS)
def test_a_closed_source_is_told_what_it_may_not_ask_for(what):
    asked, path, word = ASKS[what]
    found = faults(desired(asked), CLOSED)
    assert {where for where, _ in found} == {path}
    assert all(message.startswith('source "team" may not') for _, message in found)
    assert word in found[0][1]


@pytest.mark.parametrize("what", ASKS)
def test_an_open_or_trusted_source_may_ask_for_all(what):
    assert faults(desired(ASKS[what][0]), ALL) == []
    assert faults(desired(ASKS[what][0]), None) == []


@pytest.mark.parametrize("what", ASKS)
def test_each_word_opens_its_own_alone(what):
    asked, _, word = ASKS[what]
    others = HostAccess(ALL.words - {word}, ALL.paths if word else ())
    assert faults(desired(asked), others)


def test_a_template_is_looked_at_as_its_pods_are():
    template = controller("web", 1)
    template["spec"]["template"]["spec"]["hostPID"] = True
    assert [path for path, _ in faults(desired(template), CLOSED)] == ["spec.template.spec.hostPID"]


def test_ordinary_objects_need_nothing():
    plain = manifest("Service", "s", spec={"ports": [{"port": 80}]})
    assert faults(desired(settings("a"), pod("p"), controller("w", 1), plain), CLOSED) == []


PATHS = {
    "/srv/data": True,
    "/srv/data/a": True,
    "/srv/data/": True,
    "/srv//data/./a": True,
    "/srv/database": False,
    "/srv": False,
    "/srv/data/../secret": False,
}


@pytest.mark.parametrize("path", PATHS)
def test_a_folder_holds_what_is_inside_it(path):
    assert HostAccess(paths=("/srv/data",)).holds(path) == PATHS[path]


def test_a_source_of_the_settings_is_trusted_and_what_it_declares_is_closed():
    main = source("main")
    main["metadata"]["annotations"] = {ORIGIN_ANNOTATION: "settings"}
    find = objects(main, source("team", namespaces=["web"]), declarers={"team": "main"})
    assert access_of(find("main"), find) is None
    assert access_of(find("team"), find) == CLOSED


def test_nobody_opens_more_than_it_has():
    main = source("main")
    main["metadata"]["annotations"] = {ORIGIN_ANNOTATION: "settings"}
    team = source("team", allow=["hostPorts", "nodePorts"], hostPaths=["/srv/a", "/opt"])
    sub = source("sub", allow=["hostPorts", "privileged"], hostPaths=["/srv", "/opt/x"])
    find = objects(main, team, sub, declarers={"team": "main", "sub": "team"})
    assert access_of(find("sub"), find) == HostAccess(
        frozenset(("hostPorts",)), ("/opt/x", "/srv/a")
    )


def test_git_cannot_make_a_source_look_like_one_of_the_settings():
    forged = source("team", allow=[])
    forged["metadata"]["annotations"] = {ORIGIN_ANNOTATION: "settings"}
    find = objects(source("main"), forged, declarers={"team": "main"})
    assert access_of(find("team"), find) == CLOSED


def test_a_source_whose_declarer_is_gone_is_closed():
    find = objects(source("team", allow=["privileged"]), declarers={"team": "main"})
    assert access_of(find("team"), find) == CLOSED


def test_a_source_made_by_hand_is_closed_until_it_is_marked():
    find = objects(source("hand"), source("open", allow=["nodePorts"]))
    assert access_of(find("hand"), find) == CLOSED
    assert access_of(find("open"), find) == HostAccess(frozenset(("nodePorts",)))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"allow": ["root"]}, 'Unsupported value: "root"'),
        ({"hostPaths": ["srv"]}, "must be an absolute path"),
        ({"hostPaths": ["/srv/../etc"]}, "must be an absolute path"),
    ],
)
def test_what_opens_nothing_is_refused(spec, message):
    obj = apply_defaults(decode(source("team", **spec)))
    assert [message in error.message for error in validate(obj)] == [True]


def test_a_closed_source_is_rejected_until_it_is_opened(virtual, clock):
    fleet = Fleet(clock, {"one": SourceSpec(url="https://git.example.com/one")})
    web = manifest("Namespace", "web")
    node_port = manifest(
        "Service", "s", namespace="web", spec={"type": "NodePort", "ports": [{"port": 80}]}
    )

    async def scenario():
        async with fleet.running():
            await fleet.apply("one", web, source("team", namespaces=["web"]))
            refused = await fleet.apply("team", node_port)
            assert refused.status.phase == "Rejected"
            assert refused.status.errors[0].field == "spec.type"
            await fleet.apply("one", web, source("team", namespaces=["web"], allow=["nodePorts"]))
            opened = await fleet.apply("team", node_port, settings("a"))
            assert opened.status.phase == "Healthy"

    virtual.run_until_complete(scenario())
