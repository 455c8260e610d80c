"""Pods from a template: their names, owners and the hash that tells templates apart. Pure.

Called by the plans (hash) and by `effects.py` (pods). The hash is over the canonical JSON of the
template as it is stored, so that it is the same in every version of the daemon.
"""

from __future__ import annotations

import hashlib

import orjson

from reconciler.controllers.owner import owner_reference
from reconciler.model.inplace import SHAPE, UPDATED, shape_of
from reconciler.model.meta import ObjectMeta
from reconciler.model.pod import Pod, PodTemplateSpec
from reconciler.model.replication import ReplicationController

TEMPLATE_HASH = "reconciler.dev/template-hash"
"""Annotation on pods: the template that they were made from."""

_HASH_LENGTH = 16
_OURS = "reconciler.dev/"


def template_hash(template: PodTemplateSpec) -> str:
    """Return 16 hexadecimal digits that name what a pod takes from `template`."""
    content = {
        "labels": template.metadata.labels,
        "annotations": template.metadata.annotations,
        "finalizers": template.metadata.finalizers,
        "spec": template.spec.to_dict(),
    }
    canonical = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(canonical).hexdigest()[:_HASH_LENGTH]


def pod_from_template(rc: ReplicationController, digest: str) -> Pod:
    """Return a pod to create for `rc`, as GetPodFromTemplate makes it.

    It has the template's labels, annotations and finalizers, a generated name, the controller as
    owner and `digest` as its template hash. Raises `ValueError` when there is no template.
    """
    template = rc.spec.template
    if template is None:
        raise ValueError(f"{rc.key} has no template")
    source = template.metadata
    notes = {**source.annotations, TEMPLATE_HASH: digest, SHAPE: shape_of(template)}
    metadata = ObjectMeta(
        generate_name=f"{rc.metadata.name}-",
        namespace=rc.metadata.namespace,
        labels=source.labels,
        annotations=notes,
        finalizers=source.finalizers,
        owner_references=(owner_reference(rc),),
    )
    return Pod(metadata=metadata, spec=template.spec)


def updated_pod(pod: Pod, template: PodTemplateSpec, digest: str, now: str) -> Pod:
    """Return a pod of the same shape with the images, labels and annotations of `template`.

    Of its own annotations it keeps ours; what a person wrote goes, as it would with a new pod.
    """
    images = {each.name: each.image for each in template.spec.containers}
    containers = tuple(
        each.replace(image=images.get(each.name, each.image)) for each in pod.spec.containers
    )
    ours = {k: v for k, v in pod.metadata.annotations.items() if k.startswith(_OURS)}
    notes = {**template.metadata.annotations, **ours, TEMPLATE_HASH: digest, UPDATED: now}
    metadata = pod.metadata.replace(labels=template.metadata.labels, annotations=notes)
    return pod.replace(metadata=metadata, spec=pod.spec.replace(containers=containers))
