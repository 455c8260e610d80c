"""Which images a plan needs, and on which nodes, before it may stop any pod. Pure.

Called by `pulling.py`. Every node that a pod of the plan may be bound to shall have its images
first. What is asked for are ImagePull objects, one a node; pull secrets that the plan itself brings
are asked for as copies, for nothing of the revision may be applied yet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reconciler.desired.objects import DesiredObject
from reconciler.model import kinds
from reconciler.model.account import ServiceAccount
from reconciler.model.config import Secret
from reconciler.model.imagepull import ImagePull, ImagePullSpec, WantedImage
from reconciler.model.meta import KubeObject, ObjectKey, ObjectMeta
from reconciler.model.node import Node
from reconciler.model.pod import Pod
from reconciler.model.reference import LocalObjectReference, SecretReference
from reconciler.model.replication import ReplicationController
from reconciler.sync.actions import Action, Adopt, Apply, Create, Replace
from reconciler.sync.fields import FieldChange
from reconciler.sync.health import wanted_replicas
from reconciler.sync.manifest import applied_manifest
from reconciler.sync.plan import Plan, Situation
from reconciler.sync.workloads import TEMPLATE

PULLS_FOR_ANNOTATION = "reconciler.dev/pulls-for"
"""On ImagePulls and on copies of pull secrets: the source that made them, and removes them."""

COPIES = "kube-system"
"""The namespace of the copies."""

PULL_KIND = kinds.of(ImagePull).key_kind

Takes = Callable[[Pod, Node], bool]
"""Whether a pod may be bound to a node, as far as both of them say it."""


_Image = tuple[str, str, tuple[tuple[str, str], ...]]
"""An image, the policy by which it is pulled, and namespace and name of each pull secret."""


@dataclass(frozen=True, slots=True)
class Requests:
    """The objects that ask for images; without `pulls` nothing has to be waited for."""

    pulls: tuple[ImagePull, ...] = ()
    secrets: tuple[Secret, ...] = ()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the nodes are; `missing` are sentences for images on their way, `failed` for lost.

    `message` sums up what was done, when nothing is missing and nothing failed.
    """

    missing: tuple[str, ...]
    failed: tuple[str, ...]
    message: str


def requests(plan: Plan, situation: Situation, source: str, record: str, takes: Takes) -> Requests:
    """Return what to ask for before `plan` is followed as the Revision `record`."""
    pods = [pod for action in plan.actions for pod in _pods(action, situation)]
    if not pods:
        return Requests()
    nodes = sorted(
        (obj for obj in situation.live.values() if isinstance(obj, Node) and _works(obj)),
        key=lambda node: node.metadata.name,
    )
    copies: dict[ObjectKey, Secret] = {}
    asked = [(pod, tuple(_images(pod, situation, source, record, copies))) for pod in pods]
    pulls = []
    for node in nodes:
        images = {image for pod, its in asked if _may_run(pod, node, takes) for image in its}
        if images:
            pulls.append(_pull(source, record, node.metadata.name, images))
    return Requests(tuple(pulls), tuple(copies.values()) if pulls else ())


def progress(asked: Requests, live: Mapping[ObjectKey, KubeObject]) -> Progress:
    """Return how far the nodes are with what was asked for."""
    missing, failed, pulled = [], [], 0
    for pull in asked.pulls:
        known = live.get(pull.key)
        told = isinstance(known, ImagePull) and known.spec == pull.spec and _is_told(known)
        results = known.status.images if told and isinstance(known, ImagePull) else ()
        node = pull.spec.node_name
        for number, wanted in enumerate(pull.spec.images):
            result = results[number] if number < len(results) else None
            if result is None or result.state == "Pulling":
                missing.append(f"{wanted.image} on {node}")
            elif result.state == "Failed":
                words = f"{result.reason}: {result.message}".rstrip(": ")
                failed.append(f"image {wanted.image} on node {node}: {words}")
            else:
                pulled += result.state == "Pulled"
    total = sum(len(pull.spec.images) for pull in asked.pulls)
    message = f"{pulled} pulled, {total - pulled} were there"
    return Progress(tuple(missing), tuple(failed), message)


def _is_told(pull: ImagePull) -> bool:
    return pull.status.observed_generation == pull.metadata.generation


def _pods(action: Action, situation: Situation) -> Iterator[Pod]:
    """Yield the pods that an action makes, one for many that are alike."""
    wanted = situation.desired.get(action.key)
    match action:
        case Create() | Replace() if wanted is not None:
            yield from _pod_of(wanted)
        case Apply() | Adopt() if wanted is not None:
            if _starts(situation.live.get(action.key), wanted.obj, action.changes):
                yield from _pod_of(wanted)
        case _:
            return


def _pod_of(wanted: DesiredObject) -> Iterator[Pod]:
    obj, namespace = wanted.obj, wanted.key.namespace
    if isinstance(obj, Pod):
        yield obj
    elif isinstance(obj, ReplicationController) and wanted_replicas(obj) and obj.spec.template:
        template = obj.spec.template
        meta = ObjectMeta(namespace=namespace, labels=template.metadata.labels)
        yield Pod(metadata=meta, spec=template.spec)


def _starts(live: KubeObject | None, wanted: KubeObject, changes: Iterable[FieldChange]) -> bool:
    """Whether a change of a live object starts a container somewhere."""
    if isinstance(wanted, Pod):
        return any(change.path.endswith(".image") for change in changes)
    if not isinstance(live, ReplicationController) or not isinstance(wanted, type(live)):
        return False
    more = wanted_replicas(wanted) > wanted_replicas(live)
    return more or any(change.path.startswith(TEMPLATE) for change in changes)


def _works(node: Node) -> bool:
    ready = any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)
    return ready and not node.spec.unschedulable and not node.metadata.deletion_timestamp


def _may_run(pod: Pod, node: Node, takes: Takes) -> bool:
    if pod.spec.node_name:
        return pod.spec.node_name == node.metadata.name
    return takes(pod, node)


def _images(
    pod: Pod, situation: Situation, source: str, record: str, copies: dict[ObjectKey, Secret]
) -> Iterator[_Image]:
    secrets = tuple(
        _secret(
            ObjectKey("Secret", pod.metadata.namespace, each.name),
            situation, source, record, copies,
        )
        for each in pod.spec.image_pull_secrets or _account_secrets(pod, situation)
    )  # fmt: skip
    for container in (*pod.spec.init_containers, *pod.spec.containers):
        yield container.image, container.image_pull_policy, secrets


def _account_secrets(pod: Pod, situation: Situation) -> Sequence[LocalObjectReference]:
    """Return the pull secrets that a pod without any gets from its account, once it is made.

    The account is as the plan makes it: Kubernetes' ServiceAccount admission comes after.
    """
    name = pod.spec.service_account_name or "default"
    key = ObjectKey("ServiceAccount", pod.metadata.namespace, name)
    wanted = situation.desired.get(key)
    account = wanted.obj if wanted is not None else situation.live.get(key)
    return account.image_pull_secrets if isinstance(account, ServiceAccount) else ()


def _secret(
    key: ObjectKey,
    situation: Situation,
    source: str,
    record: str,
    copies: dict[ObjectKey, Secret],
) -> tuple[str, str]:
    """Return where the kubelet finds a pull secret: in place, or in a copy of what is declared."""
    wanted, live = situation.desired.get(key), situation.live.get(key)
    if wanted is None or not isinstance(wanted.obj, Secret):
        return key.namespace, key.name
    data = applied_manifest(wanted.manifest, source, key).get("data") or {}
    if isinstance(live, Secret) and live.data == data and live.type == wanted.obj.type:
        return key.namespace, key.name
    if key not in copies:
        meta = ObjectMeta(
            name=f"pull-{record}-{len(copies)}",
            namespace=COPIES,
            annotations={PULLS_FOR_ANNOTATION: source},
        )
        copies[key] = Secret(metadata=meta, type=wanted.obj.type, data=dict(data))
    return COPIES, copies[key].metadata.name


def _pull(source: str, record: str, node: str, images: Iterable[_Image]) -> ImagePull:
    meta = ObjectMeta(name=f"{record}.{node}", annotations={PULLS_FOR_ANNOTATION: source})
    wanted = tuple(
        WantedImage(
            image=image,
            pull_policy=policy,
            pull_secrets=tuple(
                SecretReference(name=name, namespace=home) for home, name in secrets
            ),
        )
        for image, policy, secrets in sorted(images)
    )
    spec = ImagePullSpec(revision=record, node_name=node, images=wanted)
    return ImagePull(metadata=meta, spec=spec)
