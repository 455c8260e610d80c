"""References from one object to another, as core/v1 spells them."""

from __future__ import annotations

from typing import ClassVar

from reconciler.model.base import Model, always, unset


class ObjectReference(Model):
    atomic: ClassVar[bool] = True
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    resource_version: str = ""
    field_path: str = ""


class LocalObjectReference(Model):
    atomic: ClassVar[bool] = True
    name: str = ""


class SecretReference(Model):
    atomic: ClassVar[bool] = True
    name: str = ""
    namespace: str = ""


class TypedLocalObjectReference(Model):
    atomic: ClassVar[bool] = True
    api_group: str | None = unset()
    kind: str = always(str)
    name: str = always(str)


class TypedObjectReference(Model):
    api_group: str | None = unset()
    kind: str = always(str)
    name: str = always(str)
    namespace: str | None = None
