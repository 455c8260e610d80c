"""Tokens of ServiceAccounts: how they are asked for, what they say, and when they end."""

from __future__ import annotations

import base64
import json
import stat
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.apiserver.security import jwt
from reconciler.apiserver.security.signing import SigningKeyError, SigningKeys
from reconciler.core.clock import SystemClock
from tests.unit.apiserver.security.cluster import ISSUER, PODS, Cluster

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
WHO = "/apis/authentication.k8s.io/v1/selfsubjectreviews"


async def with_robot(folder: Path) -> Cluster:
    cluster = await Cluster(folder).start()
    assert (await cluster.ask("POST", ACCOUNTS, {"metadata": {"name": "robot"}}))[0] == 201
    pod = {
        "metadata": {"name": "p"},
        "spec": {
            "serviceAccountName": "robot",
            "nodeName": "n1",
            "containers": [{"name": "c", "image": "i"}],
        },
    }
    assert (await cluster.ask("POST", PODS, pod))[0] == 201
    return cluster


async def token(cluster: Cluster, **spec: Any) -> str:
    code, answer = await cluster.ask("POST", f"{ACCOUNTS}/robot/token", {"spec": spec})
    assert code == 201, answer
    return str(answer["status"]["token"])


async def who(cluster: Cluster, text: str) -> tuple[int, Any]:
    return await cluster.ask("POST", WHO, {}, authorization=f"Bearer {text}")


def claims(text: str) -> dict[str, Any]:
    part = text.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


def bound(kind: str = "Pod", name: str = "p", **more: str) -> dict[str, Any]:
    return {"boundObjectRef": {"kind": kind, "apiVersion": "v1", "name": name, **more}}


async def test_a_token_names_its_account(tmp_path: Path) -> None:
    cluster = await with_robot(tmp_path)
    text = await token(cluster)
    code, answer = await who(cluster, text)
    assert code == 201
    user = answer["status"]["userInfo"]
    account = (await cluster.ask("GET", f"{ACCOUNTS}/robot"))[1]
    assert user["username"] == "system:serviceaccount:default:robot"
    assert user["uid"] == account["metadata"]["uid"]
    assert user["groups"] == [
        "system:serviceaccounts",
        "system:serviceaccounts:default",
        "system:authenticated",
    ]
    said = claims(text)
    assert (said["iss"], said["aud"], said["exp"] - said["iat"]) == (ISSUER, [ISSUER], 3600)


async def test_a_bound_token_names_its_pod_and_ends_with_it(tmp_path: Path) -> None:
    cluster = await with_robot(tmp_path)
    text = await token(cluster, **bound())
    _, answer = await who(cluster, text)
    extra = answer["status"]["userInfo"]["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["p"]
    assert extra["authentication.kubernetes.io/node-name"] == ["n1"]
    await cluster.ask("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
    assert (await who(cluster, text))[0] == 401
    _, review = await cluster.ask("POST", REVIEWS, {"spec": {"token": text}})
    assert review["status"] == {
        "user": {},
        "error": "[invalid bearer token, service account token has been invalidated]",
    }


async def test_a_pod_that_ends_may_use_its_token_for_a_minute(tmp_path: Path) -> None:
    cluster = await with_robot(tmp_path)
    text = await token(cluster, **bound())
    await cluster.ask("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 5})
    assert (await who(cluster, text))[0] == 201
    cluster.clock.ahead = timedelta(seconds=70)
    assert (await who(cluster, text))[0] == 401


async def test_another_pod_of_the_same_name_is_another(tmp_path: Path) -> None:
    cluster = await with_robot(tmp_path)
    text = await token(cluster, **bound())
    live = (await cluster.ask("GET", f"{PODS}/p"))[1]
    await cluster.ask("DELETE", f"{PODS}/p", {"gracePeriodSeconds": 0})
    await cluster.ask("POST", PODS, {"metadata": {"name": "p"}, "spec": live["spec"]})
    assert (await who(cluster, text))[0] == 401


@pytest.mark.parametrize("remade", [False, True])
async def test_a_token_ends_with_its_account(tmp_path: Path, remade: bool) -> None:
    cluster = await with_robot(tmp_path)
    text = await token(cluster)
    await cluster.ask("DELETE", f"{ACCOUNTS}/robot")
    if remade:
        await cluster.ask("POST", ACCOUNTS, {"metadata": {"name": "robot"}})
    assert (await who(cluster, text))[0] == 401


async def test_a_token_ends_with_its_time(tmp_path: Path) -> None:
    cluster = await with_robot(tmp_path)
    text = await token(cluster, expirationSeconds=600)
    cluster.clock.ahead = timedelta(seconds=590)
    assert (await who(cluster, text))[0] == 201
    cluster.clock.ahead = timedelta(seconds=601)
    assert (await who(cluster, text))[0] == 401
    cluster.clock.ahead = timedelta(seconds=-60)
    assert (await who(cluster, text))[0] == 401  # it is not valid yet


async def test_a_token_for_others_is_none_for_this_api(tmp_path: Path) -> None:
    cluster = await with_robot(tmp_path)
    text = await token(cluster, audiences=["vault", "bank"])
    assert (await who(cluster, text))[0] == 401
    spec = {"token": text, "audiences": ["vault", "else"]}
    _, review = await cluster.ask("POST", REVIEWS, {"spec": spec})
    assert review["status"]["authenticated"] is True
    assert review["status"]["audiences"] == ["vault"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:-2] + ("AA" if text[-2:] != "AA" else "BB"),
        lambda text: text.rpartition(".")[0],
        lambda text: text.rpartition(".")[0] + ".",
        lambda text: text + ".x",
        lambda text: "." + text.split(".", 1)[1],
        lambda text: text.upper(),
        lambda _text: "a.b.c",
        lambda _text: "ä.ö.ü",
        lambda _text: "." * 20_000,
    ],
)
async def test_a_spoilt_token_is_nobodys(tmp_path: Path, spoil: Any) -> None:
    cluster = await with_robot(tmp_path)
    assert (await who(cluster, spoil(await token(cluster))))[0] == 401


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "none", "kid": "k"}, {"alg": "RS256"}])
def test_no_other_algorithm_is_believed(header: dict[str, str]) -> None:
    signed = jwt.encode({"sub": "x"}, "k", b"secret")
    forged = f"{part({'kid': 'k', **header})}.{part({'sub': 'x'})}.{signed.split('.')[2]}"
    with pytest.raises(jwt.BadToken):
        jwt.decode(forged, {"k": b"secret"})
    assert jwt.decode(signed, {"k": b"secret"}) == {"sub": "x"}


async def test_what_cannot_be_asked_for(tmp_path: Path) -> None:
    cluster = await with_robot(tmp_path)

    async def refusal(spec: dict[str, Any], account: str = "robot") -> tuple[int, str]:
        code, answer = await cluster.ask("POST", f"{ACCOUNTS}/{account}/token", {"spec": spec})
        return code, answer["message"]

    code, told = await refusal({"expirationSeconds": 599})
    assert code == 422
    assert told == (
        'TokenRequest.authentication.k8s.io "robot" is invalid: spec.expirationSeconds: Invalid'
        " value: 599: may not specify a duration less than 10 minutes"
    )
    assert (await refusal({"expirationSeconds": (1 << 32) + 1}))[0] == 422
    assert (await refusal({"expirationSeconds": "600"}))[0] == 400
    assert await refusal({}, "nobody") == (404, 'serviceaccounts "nobody" not found')
    assert (await refusal(bound(name="q")))[0] == 404
    assert (await refusal(bound(uid="other")))[0] == 409
    assert (await refusal(bound("ConfigMap", "c")))[0] == 400
    await cluster.ask("POST", ACCOUNTS, {"metadata": {"name": "else"}})
    code, told = await refusal(bound(), "else")
    assert code == 400
    assert told == (
        'cannot bind token for serviceaccount "else" to pod running with different'
        " serviceaccount name."
    )


async def test_no_token_lasts_longer_than_a_year(tmp_path: Path) -> None:
    cluster = await with_robot(tmp_path)
    spec = {"expirationSeconds": 1 << 32}
    _, answer = await cluster.ask("POST", f"{ACCOUNTS}/robot/token", {"spec": spec})
    assert answer["spec"]["expirationSeconds"] == 365 * 86400


def test_keys_are_for_root_alone_and_survive(tmp_path: Path) -> None:
    now = SystemClock().now()
    first, again = SigningKeys(tmp_path / "keys"), SigningKeys(tmp_path / "keys")
    assert first.ensure(now)
    assert stat.S_IMODE((tmp_path / "keys").stat().st_mode) == 0o600
    assert not again.ensure(now)
    assert again.signer == first.signer


def test_an_old_key_signs_no_more_and_proves_what_it_signed(tmp_path: Path) -> None:
    now, keys = SystemClock().now(), SigningKeys(tmp_path / "keys")
    keys.ensure(now)
    name, secret = keys.signer
    signed = jwt.encode({"sub": "x"}, name, secret)
    assert keys.ensure(now + timedelta(days=91))
    assert keys.signer[0] != name
    assert jwt.decode(signed, keys.by_id) == {"sub": "x"}
    keys.ensure(now + timedelta(days=91 + 366))
    assert name not in keys.by_id


def test_a_file_that_cannot_be_read_is_not_replaced(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("{broken")
    with pytest.raises(SigningKeyError, match="keys"):
        SigningKeys(file).ensure(SystemClock().now())
    assert file.read_text() == "{broken"
