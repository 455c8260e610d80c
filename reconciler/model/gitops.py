"""Our own group, gitops.reconciler.dev/v1alpha1: sources, their revisions, the proxies' progress.

`sync` writes Source and Revision status, the proxy writes ProxyState; everybody may read them.
"""

from __future__ import annotations

from typing import Annotated, Literal

from reconciler.model.base import ListMap, Model, always
from reconciler.model.meta import Condition, KubeObject
from reconciler.model.reference import LocalObjectReference
from reconciler.model.scalar import Int32, Int64, Time

GROUP = "gitops.reconciler.dev"
API_VERSION = "gitops.reconciler.dev/v1alpha1"


class SubstituteReference(Model):
    """Where variables come from: a ConfigMap or Secret; an `optional` one may be missing."""

    kind: str = always(str)
    name: str = always(str)
    optional: bool = False


class SourceVerification(Model):
    """Whose signatures count: the Secret holds their public keys."""

    secret_ref: LocalObjectReference = always(LocalObjectReference)


class SourceSpec(Model):
    """What to watch. `interval` and `timeout` are Go durations ("10s", "2m").

    `namespace` is the source's own: objects that name none go there, and the Secrets and ConfigMaps
    that the spec names are in it. `namespaces` are those that it may write to; none means all.
    `allow` and `host_paths` open the host to a source that the settings do not name (words:
    `privileged`, `hostNamespaces`, `hostPorts`, `nodePorts`, `roleBindings`).
    `verify` asks that each revision is signed.
    `prune: false` leaves every object that is no longer declared. `substitute` holds variables by
    name, and wins over `substitute_from`, of which the later ones win.
    """

    url: str = ""
    path: str = ""
    branch: str = ""
    tag: str = ""
    commit: str = ""
    semver: str = ""
    sub_path: str = ""
    interval: str = ""
    timeout: str = ""
    prune: bool | None = None
    suspend: bool = False
    namespace: str = ""
    namespaces: tuple[str, ...] = ()
    allow: tuple[str, ...] = ()
    host_paths: tuple[str, ...] = ()
    secret_ref: LocalObjectReference | None = None
    verify: SourceVerification | None = None
    submodules: bool = False
    substitute: dict[str, str] = {}
    substitute_from: tuple[SubstituteReference, ...] = ()

    @property
    def location(self) -> str:
        """The URL or path of what is watched."""
        return self.url or self.path

    @property
    def home(self) -> str:
        """The namespace that the source lives in."""
        return self.namespace or (self.namespaces[0] if self.namespaces else "default")


class SourceStatus(Model):
    """`observed` is the newest revision seen, `applied` the newest wholly applied one."""

    phase: str = ""
    observed_generation: Int64 = 0
    observed_revision: str = ""
    applied_revision: str = ""
    last_fetch_time: Time | None = None
    last_sync_time: Time | None = None
    failures: Int32 = 0
    message: str = ""
    conditions: Annotated[tuple[Condition, ...], ListMap("type")] = ()


class Source(KubeObject):
    """A Git repository or a directory whose manifests this cluster follows. Cluster-scoped."""

    api_version: Literal["gitops.reconciler.dev/v1alpha1"] = always(lambda: API_VERSION)
    kind: Literal["Source"] = always(lambda: "Source")
    spec: SourceSpec = always(SourceSpec)
    status: SourceStatus = always(SourceStatus)


class RevisionSpec(Model):
    """One state of a source. `revision` names it: a commit's hash, or a directory's content hash.

    `sequence` counts the revisions of a source from 1 in the order in which they were seen.
    `rollback_of` names the Revision that this one undoes, "" for one that came from the source.
    `inputs` marks the state of the objects that the source's variables came from, "" without any:
    the same commit with other variables is another revision.
    """

    source: str = ""
    revision: str = ""
    commit: str = ""
    author: str = ""
    time: Time | None = None
    message: str = ""
    sequence: Int64 = 0
    rollback_of: str = ""
    inputs: str = ""


RevisionPhase = Literal[
    "",
    "Fetched",
    "Verified",
    "Rendered",
    "Validated",
    "Planned",
    "Held",
    "Pulled",
    "Applied",
    "Progressing",
    "Healthy",
    "Rejected",
    "Failed",
    "RolledBack",
]


class RevisionStep(Model):
    """One phase reached: when, in how many seconds, and what there is to say."""

    phase: str = always(str)
    time: Time | None = None
    duration_seconds: float = 0.0
    message: str = ""


class RevisionError(Model):
    """One reason why a revision was rejected or failed, placed where its author can mend it."""

    file: str = ""
    line: Int32 = 0
    column: Int32 = 0
    object: str = ""
    field: str = ""
    message: str = always(str)


class RevisionCounts(Model):
    """How many objects a revision has, and what was done to them."""

    objects: Int32 = 0
    created: Int32 = 0
    updated: Int32 = 0
    unchanged: Int32 = 0
    pruned: Int32 = 0


class RevisionCasualty(Model):
    """A container that failed under a revision: how it ended, and its last words.

    `message` is what the container or its engine said of its end, `log` the end of its log.
    """

    namespace: str = ""
    pod: str = always(str)
    container: str = always(str)
    restarts: Int32 = 0
    exit_code: Int32 | None = None
    reason: str = ""
    message: str = ""
    log: str = ""


class RevisionStatus(Model):
    """`plan_hash` is that of the plan which waits for approval, or was followed."""

    phase: RevisionPhase = ""
    message: str = ""
    steps: tuple[RevisionStep, ...] = ()
    errors: tuple[RevisionError, ...] = ()
    counts: RevisionCounts | None = None
    plan_hash: str = ""
    casualties: tuple[RevisionCasualty, ...] = ()


class Revision(KubeObject):
    """The life of one revision of a source. Cluster-scoped, kept as history."""

    api_version: Literal["gitops.reconciler.dev/v1alpha1"] = always(lambda: API_VERSION)
    kind: Literal["Revision"] = always(lambda: "Revision")
    spec: RevisionSpec = always(RevisionSpec)
    status: RevisionStatus = always(RevisionStatus)


class ProxyStateStatus(Model):
    """`endpoints_resource_version` is the newest EndpointSlice's whose rules are in the kernel."""

    endpoints_resource_version: str = ""


class ProxyState(KubeObject):
    """How far the proxy of one node is; its name is the node's. Cluster-scoped."""

    api_version: Literal["gitops.reconciler.dev/v1alpha1"] = always(lambda: API_VERSION)
    kind: Literal["ProxyState"] = always(lambda: "ProxyState")
    status: ProxyStateStatus = always(ProxyStateStatus)
