"""A `kustomization.yaml` as it is written: read and checked field by field. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from reconciler.desired import yaml
from reconciler.desired.hints import nearest
from reconciler.desired.kustomize.resource import Bad, Json, Place, bad
from reconciler.desired.limits import ReadLimits
from reconciler.desired.patterns import BadPattern, compiled
from reconciler.desired.positions import Positions
from reconciler.desired.problem import Problem

_LISTS = ("resources", "bases", "components", "patchesStrategicMerge")
_ENTRIES = (
    "patches", "patchesJson6902", "labels", "images", "replicas", "configMapGenerator",
    "secretGenerator",
)  # fmt: skip
_MAPPINGS = ("commonLabels", "commonAnnotations", "generatorOptions", "metadata", "sortOptions")
_STRINGS = ("namespace", "namePrefix", "nameSuffix", "apiVersion", "kind")
_GENERATOR = frozenset(
    ("name", "namespace", "behavior", "files", "literals", "env", "envs", "options", "type")
)
_OPTIONS = frozenset(("labels", "annotations", "disableNameSuffixHash", "immutable"))
_MEMBERS = {
    "patches": frozenset(("path", "patch", "target", "options")),
    "patchesJson6902": frozenset(("path", "patch", "target", "options")),
    "labels": frozenset(("pairs", "includeSelectors", "includeTemplates", "fields")),
    "images": frozenset(("name", "newName", "newTag", "tagSuffix", "digest")),
    "replicas": frozenset(("name", "count")),
    "configMapGenerator": _GENERATOR - {"type"},
    "secretGenerator": _GENERATOR,
    "generatorOptions": _OPTIONS,
}
_NEEDED = {
    "images": "name", "replicas": "name", "configMapGenerator": "name", "secretGenerator": "name",
}  # fmt: skip
_REFUSED = {
    "helmCharts": "Helm charts are not rendered: commit what `helm template` prints",
    "helmChartInflationGenerator": "Helm charts are not rendered",
    "helmGlobals": "Helm charts are not rendered",
    "generators": "generator plugins are not run",
    "transformers": "transformer plugins are not run",
    "validators": "validator plugins are not run",
    "configurations": "transformer configurations are not read",
    "crds": "custom resources are not served here",
    "openapi": "an own OpenAPI schema is not read",
    "vars": "vars are deprecated and not read: use ${VAR} substitution",
    "replacements": "replacements are not supported: use ${VAR} substitution or a patch",
    "buildMetadata": "build metadata is not written: a revision tells the origin of each object",
}
_VERSIONS = {
    "Kustomization": "kustomize.config.k8s.io/v1beta1",
    "Component": "kustomize.config.k8s.io/v1alpha1",
}
_KNOWN = (*_LISTS, *_ENTRIES, *_MAPPINGS, *_STRINGS)


class Entry(NamedTuple):
    """One item of a list of the kustomization, and its field path ("patches[0]")."""

    value: Any
    field: str


class Kustomization:
    """One kustomization file; its getters never fail, because it was checked."""

    def __init__(self, path: str, data: bytes, limits: ReadLimits) -> None:
        """Read the file; raises `Bad`."""
        self.path = path
        self._positions = Positions(data)
        self.value = self._parse(data, limits)
        for key, value in self.value.items():
            self._check(key, value)
        if self.kind not in _VERSIONS:
            raise self.bad("kind", f"expected Kustomization or Component, not {self.kind}")
        if self.text("apiVersion") not in ("", _VERSIONS[self.kind]):
            raise self.bad("apiVersion", f"expected {_VERSIONS[self.kind]} for a {self.kind}")

    @property
    def folder(self) -> str:
        """The folder of the file, "" for the top."""
        return self.path.rpartition("/")[0]

    @property
    def kind(self) -> str:
        """Kustomization, or Component."""
        return str(self.value.get("kind") or "Kustomization")

    def text(self, name: str) -> str:
        """Return a string field, "" when it is not set."""
        return str(self.value.get(name) or "")

    def mapping(self, name: str) -> Json:
        """Return a field that is a mapping, empty when it is not set."""
        found: Json = self.value.get(name) or {}
        return found

    def entries(self, *names: str) -> Iterator[Entry]:
        """Yield the items of lists, one list after the other."""
        for name in names:
            for index, item in enumerate(self.value.get(name) or ()):
                yield Entry(item, f"{name}[{index}]")

    def place(self, field: str) -> Place:
        """Return where a field of the file is."""
        line, column = self._positions.of(0, field) or (1, 1)
        return Place(self.path, line, column)

    def bad(self, field: str, message: str, hint: str = "") -> Bad:
        """Return an error at a field."""
        return bad(self.place(field), field, message, hint)

    def _parse(self, data: bytes, limits: ReadLimits) -> Json:
        parsed = yaml.parse(data, limits)
        if parsed.faults:
            fault = parsed.faults[0]
            raise Bad(Problem(self.path, fault.line, fault.column, "", fault.message))
        if len(parsed.documents) != 1 or not isinstance(parsed.documents[0].value, dict):
            raise Bad(Problem(self.path, 1, 1, "", "expected one mapping: a Kustomization"))
        value: Json = parsed.documents[0].value
        return {key: each for key, each in value.items() if each is not None}

    def _check(self, key: str, value: Any) -> None:
        if key in _REFUSED:
            raise self.bad(key, _REFUSED[key])
        if key not in _KNOWN:
            meant = nearest(key, _KNOWN)
            raise self.bad(key, f'unknown field "{key}"', f'did you mean "{meant}"?' * bool(meant))
        if key in _STRINGS:
            self._expect(isinstance(value, str), key, "a string")
        elif key in _MAPPINGS:
            self._expect(isinstance(value, dict), key, "a mapping")
            self._check_mapping(key, value)
        else:
            self._expect(isinstance(value, list), key, "a list")
            self._check_items(key, value)

    def _expect(self, fits: bool, field: str, what: str) -> None:
        if not fits:
            raise self.bad(field, f"expected {what}")

    def _check_mapping(self, key: str, value: Mapping[str, Any]) -> None:
        if key.startswith("common"):
            self._check_pairs(key, value)
        elif key in _MEMBERS:
            self._check_members(key, key, value)
            self._check_options(key, value)

    def _check_items(self, key: str, items: Sequence[Any]) -> None:
        for index, item in enumerate(items):
            field = f"{key}[{index}]"
            if key in _LISTS:
                self._expect(isinstance(item, str), field, "a string")
                continue
            self._expect(isinstance(item, dict), field, "a mapping")
            self._check_members(key, field, item)
            needed = _NEEDED.get(key)
            self._expect(not needed or isinstance(item.get(needed), str), field, f"a {needed}")
            self._check_entry(key, field, item)

    def _check_members(self, key: str, field: str, item: Mapping[str, Any]) -> None:
        for name in item:
            if name not in _MEMBERS[key]:
                meant = nearest(name, _MEMBERS[key])
                hint = f'did you mean "{meant}"?' if meant else ""
                raise self.bad(f"{field}.{name}", f'unknown field "{name}"', hint)

    def _check_entry(self, key: str, field: str, item: Mapping[str, Any]) -> None:
        if key in ("configMapGenerator", "secretGenerator"):
            for name in ("files", "literals", "envs"):
                self._strings(f"{field}.{name}", item.get(name))
            for name in ("env", "type", "namespace"):
                self._expect(isinstance(item.get(name) or "", str), f"{field}.{name}", "a string")
            behavior = item.get("behavior") or "create"
            self._expect(
                behavior in ["create", "merge", "replace", "unspecified"],
                f"{field}.behavior", "create, merge or replace",
            )  # fmt: skip
            options = item.get("options") or {}
            self._expect(isinstance(options, dict), f"{field}.options", "a mapping")
            self._check_members("generatorOptions", f"{field}.options", options)
            self._check_options(f"{field}.options", options)
        elif key.startswith("patches"):
            self._check_patch(field, item)
        elif key == "images":
            self._texts(field, item)
            self._check_pattern(f"{field}.name", item["name"])
        elif key == "labels":
            self._check_fields(f"{field}.fields", item.get("fields"))
            self._expect(isinstance(item.get("pairs") or {}, dict), f"{field}.pairs", "a mapping")
            self._check_pairs(f"{field}.pairs", item.get("pairs") or {})
        elif key == "replicas":
            count = item.get("count", 0)
            number = isinstance(count, int) and not isinstance(count, bool)
            self._expect(number, f"{field}.count", "a number")

    def _check_patch(self, field: str, item: Mapping[str, Any]) -> None:
        for name in ("path", "patch"):
            self._expect(isinstance(item.get(name) or "", str), f"{field}.{name}", "a string")
        for name in ("target", "options"):
            fits = item.get(name) is None or isinstance(item[name], dict)
            self._expect(fits, f"{field}.{name}", "a mapping")
        self._texts(f"{field}.target", item.get("target") or {})

    def _check_pattern(self, field: str, text: str) -> None:
        try:
            compiled(text)
        except BadPattern as error:
            raise self.bad(field, str(error)) from error

    def _check_fields(self, field: str, specs: Any) -> None:
        self._expect(isinstance(specs or [], list), field, "a list")
        for index, spec in enumerate(specs or ()):
            place = f"{field}[{index}]"
            fits = isinstance(spec, dict) and isinstance(spec.get("path"), str)
            self._expect(fits, place, "a mapping with a path")
            self._expect(isinstance(spec.get("kind") or "", str), f"{place}.kind", "a string")

    def _texts(self, field: str, members: Mapping[str, Any]) -> None:
        for name, value in members.items():
            fits = value is None or isinstance(value, str)
            self._expect(fits, f"{field}.{name}", "a string (quote it)")

    def _check_options(self, field: str, options: Mapping[str, Any]) -> None:
        for name in ("labels", "annotations"):
            pairs = options.get(name) or {}
            self._expect(isinstance(pairs, dict), f"{field}.{name}", "a mapping")
            self._check_pairs(f"{field}.{name}", pairs)

    def _check_pairs(self, field: str, pairs: Mapping[str, Any]) -> None:
        for name, value in pairs.items():
            self._expect(isinstance(value, str), f"{field}.{name}", "a string (quote it)")

    def _strings(self, field: str, values: Any) -> None:
        listed = values is None or isinstance(values, list)
        self._expect(listed, field, "a list")
        for index, value in enumerate(values or ()):
            self._expect(isinstance(value, str), f"{field}[{index}]", "a string")
