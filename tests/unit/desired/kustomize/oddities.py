"""Rarer kustomizations: what `kubectl kustomize` says of them is the judge here too."""

# ruff: noqa: E501 - a case is a small table, read across

from __future__ import annotations

from tests.unit.desired.kustomize.trees import (
    ALL,
    CONFIG,
    GENERATED,
    LISTED,
    RC,
    Case,
    changed,
    everything,
    overlay,
    small,
)

_COMPONENT = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
_TELL = '\'[{"op": "add", "path": "/metadata/annotations", "value": {"hit": "yes-it-is"}}]\''
_CLASSES = """\
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata: {name: fast}
provisioner: x
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata: {name: high}
value: 1
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: c}
spec: {storageClassName: fast, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: v}
spec: {storageClassName: fast, claimRef: {name: c, namespace: default}}
---
apiVersion: v1
kind: Pod
metadata: {name: lone}
spec: {priorityClassName: high, containers: [{name: a, image: b}]}
---
apiVersion: v1
kind: ReplicationController
metadata: {name: many}
spec: {template: {spec: {priorityClassName: high, containers: [{name: a, image: b}]}}}
---
apiVersion: v1
kind: PodTemplate
metadata: {name: pattern}
template: {metadata: {labels: {q: r}}, spec: {priorityClassName: high, containers: [{name: a, image: b}]}}
"""
_TWO_HOMES = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: cfg, namespace: one}
---
apiVersion: v1
kind: Pod
metadata: {name: near, namespace: one}
spec: {containers: [{name: a, image: b, envFrom: [{configMapRef: {name: cfg}}]}]}
---
apiVersion: v1
kind: Pod
metadata: {name: far, namespace: two}
spec: {containers: [{name: a, image: b, envFrom: [{configMapRef: {name: cfg}}]}]}
"""


def _aimed(target: str) -> Case:
    return everything(f"patches: [{{target: {target}, patch: {_TELL}}}]\n")


def _two_patches(field: str, first: str, second: str) -> Case:
    head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cfg}\n"
    return everything(field, a_yaml=f"{head}data: {first}\n", b_yaml=f"{head}data: {second}\n")


CASES: dict[str, Case] = {
    "target-name-by-pattern": _aimed("{name: 'c.*'}"),
    "target-name-is-anchored": _aimed("{name: cf}"),
    "target-of-nothing": _aimed("{name: nothing}"),
    "target-empty": _aimed("{}"),
    "target-other-group": _aimed("{group: apps}"),
    "target-version-by-pattern": _aimed("{version: v.}"),
    "target-namespace-default": _aimed("{namespace: default}"),
    "target-label-equals": _aimed("{labelSelector: 'tier==front'}"),
    "target-label-differs": _aimed("{labelSelector: 'tier!=front'}"),
    "target-label-not-in": _aimed("{labelSelector: 'tier notin (front, back)'}"),
    "target-many-merged": everything("patches:\n- target: {kind: ReplicationController|Pod}\n  patch: |-\n"
        "    apiVersion: v1\n    kind: any\n    metadata: {name: any, labels: {x: z}}\n"),
    "target-many-deleted": everything("patches:\n- target: {kind: ConfigMap|Secret}\n  patch: |-\n"
        "    $patch: delete\n    apiVersion: v1\n    kind: any\n    metadata: {name: any}\n"),
    "patch-merges-by-name": changed(RC + "      containers:\n      - {name: main, $patch: merge, image: z}\n"),
    "patch-empties-lists": changed(RC + "      containers:\n      - {name: main, env: null, ports: []}\n"),
    "patch-keeps-value-from": changed(RC + "      containers:\n      - name: main\n        env:\n        - {name: B, value: plain}\n"),
    "patch-changes-the-kind": changed("apiVersion: v1\nkind: Secret\nmetadata: {name: z}\n",
        ", target: {kind: ConfigMap}, options: {allowKindChange: true}"),
    "patches-in-order": _two_patches("patches: [{path: a.yaml}, {path: b.yaml}]\n", "{b: one}", "{b: two}"),
    "patches-strategic-in-order": _two_patches("patchesStrategicMerge: [a.yaml, b.yaml]\n", "{b: one}", "{b: two, c: null}"),
    "labels-in-fields-of-a-list": everything("labels:\n- pairs: {app: shop}\n  fields:\n"
        "  - {path: 'spec/template/spec/containers[]/labels', kind: ReplicationController, create: true}\n"),
    "labels-three-entries": everything("labels:\n- {pairs: {app: shop}, includeSelectors: true}\n"
        "- {pairs: {b: c}, includeTemplates: true}\n- {pairs: {d: e}}\n"),
    "image-digest-and-name": everything("images: [{name: nginx, newName: z/y, digest: 'sha256:def'}]\n"),
    "image-by-pattern": everything("images: [{name: '.*nginx', newTag: '3'}]\n"),
    "image-twice": everything("images: [{name: nginx, newTag: '3'}, {name: nginx, newTag: '4'}]\n"),
    "component-in-component": Case({**ALL, "kustomization.yaml": LISTED + "components: [c1]\nnamespace: q\n",
        "c1/kustomization.yaml": _COMPONENT + "components: [../c2]\nnamePrefix: one-\n",
        "c2/kustomization.yaml": _COMPONENT + "nameSuffix: -two\ncommonLabels: {z: z}\n"}),
    "component-twice": Case({**ALL, "kustomization.yaml": LISTED + "components: [c1, c1]\n",
        "c1/kustomization.yaml": _COMPONENT + "namePrefix: c-\n"}),
    "options-of-an-entry": small("generatorOptions: {disableNameSuffixHash: true, immutable: true}\nconfigMapGenerator:\n"
        "- name: g\n  literals: [a=1]\n  options: {disableNameSuffixHash: false, immutable: false}\n"),
    "merge-with-options": overlay("resources: [../base]\nconfigMapGenerator:\n- {name: cfg, behavior: merge, literals: [b=2],"
        " options: {labels: {o: p}, annotations: {q: r}, immutable: true, disableNameSuffixHash: true}}\n"),
    "merge-into-an-immutable": overlay("resources: [../base]\nconfigMapGenerator:\n- {name: cfg, behavior: merge, literals: [b=2]}\n",
        GENERATED + "generatorOptions: {immutable: true}\n"),
    "merge-in-a-namespace": overlay("resources: [../base]\nconfigMapGenerator:\n"
        "- {name: cfg, namespace: bb, behavior: merge, literals: [b=2]}\n", GENERATED + "namespace: bb\n"),
    "merge-with-a-type": overlay("resources: [../base]\nsecretGenerator:\n"
        "- {name: sec, behavior: merge, type: my/type, files: [x.txt]}\n", over__x_txt="hello"),
    "one-name-in-two-namespaces": small("configMapGenerator:\n- {name: g, namespace: a, literals: [a=b]}\n"
        "- {name: g, namespace: b, literals: [a=c]}\n"),
    "env-file-words": small("configMapGenerator:\n- name: g\n  envs: [a.env]\n",
        a_env="A=\"x y\"\nB='z'\n#E=1\nF=#1\n"),
    "suffix-spares-definitions": small("resources: [d.yaml]\nnameSuffix: -s\n", d_yaml="apiVersion: apiextensions.k8s.io/v1\n"
        "kind: CustomResourceDefinition\nmetadata: {name: things.example.org}\nspec: {group: example.org}\n"),
    "suffix-and-an-unknown-kind": small("resources: [t.yaml, cfg.yaml]\nnameSuffix: -s\n", t_yaml="apiVersion: example.org/v1\n"
        "kind: Thing\nmetadata: {name: t}\nspec: {configMapRef: {name: cfg}}\n"),
    "classes-are-followed": small("resources: [k.yaml]\nnamePrefix: p-\nnamespace: q\n", k_yaml=_CLASSES),
    "labels-and-pod-templates": small("resources: [k.yaml]\ncommonLabels: {a: b}\ncommonAnnotations: {c: d}\n", k_yaml=_CLASSES),
    "references-stay-in-their-namespace": small("resources: [k.yaml]\nnamePrefix: p-\n", k_yaml=_TWO_HOMES),
    "diamond": Case({"base/kustomization.yaml": "resources: [c.yaml]\n", "base/c.yaml": CONFIG,
        "a/kustomization.yaml": "resources: [../base]\nnamespace: na\n",
        "b/kustomization.yaml": "resources: [../base]\nnamespace: nb\n", "kustomization.yaml": "resources: [a, b]\n"}),
    "empty-documents": small("resources: [cfg.yaml, e.yaml]\n", e_yaml="# nothing\n---\n---\n"),
    "null-fields": small("namePrefix: null\nresources: [cfg.yaml]\npatches:\nimages:\n"),
}  # fmt: skip

REFUSED: dict[str, Case] = {
    "selector-without-brackets": _aimed("{labelSelector: 'tier in front'}"),
    "selector-with-a-pattern": _aimed("{annotationSelector: 'a=b.*'}"),
    "json-patch-without-target": everything(f"patches: [{{patch: {_TELL}}}]\n"),
    "json-patch-of-the-whole": changed("- {op: add, path: '', value: {a: b}}\n", ", target: {kind: ConfigMap}"),
    "json-patch-too-deep": changed("- {op: add, path: /spec/x/y, value: z}\n", ", target: {kind: ReplicationController}"),
    "json-patch-test-fails": changed("- {op: test, path: /data/b, value: z}\n", ", target: {kind: ConfigMap}"),
    "patch-empty": changed("# nothing\n"),
    "label-number": everything("labels: [{pairs: {d: 1}}]\n"),
    "image-tag-number": everything("images: [{name: nginx, newTag: 3}]\n"),
    "replicas-text": everything("replicas: [{name: web, count: '4'}]\n"),
    "version-unknown": small("apiVersion: kustomize.config.k8s.io/v9\nkind: Kustomization\nresources: [cfg.yaml]\n"),
    "version-of-a-component": Case({**ALL, "kustomization.yaml": LISTED + "components: [c1]\n",
        "c1/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Component\nnamePrefix: c-\n"}),
    "generated-twice": small("configMapGenerator:\n- {name: g, literals: [a=b]}\n- {name: g, literals: [a=c]}\n"),
    "generator-file-outside": Case({"x.txt": "x", "k/kustomization.yaml": "configMapGenerator: [{name: g, files: [../x.txt]}]\n"}, "k"),
    "two-bases-with-one-object": Case({"a/kustomization.yaml": "resources: [c.yaml]\n", "a/c.yaml": CONFIG,
        "b/kustomization.yaml": "resources: [c.yaml]\n", "b/c.yaml": CONFIG, "kustomization.yaml": "resources: [a, b]\n"}),
    "generated-name-only": small("resources: [k.yaml]\n", k_yaml="apiVersion: v1\nkind: Pod\nmetadata: {generateName: x-}\n"),
    "two-namespaces-made-one": small("resources: [k.yaml]\nnamespace: ns\n", k_yaml="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: a}\n"
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: b}\n"),
    "itself-as-a-base": small("resources: [., cfg.yaml]\n"),
}  # fmt: skip

UNREAD: dict[str, tuple[Case, str]] = {
    "remote base": (small("resources: ['https://github.com/a/b?ref=c']\n"), "remote bases are not fetched"),
    "remote base, short": (small("resources: ['github.com/a/b']\n"), "remote bases are not fetched"),
    "remote component": (small("components: ['git@github.com:a/b']\n"), "remote bases are not fetched"),
    "remote patch": (everything("patches: [{path: 'https://h/p.yaml'}]\n"), "remote bases are not fetched"),
    "helm": (small("helmCharts: [{name: x, repo: y}]\n"), "Helm charts are not rendered"),
    "replacements": (small("replacements: [{path: r.yaml}]\n"), "replacements are not supported"),
    "configurations": (small("configurations: [c.yaml]\n"), "transformer configurations are not read"),
    "openapi": (small("openapi: {path: s.json}\n"), "an own OpenAPI schema is not read"),
    "crds": (small("crds: [x.json]\n"), "custom resources are not served here"),
    "vars": (small("vars: [{name: X}]\n"), "vars are deprecated"),
    "generators": (small("generators: [x.yaml]\n"), "generator plugins are not run"),
    "buildMetadata": (small("buildMetadata: [originAnnotations]\n"), "build metadata is not written"),
    "a variable of the build's environment": (
        small("configMapGenerator: [{name: g, envs: [a.env]}]\n", a_env="HOME\n"), "expected KEY=VALUE"),
    "an order of elements": (changed(RC + "      $setElementOrder/containers: [{name: side}]\n"), "is not read"),
    "kept keys": (changed(RC + "      volumes:\n      - {name: conf, $retainKeys: [name], emptyDir: {}}\n"), "is not read"),
    "an unknown behavior": (small("configMapGenerator: [{name: g, behavior: frob}]\n"), "create, merge or replace"),
    "an index from the end": (
        changed("- {op: remove, path: /spec/template/spec/containers/-1}\n", ", target: {kind: ReplicationController}"),
        "does not fit"),
}  # fmt: skip
"""What kustomize does and we do not: each is refused, by these words."""
