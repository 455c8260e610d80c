"""Sources that follow the same branch of the same repository, one folder each. Pure.

Called by the gates before anything is pruned: a commit may move an object from one folder to
another, and the source that lets it go may be the first to see that.
"""

from __future__ import annotations

from collections.abc import Iterable

from reconciler.model.gitops import Source, SourceSpec
from reconciler.sync.actions import Prune, Retire
from reconciler.sync.plan import Plan
from reconciler.sync.target import Target


def behind(name: str, spec: SourceSpec, candidate: Target, sources: Iterable[Source]) -> list[str]:
    """Return the siblings of the source `name` that have not seen the candidate's commit yet.

    `sources` includes those that are declared and not made yet. A directory has no commit, so that
    its siblings cannot be compared: then there are none.
    """
    if not candidate.message:
        return []
    place = _place(spec)
    return sorted(
        each.metadata.name
        for each in sources
        if each.metadata.name != name
        and _place(each.spec) == place
        and each.status.observed_revision != candidate.revision
        and not each.spec.suspend
        and not each.metadata.deletion_timestamp
    )


def prunes(plan: Plan) -> bool:
    """Return whether the plan stops or deletes what is no longer declared."""
    return any(isinstance(action, Prune | Retire) for action in plan.actions)


def _place(spec: SourceSpec) -> tuple[str, ...]:
    return spec.location, spec.branch, spec.tag, spec.commit, spec.semver
