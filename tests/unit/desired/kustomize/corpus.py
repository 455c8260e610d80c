"""Kustomizations, each a small tree of files: what `kubectl kustomize` says of them is the judge."""

# ruff: noqa: E501 - a case is a small table, read across

from __future__ import annotations

from tests.unit.desired.kustomize.trees import (
    ALL,
    CONFIG,
    GENERATED,
    HIDDEN,
    LISTED,
    NAMESPACE,
    RC,
    Case,
    changed,
    everything,
    overlay,
    small,
)

_GROUP = "rbac.authorization.k8s.io"
RBAC = f"""\
apiVersion: v1
kind: ServiceAccount
metadata: {{name: robot}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: default}}
---
apiVersion: {_GROUP}/v1
kind: Role
metadata: {{name: reader}}
rules:
- {{apiGroups: [""], resources: [secrets, configmaps], resourceNames: [sec, cfg, else], verbs: [get]}}
---
apiVersion: {_GROUP}/v1
kind: ClusterRole
metadata: {{name: reader}}
rules: []
---
apiVersion: {_GROUP}/v1
kind: RoleBinding
metadata: {{name: a}}
roleRef: {{apiGroup: {_GROUP}, kind: Role, name: reader}}
subjects:
- {{kind: ServiceAccount, name: robot}}
- {{kind: ServiceAccount, name: robot, namespace: default}}
- {{kind: ServiceAccount, name: default, namespace: else}}
- {{kind: ServiceAccount, name: stranger, namespace: else}}
- {{kind: User, name: jane, apiGroup: {_GROUP}}}
---
apiVersion: {_GROUP}/v1
kind: ClusterRoleBinding
metadata: {{name: b}}
roleRef: {{apiGroup: {_GROUP}, kind: ClusterRole, name: reader}}
subjects:
- {{kind: ServiceAccount, name: robot, namespace: default}}
- {{kind: ServiceAccount, name: default, namespace: else}}
- {{kind: ServiceAccount, name: other, namespace: default}}
---
apiVersion: {_GROUP}/v1
kind: ClusterRoleBinding
metadata: {{name: c}}
roleRef: {{apiGroup: {_GROUP}, kind: ClusterRole, name: view}}
subjects:
- {{kind: Group, name: team, apiGroup: {_GROUP}}}
"""


def _rbac(more: str) -> Case:
    return small(
        f"resources: [cfg.yaml, sec.yaml, rbac.yaml]\n{more}", sec_yaml=HIDDEN, rbac_yaml=RBAC
    )


CASES: dict[str, Case] = {
    "rbac": _rbac(""),
    "rbac-prefix": _rbac("namePrefix: p-\n"),
    "rbac-namespace": _rbac("namespace: team\n"),
    "rbac-both": _rbac("namespace: team\nnameSuffix: -x\n"),
    "resources": everything(""),
    "json-resource": small(
        "resources: [a.json]\n",
        a_json='{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"j"},"data":{"x":"why"}}',
    ),
    "list-resource": small(
        "resources: [l.yaml]\n",
        l_yaml="apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: one}}\n"
        "- {apiVersion: v1, kind: Secret, metadata: {name: two}}\n",
    ),
    "yml-name": Case({"cfg.yaml": CONFIG, "kustomization.yml": "resources: [cfg.yaml]\n"}),
    "no-suffix-name": Case({"cfg.yaml": CONFIG, "Kustomization": "resources: [cfg.yaml]\n"}),
    "local-config": small(
        "resources: [cfg.yaml, l.yaml]\n",
        l_yaml="apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: gone\n"
        '  annotations: {config.kubernetes.io/local-config: "true"}\n',
    ),
    "namespace": everything("namespace: prod\n"),
    "namespace-of-namespace": small(
        "resources: [ns.yaml, cfg.yaml]\nnamespace: prod\n", ns_yaml=NAMESPACE
    ),
    "prefix": everything("namePrefix: p-\n"),
    "suffix": everything("nameSuffix: -s\n"),
    "prefix-and-suffix": everything("namePrefix: p-\nnameSuffix: -s\nnamespace: prod\n"),
    "prefix-spares-namespaces": small(
        "resources: [ns.yaml, cfg.yaml]\nnamePrefix: p-\n", ns_yaml=NAMESPACE
    ),
    "common-labels": everything("commonLabels: {app: shop, tier: back}\n"),
    "common-annotations": everything("commonAnnotations: {note: hello}\n"),
    "labels": everything("labels: [{pairs: {app: shop}}]\n"),
    "labels-in-selectors": everything("labels: [{pairs: {app: shop}, includeSelectors: true}]\n"),
    "labels-in-templates": everything("labels: [{pairs: {app: shop}, includeTemplates: true}]\n"),
    "labels-in-fields": everything(
        "labels:\n- pairs: {app: shop}\n  fields:\n  - {path: spec/selector, kind: Service, create: true}\n"
    ),
    "image-tag": everything('images: [{name: nginx, newTag: "2"}]\n'),
    "image-name": everything("images: [{name: nginx, newName: other/nginx}]\n"),
    "image-digest": everything('images: [{name: nginx, digest: "sha256:def"}]\n'),
    "image-with-port": everything(
        'images: [{name: "registry.local:5000/nginx", newName: mirror/nginx, newTag: v3}]\n'
    ),
    "images-twice": everything("images: [{name: nginx, newName: a}, {name: a, newTag: b}, {name: busybox, newTag: c}]\n"),
    "image-tag-and-digest": everything('images: [{name: nginx, newTag: "2", digest: "sha256:def"}]\n'),
    "image-tag-suffix": everything('images: [{name: nginx, tagSuffix: "-arm"}]\n'),
    "replicas": everything("replicas: [{name: web, count: 4}]\n"),
    "replicas-after-prefix": everything("namePrefix: p-\nreplicas: [{name: web, count: 0}]\n"),
    "config-literals": small(
        "configMapGenerator:\n- name: g\n  literals: [a=1, 'b=\"two\"', \"c='x'\", d=, e=f=g]\n"
    ),
    "config-html": small("configMapGenerator:\n- name: g\n  literals: ['a=<b>&\"c\"', 'u=ü\u2028']\n"),
    "config-files": small(
        "configMapGenerator:\n- name: g\n  files: [a.txt, key=conf/b.ini]\n",
        a_txt="one\ntwo\n", conf__b_ini="[x]\n\ty=z\n",
    ),
    "config-envs": small(
        "configMapGenerator:\n- name: g\n  envs: [a.env]\n  env: b.env\n",
        a_env="# comment\n\nA=1\n  B=two words\nC=\n", b_env="D=x=y\r\nE='q'\n",
    ),
    "config-options": small(
        "configMapGenerator:\n- name: g\n  literals: [a=1]\n"
        "  options: {disableNameSuffixHash: true, labels: {l: x}, annotations: {note: why}, immutable: true}\n"
    ),
    "generator-options": small(
        "generatorOptions: {labels: {l: g, m: g}, annotations: {note: g}}\n"
        "configMapGenerator:\n- name: g\n  literals: [a=1]\n  options: {labels: {l: own}}\n"
        "secretGenerator:\n- {name: s, literals: [a=1]}\n"
    ),
    "generator-options-no-hash": small(
        "generatorOptions: {disableNameSuffixHash: true, immutable: true}\n"
        "configMapGenerator: [{name: g, literals: [a=1]}]\nsecretGenerator: [{name: s, literals: [a=1]}]\n"
    ),
    "config-empty": small("configMapGenerator: [{name: g}]\nsecretGenerator: [{name: s}]\n"),
    "secret-types": small(
        "secretGenerator:\n- {name: t, type: kubernetes.io/tls, files: [tls.crt=a.txt, tls.key=a.txt]}\n"
        "- {name: s, namespace: other, literals: [a=1]}\n",
        a_txt="x" * 200,
    ),
    "secret-long-lines": small(
        "secretGenerator:\n- name: s\n  files: [a.txt, b.txt, c.txt]\n",
        a_txt="y" * 51, b_txt="z" * 52, c_txt="w" * 53,
    ),
    "generated-and-referred": Case({**ALL, "kustomization.yaml": GENERATED}),
    "generated-prefix-namespace": Case(
        {**ALL, "kustomization.yaml": GENERATED + "namePrefix: p-\nnamespace: prod\n"}
    ),
    "patch-env": changed(RC + "      containers:\n      - name: main\n        env:\n"
        "        - {name: A, value: new}\n        - {name: Z, value: z}\n"),
    "patch-adds-container": changed(RC + "      containers:\n      - {name: third, image: x}\n"
        "      - {name: fourth, image: four}\n"),
    "patch-deletes-container": changed(RC + "      containers:\n      - {name: side, $patch: delete}\n"),
    "patch-replaces-list": changed(RC + "      containers:\n      - $patch: replace\n"
        "      - {name: only, image: x}\n"),
    "patch-replaces-map": changed("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
        "spec:\n  selector: {$patch: replace, run: other}\n"),
    "patch-deletes-map": changed("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cfg}\n"
        "data: {$patch: delete}\n"),
    "patch-null": changed("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cfg, labels: null}\n"
        "data: {b: null, d: x}\n"),
    "patch-ports": changed(RC + "      containers:\n      - name: main\n        ports:\n"
        "        - {containerPort: 80, protocol: UDP, name: h3}\n        - {containerPort: 443, protocol: TCP}\n"),
    "patch-service-ports": changed("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
        "spec: {ports: [{port: 81, protocol: TCP, targetPort: 8081}, {port: 82}]}\n"),
    "patch-replaces-short-items": changed("apiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
                                         "spec: {ports: [{$patch: replace}, {port: 9}]}\n"),
    "patch-volumes": changed(RC + "      volumes:\n      - {name: conf, emptyDir: {}, configMap: null}\n"
        "      - {name: tmp, emptyDir: {}}\n      tolerations: [{key: why, operator: Exists}]\n"),
    "patch-atomic-lists": changed("apiVersion: v1\nkind: Pod\nmetadata: {name: lone}\nspec:\n"
        "  tolerations: [{key: why, operator: Exists}]\n  containers: [{name: main, command: [c]}]\n"),
    "patch-deletes-object": changed("apiVersion: v1\nkind: Secret\nmetadata: {name: sec}\n$patch: delete\n"),
    "patch-two-documents": changed("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: cfg}\ndata: {x: why}\n---\n"
        "apiVersion: v1\nkind: Secret\nmetadata: {name: sec}\nstringData: {x: why}\n"),
    "patch-target-kind": changed("metadata: {name: any, labels: {hit: yes-it-is}}\nkind: any\napiVersion: v1\n",
        ", target: {kind: ConfigMap|Secret}"),
    "patch-target-labels": changed("- {op: add, path: /metadata/annotations, value: {hit: x}}\n",
        ", target: {labelSelector: 'tier in (front, x),!none'}"),
    "patch-target-annotations": changed("- {op: replace, path: /metadata/annotations/a, value: x}\n",
        ", target: {annotationSelector: a=b}"),
    "patch-renames": changed("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: renamed}\n",
        ", target: {kind: ConfigMap, name: cfg}, options: {allowNameChange: true}"),
    "patch-strategic-inline": everything("patchesStrategicMerge:\n- |-\n  apiVersion: v1\n  kind: ConfigMap\n"
        "  metadata: {name: cfg}\n  data: {in: line}\n"),
    "json-patch": changed("- {op: replace, path: /spec/replicas, value: 7}\n"
        "- {op: add, path: /spec/template/spec/containers/-, value: {name: more, image: z}}\n"
        "- {op: remove, path: /spec/template/spec/containers/0}\n"
        "- {op: add, path: /metadata/annotations, value: {a~1b: c}}\n"
        "- {op: test, path: /spec/replicas, value: 7}\n- {op: copy, from: /spec/replicas, path: /spec/minReadySeconds}\n"
        "- {op: move, from: /spec/minReadySeconds, path: /spec/template/spec/activeDeadlineSeconds}\n",
        ", target: {kind: ReplicationController, name: web}"),
    "json-patch-in-json": everything("patches:\n- target: {kind: ConfigMap}\n"
        '  patch: \'[{"op": "add", "path": "/data/new", "value": "x"}]\'\n'),
    "json-patch-6902": everything("patchesJson6902:\n- target: {version: v1, kind: ConfigMap, name: cfg}\n"
        "  patch: |-\n    - op: replace\n      path: /data/b\n      value: changed\n"),
    "overlay": overlay("resources: [../base]\nnamePrefix: o-\nnamespace: prod\n"),
    "overlay-bases": overlay("bases: [../base]\nnameSuffix: -x\n"),
    "overlay-merge": overlay("resources: [../base]\nconfigMapGenerator:\n"
        "- {name: cfg, behavior: merge, literals: [b=2, n=3]}\n"),
    "overlay-replace": overlay("resources: [../base]\nsecretGenerator:\n"
        "- {name: sec, behavior: replace, literals: [n=3]}\nconfigMapGenerator: [{name: more, literals: [a=b]}]\n"),
    "overlay-merge-after-prefix": overlay("resources: [../base]\nnamePrefix: o-\nconfigMapGenerator:\n"
        "- {name: cfg, behavior: merge, literals: [b=2]}\n", GENERATED + "namePrefix: b-\nnamespace: prod\n"),
    "overlay-patch-old-name": overlay("resources: [../base]\npatches: [{path: p.yaml}]\n",
        GENERATED + "namePrefix: b-\n", over__p_yaml="apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: None}\n"),
    "overlay-patch-new-name": overlay("resources: [../base]\npatches: [{path: p.yaml}]\n",
        GENERATED + "namePrefix: b-\n", over__p_yaml="apiVersion: v1\nkind: Service\nmetadata: {name: b-web}\nspec: {clusterIP: None}\n"),
    "overlay-merge-into-a-file": overlay("resources: [../base]\nconfigMapGenerator:\n"
                                          "- {name: cfg, behavior: merge, literals: [b=9]}\n", LISTED + "namePrefix: p-\n"),
    "overlay-replace-without-hash": overlay("resources: [../base]\nconfigMapGenerator:\n"
                                             "- {name: cfg, behavior: replace, literals: [b=9]}\n",
                                             GENERATED + "generatorOptions: {disableNameSuffixHash: true}\n"),
    "labels-and-common-labels": everything("commonLabels: {app: last}\nlabels: [{pairs: {app: first}, includeSelectors: true}]\n"),
    "two-layers-one-base": Case({
        **{f"base/{name}": text for name, text in ALL.items()}, "base/kustomization.yaml": GENERATED,
        "a/kustomization.yaml": "resources: [../base]\nnamePrefix: a-\n",
        "b/kustomization.yaml": "resources: [../base]\nnamePrefix: b-\n",
        "kustomization.yaml": "resources: [a, b]\nnamePrefix: top-\nimages: [{name: nginx, newTag: t}]\n"}),
    "component": overlay("resources: [../base]\ncomponents: [../comp]\nnamePrefix: o-\n",
        comp__kustomization_yaml="apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
        "patches: [{path: p.yaml}]\nconfigMapGenerator: [{name: cfg, behavior: merge, literals: [z=9]}]\n"
        "commonAnnotations: {by: component}\nresources: [extra.yaml]\n",
        comp__p_yaml="apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {type: NodePort}\n",
        comp__extra_yaml="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: extra}\n"),
    "two-components": overlay("resources: [../base]\ncomponents: [../c1, ../c2]\n",
        c1__kustomization_yaml="apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: one-\n",
        c2__kustomization_yaml="apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnameSuffix: -two\n"),
    "overlay-labels": overlay("resources: [../base]\ncommonLabels: {env: prod}\n", GENERATED + "commonLabels: {env: base, app: x}\n"),
    "kinds-unknown-here": small("resources: [d.yaml]\nnamespace: ns\nnamePrefix: p-\ncommonAnnotations: {a: b}\n",
        d_yaml="apiVersion: example.org/v1\nkind: Thing\nmetadata: {name: t}\nspec: {containers: [{image: nginx}]}\n"),
    "yaml-words": small("resources: [y.yaml]\ncommonAnnotations: {a: 'true', b: '1', c: 'null', d: 'yes'}\n",
        y_yaml="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: words}\ndata:\n  a: 'on'\n  b: \"0755\"\n  c: |\n    x\n    y\n"),
    "anchors": small("resources: [y.yaml]\nnamePrefix: p-\n",
        y_yaml="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: anchored, labels: &l {a: b}, annotations: *l}\n"),
}  # fmt: skip

REFUSED: dict[str, Case] = {
    "empty": small(""),
    "unknown-field": small("resource: [cfg.yaml]\n"),
    "no-file": small("resources: [none.yaml]\n"),
    "no-folder": small("resources: [../none]\n"),
    "cycle": Case({"a/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": "resources: [../a]\n"}, "a"),
    "file-outside": Case({"x.yaml": CONFIG, "a/kustomization.yaml": "resources: [../x.yaml]\n"}, "a"),
    "twice": small("resources: [cfg.yaml, again.yaml]\n", again_yaml=CONFIG),
    "patch-for-none": everything("patches: [{path: p.yaml}]\n", p_yaml="apiVersion: v1\nkind: Pod\nmetadata: {name: no}\n"),
    "json-patch-does-not-fit": changed("- {op: remove, path: /data/none}\n", ", target: {kind: ConfigMap}"),
    "create-over-a-renamed-one": overlay("resources: [../base]\nconfigMapGenerator: [{name: cfg, literals: [b=9]}]\n",
                                          GENERATED + "namePrefix: p-\n"),
    "merge-with-none": small("configMapGenerator: [{name: n, behavior: merge, literals: [a=b]}]\n"),
    "literal-without-value": small("configMapGenerator: [{name: n, literals: [a]}]\n"),
    "key-twice": small("configMapGenerator: [{name: n, literals: [a=1, a=2]}]\n"),
    "generator-file-missing": small("configMapGenerator: [{name: n, files: [none.txt]}]\n"),
    "replicas-of-none": small("resources: [cfg.yaml]\nreplicas: [{name: none, count: 1}]\n"),
    "component-as-resource": overlay("resources: [../c]\n", c__kustomization_yaml="kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\n"),
    "two-files": Case({"kustomization.yaml": "namePrefix: a\n", "kustomization.yml": "namePrefix: b\n"}),
    "component-is-none": overlay("components: [../base]\n"),
    "no-name": small("resources: [n.yaml]\n", n_yaml="apiVersion: v1\nkind: ConfigMap\n"),
    "path-and-patch": everything("patches: [{path: p.yaml, patch: 'x: y'}]\n", p_yaml="a: b\n"),
}  # fmt: skip
