"""What a source reads of the live objects: variables for its files, a Secret for its repository.

Pure: the loop asks which objects to hear of and whether they changed, the composition root what is
in them. They are all in the source's own namespace.
"""

from __future__ import annotations

import hashlib
from base64 import b64decode
from collections.abc import Iterator, Mapping

from reconciler.desired.variables import Variables
from reconciler.model.config import ConfigMap, Secret
from reconciler.model.gitops import SourceSpec
from reconciler.model.meta import KubeObject, ObjectKey
from reconciler.source.access import SecretData
from reconciler.source.snapshot import SourceError

Objects = Mapping[ObjectKey, KubeObject]


def credentials_key(spec: SourceSpec) -> ObjectKey | None:
    """Return the key of the Secret that lets the source in, if it names one."""
    ref = spec.secret_ref
    return ObjectKey("Secret", spec.home, ref.name) if ref is not None else None


def variable_keys(spec: SourceSpec) -> tuple[ObjectKey, ...]:
    """Return the keys of what the source's variables come from, the strongest last."""
    return tuple(ObjectKey(each.kind, spec.home, each.name) for each in spec.substitute_from)


def read_keys(spec: SourceSpec) -> frozenset[ObjectKey]:
    """Return the keys of all that the source reads."""
    secret = credentials_key(spec)
    return frozenset((*variable_keys(spec), *((secret,) if secret is not None else ())))


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


def credentials_of(spec: SourceSpec, live: Objects) -> SecretData:
    """Return the Secret that lets the source in; raises `SourceError` when it is not there."""
    key = credentials_key(spec)
    obj = live.get(key) if key is not None else None
    if key is None or not isinstance(obj, Secret):
        raise SourceError("CredentialsMissing", f"{key} does not exist")
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
