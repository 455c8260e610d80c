"""Aggregated ClusterRoles have the rules of those that they select."""

from __future__ import annotations

from reconciler.controllers.aggregation.plan import plan
from reconciler.model.meta import ObjectMeta
from reconciler.model.rbac import AggregationRule, ClusterRole, PolicyRule
from reconciler.model.selector import LabelSelector


def rule(resource: str) -> PolicyRule:
    return PolicyRule(verbs=("get",), api_groups=("",), resources=(resource,))


def part(name: str, *rules: PolicyRule, to: str = "sum") -> ClusterRole:
    return ClusterRole(metadata=ObjectMeta(name=name, labels={"to": to}), rules=rules)


def total(*rules: PolicyRule) -> ClusterRole:
    chosen = AggregationRule(cluster_role_selectors=(LabelSelector(match_labels={"to": "sum"}),))
    meta = ObjectMeta(name="sum", labels={"to": "sum"})
    return ClusterRole(metadata=meta, rules=rules, aggregation_rule=chosen)


def test_rules_come_by_the_name_of_their_role_and_once() -> None:
    roles = [part("b", rule("pods"), rule("secrets")), part("a", rule("pods")), total()]
    assert plan(total(), roles) == (rule("pods"), rule("secrets"))


def test_other_roles_and_the_sum_itself_give_nothing() -> None:
    roles = [part("a", rule("pods"), to="else"), total(rule("nodes"))]
    assert plan(total(rule("nodes")), roles) == ()


def test_what_is_right_is_left_alone() -> None:
    assert plan(total(rule("pods")), [part("a", rule("pods"))]) is None
    assert plan(part("a", rule("pods")), [part("a", rule("nodes"))]) is None
