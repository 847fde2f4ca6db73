"""
The kubelets: what happens to a pod once it has a node.

Pulling, starting, becoming ready, completing, stopping. How a container dies and comes back is in `restarts`.
"""

from collections.abc import Callable

from simulator.world.cluster import Cluster, Object
from simulator.world.events import Recorder
from simulator.world.fates import Fate, fate_of
from simulator.world.naming import hexadecimal
from simulator.world.pods import Pods
from simulator.world.podstatus import Container, pod_status, running, terminated, waiting
from simulator.world.registry import PodRecord
from simulator.world.reported import first_container_of

Stage = Callable[[PodRecord], None]


class Kubelet:
    """All kubelets of the cluster: each acts only while its node is alive."""

    def __init__(self, cluster: Cluster, recorder: Recorder, pods: Pods) -> None:
        self.cluster = cluster
        self._recorder = recorder
        self._pods = pods
        self.started: list[Callable[[PodRecord, Fate], None]] = []
        """Called when a container runs, with what will become of it."""

    def start(self, record: PodRecord) -> None:
        """Take a pod that was just bound."""
        self.later(record, (0.2, 0.8), self._prepare)

    def later(self, record: PodRecord, delay: tuple[float, float], stage: Stage) -> None:
        """Do *stage* after a random delay in seconds, unless the pod, its node or its container's life ended before."""
        life = record.life

        def act() -> None:
            if record.life == life and self.can_act(record):
                stage(record)

        self.cluster.after(self.cluster.between(*delay), act)

    def can_act(self, record: PodRecord) -> bool:
        """Tell whether the pod is there and its kubelet alive."""
        node = self.cluster.registry.nodes.get(record.node)
        return self.cluster.registry.pods.get(record.key) is record and node is not None and node.is_alive

    def say(self, record: PodRecord, reason: str, message: str, *, warning: bool = False) -> None:
        """Post an Event about the pod's container."""
        about = {"metadata": {"name": record.name, "namespace": record.namespace, "uid": record.uid}}
        self._recorder.post(
            "kubelet",
            about,
            reason,
            message,
            kind="Pod",
            warning=warning,
            host=record.node,
            field_path="spec.containers{app}",
        )

    def get(self, record: PodRecord) -> Object | None:
        """Return the pod's object, if it still is the same pod."""
        pod = self.cluster.get("pods", record.namespace, record.name)
        return pod if pod is not None and pod["metadata"]["uid"] == record.uid else None

    def report(self, record: PodRecord, container: Container, *, phase: str = "Running") -> None:
        """Write the pod's status and tell the controllers if what they look at changed."""
        pod = self.get(record)
        if pod is None:
            return
        node = self.cluster.registry.nodes[record.node]
        pod_ip = pod.get("status", {}).get("podIP", "")
        if not pod_ip and phase == "Running":
            pod_ip = node.new_pod_address()
        status = pod_status(pod, container, phase=phase, now=self.cluster.stamp, host_ip=node.address, pod_ip=pod_ip)
        self.cluster.write_status("pods", pod, status, "kubelet")
        record.address = pod_ip
        before = (record.phase, record.is_ready)
        record.phase, record.is_ready, record.restarts = phase, container.is_ready, container.restarts
        if before != (phase, container.is_ready):
            self._pods.notify(record)

    def run(self, record: PodRecord, last_state: Object | None = None) -> None:
        """Start the container: it runs, is not ready yet, and its fate takes its course."""
        pod = self.get(record)
        if pod is None:
            return
        image = pod["spec"]["containers"][0]["image"]
        if record.restarts:
            self.say(record, "Pulled", f'Container image "{image}" already present on machine')
        self.say(record, "Created", "Created container: app")
        self.say(record, "Started", "Started container app")
        container = Container(
            state=running(self.cluster.stamp),
            last_state=last_state or {},
            is_started=True,
            restarts=record.restarts,
            container_id=self._new_container_id(),
        )
        self.report(record, container)
        fate = fate_of(self.cluster, pod)
        if record.owner_kind == "Job":
            self.later(record, (4, 12), self.finish_job)
        elif fate is Fate.HEALTHY:
            self.later(record, (2, 6), self.become_ready)
        for listener in self.started:
            listener(record, fate)

    def become_ready(self, record: PodRecord) -> None:
        """Report the pod ready: its probe answered."""
        self.set_ready(record, is_ready=True)

    def set_ready(self, record: PodRecord, *, is_ready: bool) -> None:
        """Change readiness and nothing else."""
        container = self.container(record)
        if container is not None and "running" in container.state:
            self.report(
                record,
                Container(
                    state=container.state,
                    last_state=container.last_state,
                    is_ready=is_ready,
                    is_started=True,
                    restarts=container.restarts,
                    container_id=container.container_id,
                ),
            )

    def container(self, record: PodRecord) -> Container | None:
        """Return the container as last reported, whoever did: a client may have left out whatever it likes."""
        pod = self.get(record)
        status = first_container_of(pod.get("status") or {}) if pod is not None else None
        if status is None:
            return None
        return Container(
            state=status.get("state") or waiting("ContainerCreating"),
            last_state=status.get("lastState") or {},
            is_ready=bool(status.get("ready")),
            is_started=bool(status.get("started")),
            restarts=status.get("restartCount") or 0,
            container_id=status.get("containerID") or "",
        )

    def stop(self, record: PodRecord) -> None:
        """Take a pod that was told to go."""
        self.later(record, (0.1, 0.5), self._kill)

    def end_of(self, container: Container, *, exit_code: int, reason: str) -> Object:
        """Return the terminated state that follows the running state of *container*."""
        return terminated(
            exit_code=exit_code,
            reason=reason,
            started_at=(container.state.get("running") or {}).get("startedAt", self.cluster.stamp),
            finished_at=self.cluster.stamp,
            container_id=container.container_id,
        )

    def _new_container_id(self) -> str:
        return f"containerd://{hexadecimal(self.cluster.rng, 64)}"

    def _prepare(self, record: PodRecord) -> None:
        self.report(record, Container(state=waiting("ContainerCreating")), phase="Pending")
        pod = self.get(record)
        if pod is not None:
            self.say(record, "Pulling", f'Pulling image "{pod["spec"]["containers"][0]["image"]}"')
            self.later(record, (0.8, 3.0), self.pull)

    def pull(self, record: PodRecord) -> None:
        """Pull the image; run if it is there."""
        pod = self.get(record)
        if pod is None:
            return
        image = pod["spec"]["containers"][0]["image"]
        if fate_of(self.cluster, pod) is Fate.UNPULLABLE:
            self._fail_pull(record, image)
            return
        millis = self.cluster.rng.randint(700, 2900)
        self.say(
            record,
            "Pulled",
            f'Successfully pulled image "{image}" in {millis}ms ({millis}ms including waiting). '
            f"Image size: {millis * 21013} bytes.",
        )
        self.run(record)

    def _fail_pull(self, record: PodRecord, image: str) -> None:
        cause = f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": {image}: not found'
        message = f'Failed to pull image "{image}": rpc error: code = NotFound desc = {cause}'
        self.say(record, "Failed", message, warning=True)
        self.say(record, "Failed", "Error: ErrImagePull", warning=True)
        self.report(record, Container(state=waiting("ErrImagePull", message[27 + len(image) :])), phase="Pending")
        self.later(record, (2, 4), lambda pod: self._back_off_pull(pod, image, 10.0))

    def _back_off_pull(self, record: PodRecord, image: str, seconds: float) -> None:
        back_off = f'Back-off pulling image "{image}"'
        self.say(record, "BackOff", back_off)
        self.say(record, "Failed", "Error: ImagePullBackOff", warning=True)
        self.report(record, Container(state=waiting("ImagePullBackOff", back_off)), phase="Pending")

        def retry(pod: PodRecord) -> None:
            self.say(pod, "Pulling", f'Pulling image "{image}"')
            self.pull(pod)

        self.later(record, (seconds, seconds * 1.2), retry)

    def finish_job(self, record: PodRecord) -> None:
        """End the program of a Job's pod, well or badly."""
        pod = self.get(record)
        if pod is None:
            return
        if fate_of(self.cluster, pod) is Fate.CRASHING:
            self._end_job(record, exit_code=1, reason="Error", phase="Failed")
        else:
            self._end_job(record, exit_code=0, reason="Completed", phase="Succeeded")

    def _end_job(self, record: PodRecord, *, exit_code: int, reason: str, phase: str) -> None:
        container = self.container(record)
        if container is not None:
            record.life += 1
            self._report_end(record, container, exit_code=exit_code, reason=reason, phase=phase)

    def _report_end(self, record: PodRecord, container: Container, *, exit_code: int, reason: str, phase: str) -> None:
        ended = Container(
            state=self.end_of(container, exit_code=exit_code, reason=reason),
            last_state=container.last_state,
            restarts=container.restarts,
            container_id=container.container_id,
        )
        self.report(record, ended, phase=phase)

    def _kill(self, record: PodRecord) -> None:
        container = self.container(record)
        if container is not None and "running" in container.state:
            self.say(record, "Killing", "Stopping container app")
            self.later(record, (0.5, 5), self._release)
        else:
            self.later(record, (0.1, 0.5), self._pods.remove)

    def _release(self, record: PodRecord) -> None:
        container = self.container(record)
        if container is not None and "running" in container.state:
            # 143 is SIGTERM unhandled; most programs handle it.
            is_clean = self.cluster.rng.random() < 0.8
            self._report_end(
                record,
                container,
                exit_code=0 if is_clean else 143,
                reason="Completed" if is_clean else "Error",
                phase="Succeeded" if is_clean else "Failed",
            )
        self.later(record, (0.1, 0.4), self._pods.remove)
