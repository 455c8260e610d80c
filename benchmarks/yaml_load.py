"""How fast manifests are read, against `yaml.load` with CSafeLoader on the same text.

Run: `.venv/bin/python benchmarks/yaml_load.py [COUNT]`. Ratios are of one run, best of three.
"""

from __future__ import annotations

import gc
import sys
import time
from collections.abc import Callable

import yaml

from reconciler.desired.limits import ReadLimits
from reconciler.desired.manifest import read_file
from reconciler.desired.yaml import parse, parse_events

MANIFEST = """apiVersion: v1
kind: ReplicationController
metadata:
  name: app-{i:05d}
  namespace: team-{n:03d}
  labels:
    app: app-{i:05d}
    tier: backend
    owner: team-{n:03d}
  annotations:
    example.com/revision: "{i}"
spec:
  replicas: 3
  selector:
    app: app-{i:05d}
    tier: backend
  template:
    metadata:
      labels:
        app: app-{i:05d}
        tier: backend
    spec:
      containers:
      - name: server
        image: registry.example.com/team-{n:03d}/app:1.4.{i}
        ports:
        - containerPort: 8080
          name: http
        env:
        - name: LOG_LEVEL
          value: info
        - name: DATABASE_HOST
          value: db.team-{n:03d}.svc.cluster.local
        resources:
          requests:
            cpu: 100m
            memory: 128Mi
        readinessProbe:
          httpGet:
            path: /healthz
            port: 8080
          periodSeconds: 10
"""


def manifests(count: int) -> list[bytes]:
    """Return `count` ReplicationControllers of about 875 bytes."""
    return [MANIFEST.format(i=i, n=i % 100).encode() for i in range(count)]


def best(work: Callable[[], object], tries: int = 3) -> float:
    """Return the seconds of the fastest of `tries` runs."""
    times = []
    for _ in range(tries):
        gc.collect()
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return min(times)


def main(count: int) -> None:
    """Measure and print."""
    texts = manifests(count)
    limits = ReadLimits()
    gc.set_threshold(50_000)
    events = best(lambda: [parse_events(text, limits) for text in texts])
    admitted = best(lambda: [read_file("a.yaml", text, "default", limits) for text in texts])
    safe = best(lambda: [yaml.load(text, Loader=yaml.CSafeLoader) for text in texts])
    ours = best(lambda: [parse(text, limits) for text in texts])
    print(f"{count} manifests of {len(texts[0])} bytes")
    print(f"yaml.load(CSafeLoader)  {safe:.3f} s")
    print(f"desired.yaml.parse      {ours:.3f} s  ratio {ours / safe:.2f}  (aim 0.80)")
    print(f"libyaml's events alone  {events:.3f} s  ratio {events / safe:.2f}")
    print(f"... and admission       {admitted:.3f} s  ratio {admitted / safe:.2f}  (aim 1.00)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
