"""The bugs put in by hand, each of which the simulation must find. Data only."""

from __future__ import annotations

from tests.sim.mutant import Mutation

MUTATIONS = (
    Mutation(
        "ignore that a start may have had effect",
        "reconciler.kubelet.starter",
        "            self._cache.doubt(made)  # it may run\n            raise\n",
        "            raise\n",
    ),
    Mutation(
        "leave a half-made container in the way of the next try",
        "reconciler.kubelet.starter",
        "            await self._runtime.remove(spec.name)\n            made = ",
        "            made = ",
    ),
    Mutation(
        "forget the addresses of sandboxes that were found",
        "reconciler.kubelet.kubelet",
        "                    self._starter.adopt(container)\n",
        "                    continue\n",
    ),
    Mutation(
        "leave the folders of pods that are gone",
        "reconciler.kubelet.kubelet",
        "            await self._remove_rests(uid)\n",
        "            continue\n",
    ),
    Mutation(
        "drop the regular listing of containers",
        "reconciler.kubelet.kubelet",
        "            group.create_task(self._relist_regularly())\n",
        "",
    ),
    Mutation(
        "take no doubt from a listing",
        "reconciler.kubelet.cache",
        "        self._doubtful |= (known_before & self._pods.keys()) - listed.keys()\n",
        "",
    ),
    Mutation(
        "believe what an event said of a container's end",
        "reconciler.kubelet.cache",
        "            elif self._by_pod[pod][state.id].state.phase != state.phase:\n",
        "            elif False:\n",
    ),
    Mutation(
        "never kill what ignores SIGTERM",
        "reconciler.kubelet.ending",
        "yield end if now < end else KillContainer(container.id, container.name)",
        "yield end",
    ),
    Mutation(
        "delete the pod's object before its containers end",
        "reconciler.kubelet.plan",
        "        yield from stop_all(pod, observed, now)\n        return\n"
        "    yield from (RemoveContainer",
        "        yield from stop_all(pod, observed, now)\n        yield DeleteObject()\n"
        "        return\n    yield from (RemoveContainer",
    ),
    Mutation(
        "never delete the object of a pod that ended",
        "reconciler.kubelet.plan",
        "            yield DeleteObject()\n",
        "            return\n",
    ),
    Mutation(
        "remove dead containers but leave their sandbox",
        "reconciler.kubelet.plan",
        "    yield from (RemoveSandbox(box.id, box.address) for box in observed.sandboxes)\n"
        "    if not observed.containers and not observed.sandboxes:\n",
        "    if not observed.containers:\n",
    ),
    Mutation(
        "leave a pod in a sandbox without a network",
        "reconciler.kubelet.plan",
        "    elif live.address and not observed.linked:\n",
        "    elif False:\n",
    ),
    Mutation(
        "forget when to look at a pod again",
        "reconciler.kubelet.worker",
        "        if next_.wake is None:\n",
        "        if True:\n",
    ),
    Mutation(
        "take a wall clock set back for a young container",
        "reconciler.kubelet.prober",
        "age = max(0.0, (self._clock.now() - target.begun).total_seconds())",
        "age = (self._clock.now() - target.begun).total_seconds()",
        seed=177,
    ),
    Mutation(
        "take ready pods off their services at a restart",
        "reconciler.kubelet.prober",
        "bool(former and former.ready)",
        "False",
    ),
    Mutation(
        "give up a status that met a conflict",
        "reconciler.kubelet.reporter",
        "                pod = await self._client.get(Pod, key.name, key.namespace)\n",
        "                return\n",
    ),
    Mutation(
        "write without regard to the version that was read",
        "reconciler.store.state",
        "        if found != operation.expect or (not found and isinstance(operation, Remove)):\n",
        "        if False:\n",
    ),
    Mutation(
        "count revisions anew after a restart",
        "reconciler.store.state",
        "                self.history.append(event)\n        self._allocated = self.revision\n",
        "                self.history.append(event)\n",
    ),
    Mutation(
        "publish what never reached the disk",
        "reconciler.store.sqlite",
        "            if error is None:\n                self._dropped += ",
        "            if True:\n                self._dropped += ",
    ),
    Mutation(
        "let a write that builds on a failed one pass",
        "reconciler.store.writer",
        "        if self._error is not None:\n            late",
        "        if False:\n            late",
    ),
    Mutation(
        "give taken service addresses again after a restart",
        "reconciler.apiserver.registry.registry",
        "                strategy.adopt(self.list(model))\n",
        "                continue\n",
    ),
    Mutation(
        "remove a pod's object without its grace",
        "reconciler.apiserver.registry.deletion",
        "    gone = grace is None or not meta.deletion_grace_period_seconds\n",
        "    gone = True\n",
    ),
    Mutation(
        "say nothing of what a listing no longer has",
        "reconciler.client.informer",
        "        for name in [name for name in self._objects if name not in fresh]:\n",
        "        for name in []:\n",
    ),
    Mutation(
        "drop the informers' resync",
        "reconciler.client.informer",
        "            async with asyncio.timeout(self._resync or None):\n",
        "            async with asyncio.timeout(None):\n",
    ),
    Mutation(
        "forget a key that came while it was worked on",
        "reconciler.core.queue",
        "            self._again.add(key)\n",
        "            return\n",
    ),
    Mutation(
        "try nothing again that failed",
        "reconciler.core.queue",
        "        self.queue.add_after(key, delay)\n",
        "",
    ),
    Mutation(
        "drop what is due later",
        "reconciler.core.queue",
        "                self.queue.add_after(key, seconds)\n",
        "                return\n",
    ),
    Mutation(
        "follow a revision that has a bad file",
        "reconciler.sync.loop",
        "        if desired.problems:\n",
        "        if False:\n",
    ),
    Mutation(
        "skip the inventory",
        "reconciler.sync.live",
        "            self._owned.setdefault(owner, {})[key] = None\n",
        "            return\n",
    ),
    Mutation(
        "leave drift as it is",
        "reconciler.sync.loop",
        "            self._suspects.changed[key] = None\n",
        "            return\n",
    ),
    Mutation(
        "accept a rewritten history unasked",
        "reconciler.source.branch",
        "        if not old or old == commit.id or free:\n",
        "        if True:\n",
    ),
    Mutation(
        "plan on an informer that lags behind one's own writes",
        "reconciler.controllers.ownwrites",
        "        if not writes:\n            return list(shown)\n",
        "        return list(shown)\n",
    ),
    Mutation(
        "make one pod too many in a rollout",
        "reconciler.controllers.replication.rollout",
        "policy.surge) - total\n",
        "policy.surge) - total + 1\n",
    ),
    Mutation(
        "give up one ready pod too many in a rollout",
        "reconciler.controllers.replication.rollout",
        "    replaceable = max(ready + len(serving) - least, 0)\n",
        "    replaceable = max(ready + len(serving) - least + 1, 0)\n",
    ),
    Mutation(
        "never scale down",
        "reconciler.controllers.replication.count",
        '    return tuple(DeletePod(pod, "surplus") for pod in order[:surplus])\n',
        "    return ()\n",
    ),
    Mutation(
        "keep the pods of a controller that is gone",
        "reconciler.controllers.garbage.loop",
        "        for dependent in self._dependents(obj.metadata.uid):\n",
        "        for dependent in ():\n",
    ),
    Mutation(
        "forget the finalizer of a namespace",
        "reconciler.controllers.namespace.loop",
        '                    await self._update(namespace.replace(spec=spec), "finalize")\n',
        "                    return\n",
    ),
    Mutation(
        "keep endpoints that failed to be written once",
        "reconciler.controllers.endpoints.loop",
        "        self._written.pop(key, None)\n        self._controller.queue.add(key)\n",
        "        self._written.pop(key, None)\n",
    ),
    Mutation(
        "go on after a kernel that refused a change",
        "reconciler.proxy.loop",
        "            await self._replace()\n            return\n",
        "            return\n",
    ),
    Mutation(
        "let others' changes of the rules stand",
        "reconciler.proxy.loop",
        "                await self._replace()\n        except (OSError, ReconcilerError)",
        "                pass\n        except (OSError, ReconcilerError)",
    ),
    Mutation(
        "start with the rules as they were left",
        "reconciler.proxy.loop",
        "        await self._program(self._replace)\n",
        "        await self._program(self._apply)\n",
    ),
    Mutation(
        "hand secrets to the engine as variables",
        "reconciler.kubelet.env",
        "    def hidden(self) -> bytes:\n",
        "    def hidden(self) -> bytes:\n        return b''\n\n    def _hidden(self) -> bytes:\n",
    ),
    Mutation(
        "bind pods to a node that is silent",
        "reconciler.controllers.nodelifecycle.loop",
        "        if silence < GRACE:\n",
        "        if silence < 0.5:\n",
    ),
)
