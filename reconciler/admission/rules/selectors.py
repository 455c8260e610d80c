"""Rules of label selectors and node selectors."""

from __future__ import annotations

from reconciler.admission.errors import Errors, forbidden, invalid, required
from reconciler.admission.rules import names
from reconciler.admission.rules.meta import label_name, labels
from reconciler.model.scheduling import NodeSelector, NodeSelectorRequirement, NodeSelectorTerm
from reconciler.model.selector import LabelSelector, LabelSelectorRequirement

_NO_VALUES = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
_SOME_VALUES = "must be specified when `operator` is 'In' or 'NotIn'"
_NO_OPERATOR = "not a valid selector operator"


def label_selector(selector: LabelSelector | None, path: str) -> Errors:
    """ValidateLabelSelector."""
    if selector is None:
        return
    yield from labels(selector.match_labels, f"{path}.matchLabels")
    for index, item in enumerate(selector.match_expressions):
        yield from _label_requirement(item, f"{path}.matchExpressions[{index}]")


def _label_requirement(item: LabelSelectorRequirement, path: str) -> Errors:
    match item.operator:
        case "In" | "NotIn":
            if not item.values:
                yield required(f"{path}.values", _SOME_VALUES)
        case "Exists" | "DoesNotExist":
            if item.values:
                yield forbidden(f"{path}.values", _NO_VALUES)
        case _:
            yield invalid(f"{path}.operator", item.operator, _NO_OPERATOR)
    yield from label_name(item.key, f"{path}.key")
    for index, value in enumerate(item.values):
        yield from names.each(f"{path}.values[{index}]", value, names.label_value(value))


def node_selector(selector: NodeSelector, path: str) -> Errors:
    """ValidateNodeSelector."""
    path = f"{path}.nodeSelectorTerms"
    if not selector.node_selector_terms:
        yield required(path, "must have at least one node selector term")
    for index, term in enumerate(selector.node_selector_terms):
        yield from node_selector_term(term, f"{path}[{index}]")


def node_selector_term(term: NodeSelectorTerm, path: str) -> Errors:
    """ValidateNodeSelectorTerm."""
    for index, item in enumerate(term.match_expressions):
        yield from _node_requirement(item, f"{path}.matchExpressions[{index}]")
    for index, item in enumerate(term.match_fields):
        yield from _node_field(item, f"{path}.matchFields[{index}]")


def _node_requirement(item: NodeSelectorRequirement, path: str) -> Errors:
    match item.operator:
        case "In" | "NotIn":
            if not item.values:
                yield required(f"{path}.values", _SOME_VALUES)
        case "Exists" | "DoesNotExist":
            if item.values:
                yield forbidden(f"{path}.values", _NO_VALUES)
        case "Gt" | "Lt":
            if len(item.values) != 1:
                text = "must be specified single value when `operator` is 'Lt' or 'Gt'"
                yield required(f"{path}.values", text)
        case _:
            yield invalid(f"{path}.operator", item.operator, _NO_OPERATOR)
    yield from label_name(item.key, f"{path}.key")


def _node_field(item: NodeSelectorRequirement, path: str) -> Errors:
    if item.operator not in ("In", "NotIn"):
        yield invalid(f"{path}.operator", item.operator, _NO_OPERATOR)
    elif len(item.values) != 1:
        text = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
        yield required(f"{path}.values", text)
    if item.key != "metadata.name":
        yield invalid(f"{path}.key", item.key, "not a valid field selector key")
        return
    for index, value in enumerate(item.values):
        yield from names.each(f"{path}.values[{index}]", value, names.dns_subdomain(value))
