"""What one RBAC rule allows, and whether some rules give all that others give. Pure.

Called by the authorizer and by the escalation check. The functions follow Kubernetes' RBAC
authorizer: `*` means all; a subresource is named `pods/log`, one of every resource `*/scale`; a
path may end in `*`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from reconciler.admission.errors import go_quote
from reconciler.apiserver.security.attributes import Attributes
from reconciler.model.rbac import PolicyRule

ALL = "*"
FULL_AUTHORITY = (
    PolicyRule(verbs=(ALL,), api_groups=(ALL,), resources=(ALL,)),
    PolicyRule(verbs=(ALL,), non_resource_urls=(ALL,)),
)
"""The rules of cluster-admin."""


def allows(rule: PolicyRule, asked: Attributes) -> bool:
    """Say whether a rule allows a request (RuleAllows)."""
    if not _has(rule.verbs, asked.verb):
        return False
    if not asked.is_resource:
        return path_matches(rule.non_resource_urls, asked.path)
    return (
        _has(rule.api_groups, asked.group)
        and _has_resource(rule.resources, asked.plural, asked.subresource)
        and (not rule.resource_names or asked.name in rule.resource_names)
    )


def path_matches(patterns: Iterable[str], path: str) -> bool:
    """Say whether a path is one of those that may end in `*` (NonResourceURLMatches)."""
    return any(
        pattern == path or (pattern.endswith(ALL) and path.startswith(pattern.rstrip(ALL)))
        for pattern in patterns
    )


def _has(given: Sequence[str], wanted: str) -> bool:
    return ALL in given or wanted in given


def _has_resource(given: Sequence[str], plural: str, subresource: str) -> bool:
    if ALL in given or (f"{plural}/{subresource}" if subresource else plural) in given:
        return True
    return bool(subresource) and f"{ALL}/{subresource}" in given


def missing(held: Sequence[PolicyRule], wanted: Iterable[PolicyRule]) -> list[PolicyRule]:
    """Return what of `wanted` the rules `held` do not give, as small rules (validation.Covers)."""
    return [part for rule in wanted for part in _parts(rule) if not _covered(held, part)]


def _parts(rule: PolicyRule) -> Iterator[PolicyRule]:
    """Yield a rule as rules of one verb and one thing each (BreakdownRule)."""
    for verb in rule.verbs:
        for group in rule.api_groups:
            for resource in rule.resources:
                part = PolicyRule(verbs=(verb,), api_groups=(group,), resources=(resource,))
                for name in rule.resource_names:
                    yield part.replace(resource_names=(name,))
                if not rule.resource_names:
                    yield part
        for url in rule.non_resource_urls:
            yield PolicyRule(verbs=(verb,), non_resource_urls=(url,))


def _covered(held: Sequence[PolicyRule], part: PolicyRule) -> bool:
    return any(_covers(rule, part) for rule in held)


def _covers(rule: PolicyRule, part: PolicyRule) -> bool:
    if not _has(rule.verbs, part.verbs[0]):
        return False
    if part.non_resource_urls:
        return path_matches(rule.non_resource_urls, part.non_resource_urls[0])
    plural, _, subresource = part.resources[0].partition("/")
    if not _has(rule.api_groups, part.api_groups[0]):
        return False
    if not _has_resource(rule.resources, plural, subresource):
        return False
    return not rule.resource_names or set(part.resource_names or ("",)) <= set(rule.resource_names)


def described(rules: Iterable[PolicyRule]) -> list[str]:
    """Return rules in the words of a refusal, verbs on the same thing together, in order."""
    verbs: dict[PolicyRule, list[str]] = {}
    for rule in rules:
        verbs.setdefault(rule.replace(verbs=()), []).extend(rule.verbs)
    return sorted(_compact(rule.replace(verbs=tuple(held))) for rule, held in verbs.items())


def _compact(rule: PolicyRule) -> str:
    """Return helpers.CompactString."""
    members = (
        ("APIGroups", rule.api_groups),
        ("Resources", rule.resources),
        ("NonResourceURLs", rule.non_resource_urls),
        ("ResourceNames", rule.resource_names),
        ("Verbs", rule.verbs),
    )
    told = (f"{name}:{quoted(values)}" for name, values in members if values)
    return f"{{{', '.join(told)}}}"


def quoted(values: Iterable[str]) -> str:
    """Return texts as Go prints a slice with %q."""
    return f"[{' '.join(map(go_quote, values))}]"
