"""LimitRange: what it puts into new pods, and what it refuses. Pure; called by the registry.

Kubernetes' admission plug-in LimitRanger, with its messages.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

from reconciler.model import quantity, usage
from reconciler.model.account import LimitRange, LimitRangeItem
from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.container import Container
from reconciler.model.meta import KubeObject
from reconciler.model.pod import Pod

_ANNOTATION = "kubernetes.io/limit-ranger"
_LEAD = "LimitRanger plugin set: "

Amounts = Mapping[str, str]


def with_defaults(pod: Pod, ranges: Sequence[LimitRange]) -> Pod:
    """Return a new pod with the defaults of its namespace's LimitRanges, told in an annotation."""
    for each in ranges:
        for item in each.spec.limits:
            if item.type == "Container" and (item.default or item.default_request):
                pod = _defaulted(pod, item)
    return pod


def _defaulted(pod: Pod, item: LimitRangeItem) -> Pod:
    told: list[str] = []
    containers = tuple(_filled(each, item, "container", told) for each in pod.spec.containers)
    first = tuple(_filled(each, item, "init container", told) for each in pod.spec.init_containers)
    if not told:
        return pod
    annotations = {**pod.metadata.annotations, _ANNOTATION: _LEAD + "; ".join(told)}
    return pod.replace(
        metadata=pod.metadata.replace(annotations=annotations),
        spec=pod.spec.replace(containers=containers, init_containers=first),
    )


def _filled(container: Container, item: LimitRangeItem, what: str, told: list[str]) -> Container:
    has = container.resources
    requests = {name: v for name, v in item.default_request.items() if name not in has.requests}
    limits = {name: v for name, v in item.default.items() if name not in has.limits}
    for added, word in ((requests, "request"), (limits, "limit")):
        if added:
            told.append(f"{', '.join(sorted(added))} {word} for {what} {container.name}")
    if not requests and not limits:
        return container
    changed = has.replace(requests={**has.requests, **requests}, limits={**has.limits, **limits})
    return container.replace(resources=changed)


def refusal(obj: KubeObject, ranges: Sequence[LimitRange]) -> str:
    """Return why LimitRanges forbid a new object, empty when they do not."""
    faults = [fault for each in ranges for item in each.spec.limits for fault in _faults(obj, item)]
    return f"[{', '.join(faults)}]" if len(faults) > 1 else "".join(faults)


def _faults(obj: KubeObject, item: LimitRangeItem) -> Iterator[str]:
    if isinstance(obj, Pod):
        if item.type == "Container":
            for container in (*obj.spec.containers, *obj.spec.init_containers):
                resources = container.resources
                yield from _bounds(item, resources.requests, resources.limits)
        elif item.type == "Pod":
            yield from _bounds(item, usage.pod_requests(obj), usage.pod_limits(obj))
    elif isinstance(obj, PersistentVolumeClaim) and item.type == "PersistentVolumeClaim":
        requests = obj.spec.resources.requests
        yield from _minimum(item, requests, {})
        yield from _claim_maximum(item, requests)


def _bounds(item: LimitRangeItem, requests: Amounts, limits: Amounts) -> Iterator[str]:
    yield from _minimum(item, requests, limits)
    for name, bound in sorted(item.max.items()):
        lead = f"maximum {name} usage per {item.type} is {bound}"
        if name not in limits:
            yield f"{lead}.  No limit is specified"
        elif quantity.compare(limits[name], bound) > 0:
            yield f"{lead}, but limit is {limits[name]}"
        elif name in requests and quantity.compare(requests[name], bound) > 0:
            yield f"{lead}, but request is {requests[name]}"
    for name, bound in sorted(item.max_limit_request_ratio.items()):
        fault = _ratio(requests.get(name), limits.get(name), bound)
        if fault:
            yield f"{name} max limit to request ratio per {item.type} is {bound}, but {fault}"


def _minimum(item: LimitRangeItem, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, bound in sorted(item.min.items()):
        lead = f"minimum {name} usage per {item.type} is {bound}"
        if name not in requests:
            yield f"{lead}.  No request is specified"
        elif quantity.compare(requests[name], bound) < 0:
            yield f"{lead}, but request is {requests[name]}"
        elif name in limits and quantity.compare(limits[name], bound) < 0:
            yield f"{lead}, but limit is {limits[name]}"


def _claim_maximum(item: LimitRangeItem, requests: Amounts) -> Iterator[str]:
    for name, bound in sorted(item.max.items()):
        lead = f"maximum {name} usage per {item.type} is {bound}"
        if name not in requests:
            yield f"{lead}.  No request is specified"
        elif quantity.compare(requests[name], bound) > 0:
            yield f"{lead}, but request is {requests[name]}"


def _ratio(request: str | None, limit: str | None, bound: str) -> str:
    asked = quantity.parse(request).value if request else Decimal(0)
    most = quantity.parse(limit).value if limit else Decimal(0)
    if not asked:
        return "no request is specified or request is 0"
    if not most:
        return "no limit is specified or limit is 0"
    ratio = most / asked
    return f"provided ratio is {ratio:.6f}" if ratio > quantity.parse(bound).value else ""
