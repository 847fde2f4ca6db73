"""How a container dies and comes back: crashes, OOM kills, back-off, failing probes; and what a restart finds."""

from simulator.world.fates import Fate, fate_of
from simulator.world.kubelet import Kubelet
from simulator.world.podstatus import Container, waiting
from simulator.world.registry import PodRecord

# pkg/kubelet: the first restart is at once, then 10 s, doubled up to 5 minutes.
_FIRST_BACK_OFF_SECONDS = 10.0
_LONGEST_BACK_OFF_SECONDS = 300.0
_REMINDER_SECONDS = 12.0


class Restarts:
    """The part of the kubelets that deals with containers that do not stay up."""

    def __init__(self, kubelet: Kubelet) -> None:
        self._kubelet = kubelet
        self._crashes: dict[str, int] = {}
        kubelet.started.append(self._take_course)

    def kill(self, record: PodRecord, *, exit_code: int = 1, reason: str = "Error") -> None:
        """Let the running container end; it is restarted with the kubelet's back-off."""
        kubelet = self._kubelet
        container = kubelet.container(record) if kubelet.can_act(record) else None
        if container is None or "running" not in container.state:
            return
        record.life += 1
        self._crashes[record.uid] = self._crashes.get(record.uid, record.restarts) + 1
        ended = Container(
            state=kubelet.end_of(container, exit_code=exit_code, reason=reason),
            last_state=container.last_state,
            restarts=container.restarts,
            container_id=container.container_id,
        )
        kubelet.report(record, ended)
        kubelet.later(record, (0.5, 1.5), self._restart_or_wait)

    def notice_later(self, record: PodRecord) -> None:
        """Let the pod notice a changed ConfigMap: the kubelet syncs the volume, the application reads it again."""
        if record.node:
            self._kubelet.later(record, (2, 10), self.reconsider)

    def reconsider(self, record: PodRecord) -> None:
        """Let a running container notice that what it needs has changed (a mounted ConfigMap)."""
        pod = self._kubelet.get(record)
        if pod is not None:
            self._take_course(record, fate_of(self._kubelet.cluster, pod))

    def fail_probe(self, record: PodRecord) -> None:
        """Let the readiness probe fail for a while."""
        kubelet = self._kubelet
        if not record.is_ready or not kubelet.can_act(record):
            return
        kubelet.say(record, "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503", warning=True)
        kubelet.set_ready(record, is_ready=False)
        kubelet.later(record, (8, 20), kubelet.become_ready)

    def adopt(self, record: PodRecord) -> None:
        """Take up a pod that an earlier run of the pretend cluster, or a node that was away, left as it is."""
        kubelet = self._kubelet
        container = kubelet.container(record)
        record.life += 1
        if record.is_terminating:
            kubelet.stop(record)
        elif container is None or record.phase == "Pending":
            kubelet.start(record)
        elif record.phase != "Running":
            return
        elif "running" not in container.state:
            kubelet.later(record, (1, 10), self._restart)
        elif record.owner_kind == "Job":
            kubelet.later(record, (1, 10), kubelet.finish_job)
        else:
            if not record.is_ready:
                kubelet.later(record, (1, 5), kubelet.become_ready)
            kubelet.later(record, (5, 15), self.reconsider)

    def forget(self, record: PodRecord) -> None:
        """Drop what is remembered of a pod that is gone."""
        if self._kubelet.cluster.registry.pods.get(record.key) is not record:
            self._crashes.pop(record.uid, None)

    def _take_course(self, record: PodRecord, fate: Fate) -> None:
        if record.owner_kind == "Job":
            return
        if fate is Fate.CRASHING:
            self._kubelet.later(record, (1, 4), self.kill)
        elif fate is Fate.OUT_OF_MEMORY:
            self._kubelet.later(record, (2, 6), self._kill_for_memory)

    def _kill_for_memory(self, record: PodRecord) -> None:
        self.kill(record, exit_code=137, reason="OOMKilled")

    def _restart_or_wait(self, record: PodRecord) -> None:
        crashes = self._crashes.get(record.uid, 1)
        if crashes <= 1:
            self._restart(record)
            return
        seconds = min(_LONGEST_BACK_OFF_SECONDS, _FIRST_BACK_OFF_SECONDS * 2.0 ** (crashes - 2))
        kubelet = self._kubelet
        container = kubelet.container(record)
        if container is None:
            return
        where = f"{record.name}_{record.namespace}({record.uid})"
        message = f"back-off {_go_duration(seconds)} restarting failed container=app pod={where}"
        kubelet.report(
            record,
            Container(
                state=waiting("CrashLoopBackOff", message),
                last_state=container.state,
                restarts=container.restarts,
                container_id=container.container_id,
            ),
        )
        self._remind(record, kubelet.cluster.now + (seconds - _REMINDER_SECONDS / 2) / kubelet.cluster.pace)
        kubelet.later(record, (seconds, seconds + 1), self._restart)

    def _remind(self, record: PodRecord, until: float) -> None:
        """Each sync of the pod during the back-off posts the same Event, so that its count grows."""
        where = f"{record.name}_{record.namespace}({record.uid})"
        self._kubelet.say(record, "BackOff", f"Back-off restarting failed container app in pod {where}", warning=True)
        if self._kubelet.cluster.now < until:
            span = (_REMINDER_SECONDS, _REMINDER_SECONDS * 1.3)
            self._kubelet.later(record, span, lambda pod: self._remind(pod, until))

    def _restart(self, record: PodRecord) -> None:
        kubelet = self._kubelet
        container = kubelet.container(record)
        if container is None:
            return
        record.life += 1
        record.restarts = container.restarts + 1
        ended = container.state if "terminated" in container.state else container.last_state
        kubelet.run(record, last_state=dict(ended))


def _go_duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
