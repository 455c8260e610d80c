"""A pod that asks for another runtime: refused for want of a RuntimeClass."""

from typing import Any

import pytest

from reconciler.apiserver.registry.errors import StatusError
from reconciler.apiserver.registry.registry import Registry


@pytest.mark.parametrize(
    ("asked", "reason"),
    [
        ({"runtimeClassName": "gvisor"}, 'RuntimeClass "gvisor" not found'),
        (
            {"overhead": {"cpu": "1"}},
            "Pod Overhead set without corresponding RuntimeClass defined Overhead",
        ),
    ],
)
def test_an_unknown_runtime_is_refused_in_kubernetes_words(
    virtual: Any, registry: Registry, make: Any, asked: dict[str, Any], reason: str
) -> None:
    pod = make("Pod", "p", spec={"containers": [{"name": "c", "image": "i"}], **asked})
    with pytest.raises(StatusError) as refused:
        virtual.run_until_complete(registry.create(pod))
    assert refused.value.code == 403
    assert refused.value.message == f'pods "p" is forbidden: pod rejected: {reason}'
