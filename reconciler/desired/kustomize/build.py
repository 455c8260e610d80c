"""A kustomization and all that it refers to, as objects: `kustomize build`. Pure but for the tree.

Called by `desired.builds`. The order of steps is kustomize's own: resources, generators,
components, then patches, namespace, name affixes, labels, annotations, JSON patches, replicas and
images; and at the very top hashes and references. Files outside the kustomization's folder and
anything behind a URL are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Protocol

from reconciler.desired.kustomize import names, transform
from reconciler.desired.kustomize.file import Kustomization
from reconciler.desired.kustomize.generate import absorb, generate
from reconciler.desired.kustomize.patches import Patch, apply
from reconciler.desired.kustomize.resource import Bad, Place, Resource, resource
from reconciler.desired.kustomize.tree import Tree, is_outside, join
from reconciler.desired.limits import ReadLimits
from reconciler.desired.problem import Problem

_DEEPEST = 32
_LOCAL = "config.kubernetes.io/local-config"
_PATCH_LISTS = ("patches", "patchesJson6902")


class Written(Protocol):
    """One object as a file has it."""

    @property
    def value(self) -> Any:
        """The plain value."""
        ...

    @property
    def place(self) -> Place:
        """Where it is written."""
        ...


class Reader(Protocol):
    """How a file's bytes become objects and texts; it decrypts what is encrypted."""

    def objects(self, path: str, data: bytes) -> Iterator[Written]:
        """Yield the objects of a manifest; raises `Bad`."""
        ...

    def patches(self, path: str, data: bytes) -> Iterator[Written]:
        """Yield the documents of a patch as they are; raises `Bad`."""
        ...

    def plain(self, path: str, data: bytes) -> bytes:
        """Return the bytes of a file that a generator takes in; raises `Bad`."""
        ...


def build(folder: str, tree: Tree, reader: Reader, limits: ReadLimits) -> list[Resource]:
    """Return the objects of the kustomization in `folder`; raises `Bad` and `SourceError`."""
    made = _Build(tree, reader, limits)
    start = Place(join(folder, "kustomization.yaml"), 1, 1)
    resources = made.folder([], folder, (), start)
    names.add_hashes(resources)
    names.follow(resources)
    return [each for each in resources if not _is_local(each)]


def _is_local(each: Resource) -> bool:
    return each.pairs("annotations").get(_LOCAL) not in (None, "false")


class _Build:
    def __init__(self, tree: Tree, reader: Reader, limits: ReadLimits) -> None:
        self._tree = tree
        self._reader = reader
        self._limits = limits

    def folder(
        self, before: list[Resource], folder: str, above: tuple[str, ...], asker: Place
    ) -> list[Resource]:
        """Return `before` and what a folder's kustomization makes of it and adds to it."""
        if folder in above or len(above) >= _DEEPEST:
            cycle = " -> ".join(each or "." for each in (*above, folder))
            raise Bad(Problem(asker.path, asker.line, asker.column, "", f"a cycle: {cycle}"))
        file = self._file(folder, asker)
        if bool(before) and file.kind != "Component":
            raise file.bad("kind", "expected a Component here")
        self._tree.fetch(self._needed(file))
        chain = (*above, folder)
        gathered = _Gathered(before, file)
        for entry in file.entries("resources", "bases"):
            gathered.add(self._resources(file, entry.value, entry.field, chain), entry.field)
        for kind, name in (("ConfigMap", "configMapGenerator"), ("Secret", "secretGenerator")):
            for entry in file.entries(name):
                self._generate(gathered, file, kind, entry.value, entry.field)
        resources = gathered.resources
        for entry in file.entries("components"):
            inner = self._inside(file, entry.value, entry.field)
            resources = self._component(resources, inner, chain, file, entry.field)
        return self._transform(resources, file)

    def _file(self, folder: str, asker: Place) -> Kustomization:
        found = self._tree.kustomizations(folder)
        if len(found) != 1:
            what = "more than one kustomization file" if found else "no kustomization.yaml"
            message = f"{folder or '.'} has {what}"
            raise Bad(Problem(asker.path, asker.line, asker.column, "", message))
        return Kustomization(found[0], self._read(found[0]), self._limits)

    def _component(
        self, before: list[Resource], folder: str, chain: tuple[str, ...], file: Kustomization,
        field: str,
    ) -> list[Resource]:  # fmt: skip
        asker = file.place(field)
        if self._file(folder, asker).kind != "Component":
            raise file.bad(field, f"{folder} is a Kustomization, not a Component")
        return self.folder(before, folder, chain, asker)

    def _needed(self, file: Kustomization) -> Iterator[str]:
        """Yield the files that a kustomization names, to be read together."""
        for entry in file.entries("resources", "patchesStrategicMerge"):
            if "\n" not in entry.value:
                yield join(file.folder, entry.value)
        for entry in file.entries(*_PATCH_LISTS):
            if entry.value.get("path"):
                yield join(file.folder, entry.value["path"])
        for entry in file.entries("configMapGenerator", "secretGenerator"):
            paths = [*(entry.value.get("files") or ()), *(entry.value.get("envs") or ())]
            yield from (join(file.folder, path.rpartition("=")[2]) for path in paths)

    def _inside(self, file: Kustomization, name: str, field: str) -> str:
        """Return the path of what a kustomization names; it may not leave the tree."""
        if "://" in name or name.startswith(("git@", "github.com/")):
            raise file.bad(
                field, "remote bases are not fetched", "keep the base in the same source"
            )
        path = join(file.folder, name)
        if is_outside(path):
            raise file.bad(field, f"{name!r} is outside the source's tree")
        return path

    def _below(self, file: Kustomization, name: str, field: str) -> str:
        """Return the path of a file; it has to be in the kustomization's folder or below."""
        path = self._inside(file, name, field)
        if file.folder and not path.startswith(f"{file.folder}/"):
            raise file.bad(
                field, f"{name!r} is not below {file.folder}", "only folders may be elsewhere"
            )
        if self._tree.ref(path) is None:
            raise file.bad(field, f"there is no file {path}")
        return path

    def _read(self, path: str) -> bytes:
        ref = self._tree.ref(path)
        if ref is not None and ref.refused:
            raise Bad(Problem(path, 1, 1, "", ref.refused))
        return self._tree.data(path)

    def _content(self, file: Kustomization, name: str, field: str) -> tuple[str, bytes]:
        path = self._below(file, name, field)
        return path, self._read(path)

    def _resources(
        self, file: Kustomization, name: str, field: str, chain: tuple[str, ...]
    ) -> list[Resource]:
        path = self._inside(file, name, field)
        if self._tree.ref(path) is None and self._tree.kustomizations(path):
            if self._file(path, file.place(field)).kind == "Component":
                raise file.bad(field, f"{path} is a Component", "list it under components")
            return self.folder([], path, chain, file.place(field))
        path, data = self._content(file, name, field)
        return [resource(each.value, each.place) for each in self._reader.objects(path, data)]

    def _generate(
        self, gathered: _Gathered, file: Kustomization, kind: str, entry: Any, field: str
    ) -> None:
        def read(name: str) -> bytes:
            path, data = self._content(file, name, field)
            return self._reader.plain(path, data)

        place = file.place(field)._replace(within=field)
        made = generate(kind, entry, file.mapping("generatorOptions"), place, read)
        behavior = entry.get("behavior") or "create"
        if behavior in ("merge", "replace"):
            gathered.absorb(made, behavior, field)
        else:
            gathered.create(made, field)

    def _transform(self, resources: list[Resource], file: Kustomization) -> list[Resource]:
        for patch in (*self._strategic(file), *self._patches(file, "patches")):
            resources = apply(resources, patch)
        if file.text("namespace"):
            transform.set_namespace(resources, file.text("namespace"))
        names.add_affixes(resources, file.text("namePrefix"), file.text("nameSuffix"))
        for entry in file.entries("labels"):
            transform.set_labels(resources, entry.value)
            _note(resources, file, entry.field)
        transform.set_pairs(resources, file.mapping("commonLabels"), transform.SELECTOR_LABELS)
        _note(resources, file, "commonLabels")
        transform.set_pairs(resources, file.mapping("commonAnnotations"), transform.ANNOTATIONS)
        _note(resources, file, "commonAnnotations")
        for patch in self._patches(file, "patchesJson6902"):
            resources = apply(resources, patch)
        for entry in file.entries("replicas"):
            name = entry.value["name"]
            scaled = transform.set_replicas(resources, name, entry.value.get("count", 0))
            if not scaled:
                raise file.bad(entry.field, f"there is no ReplicationController {name}")
            _note(scaled, file, entry.field)
        for entry in file.entries("images"):
            transform.set_images(resources, entry.value)
            _note(resources, file, entry.field)
        _check_unique(resources, file)
        return resources

    def _strategic(self, file: Kustomization) -> Iterator[Patch]:
        for text, field in file.entries("patchesStrategicMerge"):
            inline = "\n" in text
            path, data = (file.path, text.encode()) if inline else self._content(file, text, field)
            yield from self._documents(file, path, data, field, None, {}, inline=inline)

    def _patches(self, file: Kustomization, name: str) -> Iterator[Patch]:
        for entry in file.entries(name):
            yield from self._patch(file, entry.value, entry.field)

    def _patch(self, file: Kustomization, entry: Any, field: str) -> Iterator[Patch]:
        inline, name = entry.get("patch"), entry.get("path")
        if bool(inline) is bool(name):
            raise file.bad(field, "expected one of path and patch")
        path, data = (
            (file.path, str(inline).encode()) if inline else self._content(file, name, field)
        )
        yield from self._documents(
            file, path, data, field, entry.get("target"), entry.get("options") or {},
            inline=bool(inline),
        )  # fmt: skip

    def _documents(
        self, file: Kustomization, path: str, data: bytes, field: str, target: Any, options: Any,
        *, inline: bool,
    ) -> Iterator[Patch]:  # fmt: skip
        own, empty = file.place(field), True
        try:
            for each in self._reader.patches(path, data):
                empty = False
                yield Patch(each.value, own if inline else each.place, target, options)
        except Bad as error:
            raise (file.bad(field, error.problem.message) if inline else error) from error
        if empty:
            raise file.bad(field, "the patch is empty")


def _note(changed: Iterable[Resource], file: Kustomization, field: str) -> None:
    """Remember that the field of the kustomization had a say in these objects."""
    if not file.value.get(field.partition("[")[0]):
        return
    place = file.place(field)._replace(within=field)
    for each in changed:
        each.patches.append(place)


class _Gathered:
    """The objects of a folder while they are gathered; no two of them have one name."""

    def __init__(self, before: list[Resource], file: Kustomization) -> None:
        self.resources = [*before]
        self._file = file
        self._known = {each.id.with_default(): each for each in before}

    def add(self, more: list[Resource], field: str) -> None:
        """Add objects that the field at `field` brings."""
        for each in more:
            twin = self._known.setdefault(each.id.with_default(), each)
            if twin is not each:
                raise self._file.bad(field, f"{each.id} is there already: from {_at(twin)}")
        self.resources += more

    def create(self, made: Resource, field: str) -> None:
        """Add a generated object: no object may have its name, nor have had it in a base."""
        for each in self.resources:
            if any(made.id.same(one) for one in each.ids()):
                message = f"{made.id} is there already: from {_at(each)}"
                raise self._file.bad(field, message, "set behavior to merge or replace")
        self.add([made], field)

    def absorb(self, made: Resource, behavior: str, field: str) -> None:
        """Let a generated object take the place of the one with its name."""
        found = [e for e in self.resources if any(made.id.same(one) for one in e.ids())]
        if len(found) != 1:
            raise self._file.bad(field, f"{made.id} does not exist, so it cannot {behavior}")
        absorb(found[0], made, behavior)
        self.resources[self.resources.index(found[0])] = made
        self._known[made.id.with_default()] = made


def _at(each: Resource) -> str:
    return f"{each.place.path}:{each.place.line}:{each.place.column}"


def _check_unique(resources: list[Resource], file: Kustomization) -> None:
    seen: dict[Any, Resource] = {}
    for each in resources:
        if (twin := seen.setdefault(each.id.with_default(), each)) is not each:
            raise file.bad("", f"{each.id} comes out twice: also from {_at(twin)}")
