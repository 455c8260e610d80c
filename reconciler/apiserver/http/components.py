"""componentstatuses: the parts of the control plane, all of which run in this process.

Called by `api.py`. A part that fails ends the daemon, so that whoever gets an answer finds all of
them well. Kubernetes deprecated the kind; kubectl still asks for it.
"""

from __future__ import annotations

from reconciler.apiserver.http import status, view
from reconciler.apiserver.http.message import Request
from reconciler.apiserver.http.target import Target
from reconciler.apiserver.http.view import Form
from reconciler.apiserver.registry import errors
from reconciler.model.component import ComponentCondition, ComponentStatus
from reconciler.model.kinds import Resource
from reconciler.model.meta import ListMeta, ObjectMeta

DEPRECATED = "v1 ComponentStatus is deprecated in v1.19+"
_NAMES = ("controller-manager", "etcd-0", "scheduler")


def answer(request: Request, target: Target, of: Resource, form: Form) -> bytes:
    """Return one component or all of them; raises `StatusError`."""
    if target.namespace or target.subresource:
        raise status.no_resource()
    if request.method not in ("GET", "HEAD") or request.flag("watch"):
        raise status.no_method()
    if not target.name:
        return form.many([view.of_object(_component(name)) for name in _NAMES], ListMeta())
    if target.name not in _NAMES:
        raise errors.not_found(of, target.name)
    return form.one(view.of_object(_component(target.name)))


def _component(name: str) -> ComponentStatus:
    well = ComponentCondition(type="Healthy", status="True", message="ok")
    return ComponentStatus(metadata=ObjectMeta(name=name), conditions=(well,))
