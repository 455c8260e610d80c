"""How a source is followed, and what people ask of it: to pause, to hold after a failure. Pure.

Called by the loop. The words stand on the Source object, so that kubectl and the command line can
say them, and survive a restart; settings say what holds without them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from reconciler.client.events import ComponentRecorder
from reconciler.model.gitops import Source, SourceSpec
from reconciler.model.meta import KubeObject
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.sourcewords import ON_FAILURE, ON_FAILURE_ANNOTATION
from reconciler.model.streaming import NodeStreams
from reconciler.sync.allocation import ServiceRanges
from reconciler.sync.bounds import Bounds
from reconciler.sync.hostaccess import Access
from reconciler.sync.pulls import Takes
from reconciler.sync.refusal import Locate

REQUEST_ANNOTATION = "reconciler.dev/requested-at"
OnFailure = Literal["rollback", "hold"]


@dataclass(frozen=True, slots=True)
class Care:
    """How careful a source is by itself.

    `on_failure` holds where the Source has no annotation; `prune_threshold` is the share of its
    objects, in percent, above which deletions wait for approval, `prune_keep` for how many seconds
    an object rests before it is removed, `progress_deadline` for how many a declared pod may take
    to be ready.
    """

    on_failure: OnFailure = "rollback"
    prune_threshold: int = 30
    prune_keep: float = 0.0
    progress_deadline: int = 600


def anywhere(_pod: Pod, _node: Node) -> bool:
    """Let a pod run on any node."""
    return True


def nobody_looks(_names: Iterable[str]) -> None:
    """Leave other sources alone: there are none."""


@dataclass(frozen=True, slots=True)
class SyncOptions:
    """How a source is followed.

    `name` is the Source object's, `spec` what that object says of it; `keep` revisions are
    remembered; `care` says what waits for approval, and what becomes of a failed revision; `takes`
    which nodes a pod may be bound to; `streams` reads the logs of what failed. `bounds` are the
    namespaces that it may write to (None: all);
    `access` is what it may ask of the host (None: everything). `ending` says that the source is
    deleted: everything of it goes. `ranges` are what services are given from. `look` makes other
    sources look, by their names. `locate` finds the line that asks for a field.
    """

    spec: SourceSpec
    name: str = "main"
    keep: int = 50
    care: Care = field(default_factory=Care)
    takes: Takes = anywhere
    recorder: ComponentRecorder | None = None
    streams: NodeStreams | None = None
    bounds: Bounds = None
    access: Access = None
    ending: bool = False
    ranges: ServiceRanges | None = None
    locate: Locate | None = None
    look: Callable[[Iterable[str]], None] = nobody_looks


def said(obj: KubeObject | None) -> object:
    """Return what people say on an object, to tell their word from our own records."""
    return obj.metadata.annotations if obj is not None else None


def requested(source: Source | None) -> str:
    """Return the newest request to look at the source now, whatever it says: a new one counts."""
    return source.metadata.annotations.get(REQUEST_ANNOTATION, "") if source is not None else ""


def suspended(source: Source | None) -> bool:
    """Return whether nothing of the source may be touched until it is resumed."""
    return source is not None and source.spec.suspend


def rolls_back(source: Source | None, care: Care) -> bool:
    """Return whether a failed revision is undone."""
    word = source.metadata.annotations.get(ON_FAILURE_ANNOTATION) if source is not None else None
    return (word if word in ON_FAILURE else care.on_failure) == "rollback"
