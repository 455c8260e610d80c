"""Rules of ReplicationControllers."""

from __future__ import annotations

from reconciler.admission.errors import Errors, forbidden, invalid, not_supported, required
from reconciler.admission.rules.meta import validate_meta
from reconciler.admission.rules.pod import pod_template_spec
from reconciler.admission.rules.probe import NOT_NEGATIVE
from reconciler.model.pod import PodTemplateSpec
from reconciler.model.replication import ReplicationController


def replication_controller(obj: ReplicationController) -> Errors:
    """ValidateReplicationController."""
    yield from validate_meta(obj)
    spec = obj.spec
    if spec.min_ready_seconds < 0:
        yield invalid("spec.minReadySeconds", spec.min_ready_seconds, NOT_NEGATIVE)
    if not spec.selector:
        yield required("spec.selector")
    if spec.replicas is not None and spec.replicas < 0:
        yield invalid("spec.replicas", spec.replicas, NOT_NEGATIVE)
    if spec.template is None:
        yield required("spec.template")
    else:
        yield from _template(spec.template, spec.selector)


def _template(template: PodTemplateSpec, selector: dict[str, str]) -> Errors:
    """ValidatePodTemplateSpecForRC: the selector takes the template's pods, which live for ever."""
    if selector and not selector.items() <= template.metadata.labels.items():
        text = "`selector` does not match template `labels`"
        yield invalid("spec.template.metadata.labels", template.metadata.labels, text)
    yield from pod_template_spec(template, "spec.template")
    policy = template.spec.restart_policy
    if policy != "Always":
        yield not_supported("spec.template.spec.restartPolicy", policy, ("Always",))
    if template.spec.active_deadline_seconds is not None:
        text = "activeDeadlineSeconds in ReplicationController is not Supported"
        yield forbidden("spec.template.spec.activeDeadlineSeconds", text)
