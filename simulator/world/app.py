"""
The small living cluster: the one place that knows every controller.

`step` does what is due, in one order for one seed; `run` does the same in real time without holding up the loop.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog

from simulator.errors import StoreRefused
from simulator.etcd import Etcd
from simulator.versions import ADDED, DELETED, Event
from simulator.world.autoscaling import Autoscalers
from simulator.world.background import Background
from simulator.world.cluster import Cluster
from simulator.world.deployments import Deployments
from simulator.world.director import Director
from simulator.world.disruption import Disruption
from simulator.world.edits import Stage, Target
from simulator.world.endpoints import Endpoints
from simulator.world.events import Recorder
from simulator.world.fargate import Fargate
from simulator.world.jobs import Jobs
from simulator.world.kubelet import Kubelet
from simulator.world.nodelife import NodeLife
from simulator.world.pods import Pods
from simulator.world.population import Population
from simulator.world.registry import PodRecord, record_of
from simulator.world.replicasets import ReplicaSets
from simulator.world.restarts import Restarts
from simulator.world.scheduler import Scheduler
from simulator.world.sets import Sets
from simulator.world.stories import STORIES

_LOG = structlog.get_logger()
# Below the 20 ms that a loop may stall, with room for the longest single action.
_SLICE_SECONDS = 0.008
_LONGEST_SLEEP_SECONDS = 0.25
# A clock that is this far ahead has jumped (a laptop slept): what waited goes on waiting.
_JUMP_SECONDS = 30.0


class World:
    """
    The controllers, kubelets and people of one pretend cluster, acting on *etcd*.

    *nodes*, *fargate_nodes* and *pods* are what `populate` makes; *pods* counts all, with at least one for each
    application. *pace* is
    how many of the cluster's seconds pass in one of *clock*'s (seconds since 1970). In the cluster's seconds:
    *event_ttl_seconds*, the API server's --event-ttl, and *story_pause_seconds*, least and most between two stories.
    Not for several loops or threads.
    """

    def __init__(
        self,
        etcd: Etcd,
        *,
        nodes: int = 20,
        fargate_nodes: int = 0,
        pods: int = 300,
        seed: int = 1,
        pace: float = 1.0,
        event_ttl_seconds: float = 3600.0,
        story_pause_seconds: tuple[float, float] = (3.0, 7.0),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._etcd = etcd
        self._clock = clock
        self._size = (nodes, fargate_nodes, pods)
        self._is_stale = False
        self._has_scenario = True
        self.cluster = cluster = Cluster(etcd, seed=seed, pace=pace, now=clock())
        self._recorder = recorder = Recorder(cluster, ttl_seconds=event_ttl_seconds)
        self.pods = Pods(cluster)
        self._node_life = NodeLife(cluster, recorder, self.pods)
        self._fargate = Fargate(cluster, self._node_life)
        self._scheduler = Scheduler(cluster, recorder, self._fargate)
        kubelet = Kubelet(cluster, recorder, self.pods)
        self._restarts = Restarts(kubelet)
        self._replica_sets = ReplicaSets(cluster, recorder, self.pods)
        self.deployments = Deployments(cluster, recorder, self._replica_sets)
        self._sets = Sets(cluster, recorder, self.pods)
        self._jobs = Jobs(cluster, recorder, self.pods)
        self._endpoints = Endpoints(cluster)
        self._disruption = Disruption(cluster)
        autoscalers = Autoscalers(cluster, recorder, self.deployments)
        self._background = Background(cluster, autoscalers)
        stage = Stage(
            cluster=cluster,
            pods=self.pods,
            restarts=self._restarts,
            deployments=self.deployments,
            autoscalers=autoscalers,
            jobs=self._jobs,
            node_life=self._node_life,
        )
        self.director = Director(stage, pause_seconds=story_pause_seconds)
        self._connect(kubelet)

    def populate(self, *, scenario: bool = True) -> None:
        """
        Fill an empty store, or take up what an earlier run left in it; then let it live.

        Without *scenario* no story begins by itself, only by `play`.
        """
        if not self._etcd.list("nodes"):
            nodes, fargate_nodes, pods = self._size
            Population(
                self.cluster,
                deployments=self.deployments,
                replica_sets=self._replica_sets,
                endpoints=self._endpoints,
                fargate=self._fargate,
                nodes=nodes,
                fargate_nodes=fargate_nodes,
                pods=pods,
            ).write()
        self._has_scenario = scenario
        self._adopt()

    def step(self, now: float) -> None:
        """Do everything that is due at *now* (seconds since 1970), each at its own time, in order."""
        self._work(now, float("inf"))
        self.cluster.now = max(self.cluster.now, now)

    def play(self, story: str) -> Target | None:
        """Begin a story of `STORIES` now; return its target, None when none is free. KeyError: no such story."""
        return self.director.play(story)

    @property
    def stories(self) -> tuple[str, ...]:
        """The names that `play` knows."""
        return tuple(STORIES)

    async def run(self) -> None:
        """Live in real time until cancelled."""
        while True:
            now = self._clock()
            if now - self.cluster.now > _JUMP_SECONDS and not self._is_stale:
                self.cluster.agenda.delay_all(now - self.cluster.now)
                self.cluster.now = now
            if self._work(now, time.perf_counter() + _SLICE_SECONDS):
                await asyncio.sleep(0)
                continue
            self.cluster.now = max(self.cluster.now, now)
            due = self.cluster.agenda.next_due
            wait = _LONGEST_SLEEP_SECONDS if due is None else due - self._clock()
            await asyncio.sleep(min(_LONGEST_SLEEP_SECONDS, max(0.001, wait)))

    def _work(self, now: float, until: float) -> bool:
        """Do what is due until the performance counter says *until*; tell whether something is left."""
        if self._is_stale:
            self._adopt()
        while (entry := self.cluster.agenda.pop_due(now)) is not None:
            due, action = entry
            self.cluster.now = max(self.cluster.now, due)
            try:
                action()
            except StoreRefused as error:
                # Somebody else wrote: as for the real controllers, the next look puts it right.
                _LOG.debug("simulator.write_refused", error=str(error))
            if time.perf_counter() > until:
                return True
        return False

    def _connect(self, kubelet: Kubelet) -> None:
        """Tell everybody whom to listen to."""
        self.pods.created.append(self._scheduler.enqueue)
        self._scheduler.bound.append(kubelet.start)
        self.pods.stopping.append(kubelet.stop)
        for listener in (
            self._replica_sets.pod_changed,
            self._sets.pod_changed,
            self._jobs.pod_changed,
            self._endpoints.pod_changed,
            self._disruption.pod_changed,
            self._restarts.forget,
            self._fargate.pod_changed,
        ):
            self.pods.changed.append(listener)
        self._node_life.membership_changed.append(self._sets.nodes_changed)
        self._node_life.resumed.append(self._restarts.adopt)
        self._etcd.subscribe(self._observe)
        self._etcd.on_restore(self._mark_stale)

    def _adopt(self) -> None:
        """Begin from what the store holds: at the start, and when it went back to an older state."""
        self._is_stale = False
        cluster = self.cluster
        cluster.now = max(cluster.now, self._clock())
        cluster.agenda.clear()
        cluster.registry.clear()
        self._recorder.adopt()
        self._node_life.adopt()
        for pod in cluster.list_whole("pods"):
            cluster.registry.add(record_of(pod))
        for record in list(cluster.registry.pods.values()):
            self._take_up(record)
        for controller in (self.deployments, self._sets, self._jobs, self._endpoints, self._disruption):
            controller.adopt()
        self._background.adopt()
        self.director.adopt()
        if self._has_scenario:
            self.director.run_on()

    def _take_up(self, record: PodRecord) -> None:
        if record.node:
            self._restarts.adopt(record)
        elif record.is_terminating:
            self.pods.remove(record)
        else:
            self._scheduler.enqueue(record)

    def _mark_stale(self) -> None:
        self._is_stale = True

    def _observe(self, events: Sequence[Event], _: int) -> None:
        """Notice what others wrote: pods and nodes that come and go, new DaemonSets, Deployments changed or deleted."""
        for event in events:
            version = event.version
            match version.resource.plural:
                case "pods":
                    self._observe_pod(event)
                case "nodes":
                    self._observe_node(event)
                case "daemonsets" if event.type == ADDED:
                    self._sets.daemon_set_seen(version.namespace, version.name)
                case "deployments" if event.type == DELETED:
                    self.deployments.collect(version.namespace, version.name)
                case "deployments":
                    self.deployments.enqueue(version.namespace, version.name)

    def _observe_node(self, event: Event) -> None:
        name = event.version.name
        if event.type == ADDED:
            self.cluster.after(0.1, lambda: self._node_life.meet(name), ("meet-node", name))
        elif event.type == DELETED:
            self._node_life.forget(name)

    def _observe_pod(self, event: Event) -> None:
        key, uid = event.version.key, event.version.uid
        if event.type == ADDED:
            self.cluster.after(1, lambda: self._meet(key), ("meet", uid))
        elif event.type == DELETED:
            record = self.cluster.registry.pods.get(key)
            if record is not None and record.uid == uid:
                self.pods.forget(record)

    def _meet(self, key: tuple[str, str]) -> None:
        """Take up a pod that none of our controllers made."""
        if key not in self.cluster.registry.pods:
            pod = self.cluster.get("pods", *key)
            if pod is not None:
                record = record_of(pod)
                self.cluster.registry.add(record)
                self._take_up(record)
