"""What RBAC rules allow, and when some give all that others give."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.apiserver.security import rules
from reconciler.apiserver.security.attributes import Attributes, of_resource
from reconciler.model.rbac import PolicyRule


def rule(verbs: str, resources: str, group: str = "", names: str = "") -> PolicyRule:
    return PolicyRule(
        verbs=tuple(verbs.split()),
        api_groups=(group,),
        resources=tuple(resources.split()),
        resource_names=tuple(names.split()),
    )


@pytest.mark.parametrize(
    ("given_rule", "asked", "allowed"),
    [
        (rule("get list", "pods"), of_resource("get", "pods", namespace="a", name="p"), True),
        (rule("get list", "pods"), of_resource("delete", "pods", name="p"), False),
        (rule("*", "*", "*"), of_resource("brew", "teapots", "kitchen.dev"), True),
        (rule("get", "pods"), of_resource("get", "pods", "metrics.k8s.io"), False),
        (rule("get", "pods"), of_resource("get", "pods", subresource="log"), False),
        (rule("get", "pods/log"), of_resource("get", "pods", subresource="log"), True),
        (rule("get", "pods/log"), of_resource("get", "pods"), False),
        (rule("update", "*/scale"), of_resource("update", "rc", subresource="scale"), True),
        (rule("update", "*/scale"), of_resource("update", "rc", subresource="status"), False),
        (rule("get", "*"), of_resource("get", "pods", subresource="log"), True),
        (rule("get", "secrets", names="a"), of_resource("get", "secrets", name="a"), True),
        (rule("get", "secrets", names="a"), of_resource("get", "secrets", name="b"), False),
        (rule("list", "secrets", names="a"), of_resource("list", "secrets"), False),
        (rule("*", "*", "*"), Attributes("get", "/metrics"), False),
    ],
)
def test_allows(given_rule: PolicyRule, asked: Attributes, allowed: bool) -> None:
    assert rules.allows(given_rule, asked) is allowed


@pytest.mark.parametrize(
    ("pattern", "path", "allowed"),
    [
        ("/healthz", "/healthz", True),
        ("/healthz", "/healthz/ping", False),
        ("/healthz/*", "/healthz/ping", True),
        ("/healthz/*", "/healthz", False),
        ("*", "/metrics", True),
    ],
)
def test_paths_may_end_in_a_star(pattern: str, path: str, allowed: bool) -> None:
    held = PolicyRule(verbs=("get",), non_resource_urls=(pattern,))
    assert rules.allows(held, Attributes("get", path)) is allowed
    assert not rules.allows(held, Attributes("post", path))


VERBS, GROUPS, NAMES = ("get", "put"), ("", "g"), ("", "a", "b")
RESOURCES = ("pods", "pods/log", "rc/log")


def some(*values: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=2, unique=True).map(tuple)


RULES = st.lists(
    st.builds(
        PolicyRule,
        verbs=some(*VERBS, "*"),
        api_groups=some(*GROUPS, "*"),
        resources=some(*RESOURCES, "*/log", "*"),
        resource_names=some("a", "b") | st.just(()),
    ),
    max_size=3,
)
EVERY_REQUEST = [
    of_resource(verb, plural, group, name=name, subresource=part)
    for verb, group, resource, name in itertools.product(
        (*VERBS, "else"), (*GROUPS, "else"), (*RESOURCES, "else", "else/else", "else/log"), NAMES
    )
    for plural, _, part in [resource.partition("/")]
]


@given(RULES, RULES)
def test_rules_that_lack_nothing_allow_all_that_the_others_allow(
    held: list[PolicyRule], wanted: list[PolicyRule]
) -> None:
    if rules.missing(held, wanted):
        return
    for asked in EVERY_REQUEST:
        if any(rules.allows(each, asked) for each in wanted):
            assert any(rules.allows(each, asked) for each in held), asked


@given(RULES)
def test_nothing_is_missing_of_ones_own_rules(held: list[PolicyRule]) -> None:
    assert rules.missing(held, held) == []
    assert rules.missing(rules.FULL_AUTHORITY, held) == []


def test_missing_rules_are_told_together() -> None:
    lacking = rules.missing([], [rule("get list", "pods"), rule("get", "secrets", names="x")])
    assert rules.described(lacking) == [
        '{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}',
        '{APIGroups:[""], Resources:["secrets"], ResourceNames:["x"], Verbs:["get"]}',
    ]
