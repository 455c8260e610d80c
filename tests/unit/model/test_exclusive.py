from __future__ import annotations

import orjson
import pytest

from reconciler.model.claim import PersistentVolumeClaim
from reconciler.model.exclusive import exclusive
from reconciler.model.pod import Pod


def spec(**fields):
    body = {"spec": {"containers": [{"name": "c", "image": "i"}], **fields}}
    return Pod.model_validate_json(orjson.dumps(body)).spec


def claim(*modes):
    body = {"spec": {"accessModes": list(modes)}}
    return PersistentVolumeClaim.model_validate_json(orjson.dumps(body))


def test_a_host_port_is_held_alone():
    ports = [{"containerPort": 80, "hostPort": 8080, "protocol": "TCP"}]
    wanted = spec(containers=[{"name": "c", "image": "i", "ports": ports}])
    assert exclusive(wanted, lambda _: None) == "host port 8080/TCP"
    assert exclusive(spec(), lambda _: None) == ""


@pytest.mark.parametrize(
    ("found", "read_only", "told"),
    [
        (claim("ReadWriteOnce"), False, "claim data"),
        (claim("ReadWriteOncePod"), False, "claim data"),
        (claim("ReadWriteOnce"), True, ""),
        (claim("ReadWriteOnce", "ReadWriteMany"), False, ""),
        (None, False, ""),
    ],
)
def test_a_claim_of_a_single_writer_is_held_alone(found, read_only, told):
    source = {"claimName": "data", "readOnly": read_only}
    wanted = spec(volumes=[{"name": "v", "persistentVolumeClaim": source}])
    assert exclusive(wanted, {"data": found}.get) == told
