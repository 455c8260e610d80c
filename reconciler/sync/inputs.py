"""What a source reads of the live objects: variables for its files, Secrets for its repository.

Pure: the loop asks which objects to hear of and whether they changed, the composition root what is
in them. They are all in the source's own namespace.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from reconciler.desired.variables import Variables
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.gitops import SourceSpec
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.source.access import Access, SecretData
from reconciler.source.snapshot import SourceError

Objects = Mapping[ObjectKey, KubeObject]


def credentials_key(spec: SourceSpec) -> ObjectKey | None:
    """Return the key of the Secret that lets the source in, if it names one."""
    ref = spec.secret_ref
    return ObjectKey("Secret", spec.home, ref.name) if ref is not None else None


def signers_key(spec: SourceSpec) -> ObjectKey | None:
    """Return the key of the Secret with the keys that have to sign, if it names one."""
    return ObjectKey("Secret", spec.home, spec.verify.secret_ref.name) if spec.verify else None


def variable_keys(spec: SourceSpec) -> tuple[ObjectKey, ...]:
    """Return the keys of what the source's variables come from, the strongest last."""
    return tuple(ObjectKey(each.kind, spec.home, each.name) for each in spec.substitute_from)


def read_keys(spec: SourceSpec) -> frozenset[ObjectKey]:
    """Return the keys of all that the source reads."""
    return frozenset((*variable_keys(spec), *secret_keys(spec)))


def secret_keys(spec: SourceSpec) -> frozenset[ObjectKey]:
    """Return the keys of the Secrets that a fetch depends on."""
    return frozenset(
        each for each in (credentials_key(spec), signers_key(spec)) if each is not None
    )


def state_of(spec: SourceSpec, live: Objects) -> str:
    """Return a mark of the variables' objects as they are now; "" for a source that has none.

    It tells states apart and says nothing of what is in them.
    """
    states = [_state(key, live.get(key)) for key in variable_keys(spec)]
    if not states:
        return ""
    return hashlib.blake2b("\n".join(states).encode(), digest_size=8).hexdigest()


def variables_of(spec: SourceSpec, live: Objects) -> Variables | None:
    """Return the source's variables, None when it does not ask for any to be replaced."""
    if not spec.substitute and not spec.substitute_from:
        return None
    values: dict[str, str] = {}
    secret: set[str] = set()
    missing: list[str] = []
    for number, reference in enumerate(spec.substitute_from):
        key = ObjectKey(reference.kind, spec.home, reference.name)
        obj = live.get(key)
        if obj is None and not reference.optional:
            missing.append(f"spec.substituteFrom[{number}]: {key} does not exist")
        for name, value in _values(obj):
            values[name] = value
            (secret.add if isinstance(obj, Secret) else secret.discard)(name)
    values |= spec.substitute
    return Variables(values, frozenset(secret - spec.substitute.keys()), tuple(missing))


def with_secrets(access: Access, spec: SourceSpec, live: Objects, run_dir: Path) -> Access:
    """Return `access` with the Secrets that the source names, looked up when they are needed."""

    def secret(key: ObjectKey | None, reason: str) -> Callable[[], SecretData] | None:
        return partial(_secret, key, live, reason) if key is not None else None

    return replace(
        access,
        secret=secret(credentials_key(spec), "CredentialsMissing") or access.secret,
        verify=secret(signers_key(spec), "KeysMissing") or access.verify,
        run_dir=run_dir,
    )


def _secret(key: ObjectKey, live: Objects, reason: str) -> SecretData:
    """Return a Secret's data; raises `SourceError` when it is not there."""
    obj = live.get(key)
    if not isinstance(obj, Secret):
        raise SourceError(reason, f"{key} does not exist")
    data = {name: b64decode(value) for name, value in obj.data.items()}
    return SecretData(f"{key.namespace}/{key.name}", data)


def _state(key: ObjectKey, obj: KubeObject | None) -> str:
    meta = obj.metadata if obj is not None else None
    return f"{key} {meta.uid} {meta.resource_version}" if meta is not None else f"{key} -"


def _values(obj: KubeObject | None) -> Iterator[tuple[str, str]]:
    match obj:
        case ConfigMap():
            yield from obj.data.items()
        case Secret():
            for name, value in obj.data.items():
                yield name, b64decode(value).decode("utf-8", "replace")
        case _:
            return
