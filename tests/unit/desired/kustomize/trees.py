"""The trees of files that kustomizations are tried on, and how a case lays one out."""

# ruff: noqa: E501 - a case is a small table, read across

from __future__ import annotations

from typing import NamedTuple


class Case(NamedTuple):
    files: dict[str, str]
    folder: str = ""


WEB = """\
apiVersion: v1
kind: ReplicationController
metadata:
  name: web
  labels: {tier: front}
spec:
  replicas: 1
  selector: {run: web}
  template:
    metadata:
      labels: {run: web}
    spec:
      serviceAccountName: runner
      initContainers:
      - name: init
        image: busybox
      containers:
      - name: main
        image: registry.local:5000/nginx:1.25@sha256:abc
        ports:
        - {containerPort: 80, protocol: TCP, name: http}
        - {containerPort: 80, protocol: UDP, name: quic}
        env:
        - {name: A, value: "1"}
        - name: B
          valueFrom: {configMapKeyRef: {name: cfg, key: b}}
        - name: C
          valueFrom: {secretKeyRef: {name: sec, key: c}}
        envFrom:
        - configMapRef: {name: cfg}
        - secretRef: {name: sec}
        volumeMounts:
        - {name: data, mountPath: /data}
      - name: side
        image: nginx:1.25
      volumes:
      - name: data
        persistentVolumeClaim: {claimName: data}
      - name: conf
        configMap: {name: cfg}
      - name: keys
        secret: {secretName: sec}
      - name: both
        projected:
          sources:
          - configMap: {name: cfg}
          - secret: {name: sec}
      imagePullSecrets:
      - name: sec
"""
POD = """\
apiVersion: v1
kind: Pod
metadata: {name: lone, annotations: {a: b}}
spec:
  serviceAccountName: runner
  containers:
  - {name: main, image: nginx, envFrom: [{configMapRef: {name: cfg}}], command: [a, b]}
  volumes:
  - {name: v, secret: {secretName: sec}}
  tolerations:
  - {key: x, operator: Exists}
"""
REST = """\
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {run: web}
  ports: [{name: http, port: 80}, {name: alt, port: 81}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: runner}
imagePullSecrets: [{name: sec}]
secrets: [{name: sec}]
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec:
  accessModes: [ReadWriteOnce]
  volumeName: disk
  resources: {requests: {storage: 1Gi}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: disk}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteOnce]
  hostPath: {path: /data}
"""
NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: team}\n"
CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: cfg, labels: {keep: me}}
data: {b: "1", c: "2"}
"""
HIDDEN = "apiVersion: v1\nkind: Secret\nmetadata: {name: sec}\nstringData: {c: x}\n"
ALL = {"web.yaml": WEB, "pod.yaml": POD, "rest.yaml": REST, "cfg.yaml": CONFIG, "sec.yaml": HIDDEN}
LISTED = "resources: [web.yaml, pod.yaml, rest.yaml, cfg.yaml, sec.yaml]\n"
GENERATED = """\
resources: [web.yaml, pod.yaml, rest.yaml]
configMapGenerator: [{name: cfg, literals: [b=1]}]
secretGenerator: [{name: sec, literals: [c=x]}]
"""


def everything(more: str, **files: str) -> Case:
    named = {name.replace("__", "/").replace("_", "."): text for name, text in files.items()}
    return Case({**ALL, **named, "kustomization.yaml": LISTED + more})


def small(kustomization: str, **files: str) -> Case:
    named = {name.replace("__", "/").replace("_", "."): text for name, text in files.items()}
    return Case({"cfg.yaml": CONFIG, **named, "kustomization.yaml": kustomization})


def overlay(kustomization: str, base: str = GENERATED, **files: str) -> Case:
    named = {name.replace("__", "/").replace("_", "."): text for name, text in files.items()}
    inner = {f"base/{name}": text for name, text in ALL.items()}
    return Case(
        {
            **inner,
            "base/kustomization.yaml": base,
            **named,
            "over/kustomization.yaml": kustomization,
        },
        "over",
    )


def changed(patch: str, more: str = "") -> Case:
    return everything(f"patches: [{{path: p.yaml{more}}}]\n", p_yaml=patch)


RC = "apiVersion: v1\nkind: ReplicationController\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n"
