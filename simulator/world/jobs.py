"""The CronJob and Job controllers: work that begins, ends, is tried again, and is cleared away."""

from simulator.world.cluster import Cluster, Object, copied, owner_reference
from simulator.world.events import Recorder
from simulator.world.naming import suffix, uuid
from simulator.world.pods import Pods
from simulator.world.registry import PodRecord
from simulator.world.templates import pod_of

_MANAGER = "kube-controller-manager"
_RETRY_SECONDS = 10.0


class Jobs:
    """All CronJobs and Jobs."""

    def __init__(self, cluster: Cluster, recorder: Recorder, pods: Pods) -> None:
        self._cluster = cluster
        self._recorder = recorder
        self._pods = pods
        self._retry_at: dict[str, float] = {}

    def adopt(self) -> None:
        """Take up every CronJob's schedule and every Job."""
        for cron_job in self._cluster.list_whole("cronjobs"):
            metadata = cron_job["metadata"]
            self._plan(metadata["namespace"], metadata["name"], cron_job["spec"]["schedule"])
        for job in self._cluster.list_whole("jobs"):
            self._enqueue(job["metadata"]["namespace"], job["metadata"]["name"])

    def pod_changed(self, record: PodRecord) -> None:
        """Look at the Job of a pod that changed, soon."""
        if record.owner_kind == "Job":
            self._enqueue(record.namespace, record.owner_name)

    def begin(self, namespace: str, name: str, cron_job: Object | None, template: Object, backoff_limit: int) -> Object:
        """Create a Job, of *cron_job* if given; return it."""
        identifier = uuid(self._cluster.rng)
        labels = {
            "batch.kubernetes.io/controller-uid": identifier,
            "batch.kubernetes.io/job-name": name,
            "controller-uid": identifier,
            "job-name": name,
        }
        template = copied(template)
        template["metadata"]["labels"] = {**template["metadata"].get("labels", {}), **labels}
        job: Object = {
            "kind": "Job",
            "apiVersion": "batch/v1",
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
            "spec": {
                "parallelism": 1,
                "completions": 1,
                "backoffLimit": backoff_limit,
                "selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": identifier}},
                "manualSelector": False,
                "template": template,
                "completionMode": "NonIndexed",
                "suspend": False,
                "podReplacementPolicy": "TerminatingOrFailed",
            },
            "status": {},
        }
        if cron_job is not None:
            scheduled = {"batch.kubernetes.io/cronjob-scheduled-timestamp": self._cluster.stamp}
            job["metadata"]["annotations"] = scheduled
            job["metadata"]["ownerReferences"] = [owner_reference("batch/v1", "CronJob", cron_job)]
        stored = self._cluster.create("jobs", job, _MANAGER if cron_job is not None else "kubectl-create")
        self._enqueue(namespace, name)
        return stored

    def _plan(self, namespace: str, name: str, schedule: str) -> None:
        minutes = int(schedule.split(maxsplit=1)[0].removeprefix("*/"))
        period = minutes * 60.0
        due = (self._cluster.now * self._cluster.pace) // period * period + period
        delay = max(0.0, due - self._cluster.now * self._cluster.pace)
        self._cluster.after(delay, lambda: self._tick(namespace, name, schedule), ("cronjob", namespace, name))

    def _tick(self, namespace: str, name: str, schedule: str) -> None:
        cron_job = self._cluster.get("cronjobs", namespace, name)
        if cron_job is None:
            return
        title = f"{name}-{int(self._cluster.now * self._cluster.pace / 60)}"
        spec = cron_job["spec"]["jobTemplate"]["spec"]
        if not self._cluster.exists("jobs", namespace, title):
            job = self.begin(namespace, title, cron_job, spec["template"], spec["backoffLimit"])
            self._say(cron_job, "cronjob-controller", "CronJob", "SuccessfulCreate", f"Created job {title}")
            active = {"kind": "Job", "namespace": namespace, "name": title, "uid": job["metadata"]["uid"]}
            active |= {"apiVersion": "batch/v1", "resourceVersion": job["metadata"]["resourceVersion"]}
            status = {**cron_job.get("status", {}), "lastScheduleTime": self._cluster.stamp}
            status["active"] = [*status.get("active", ()), active]
            self._cluster.write_status("cronjobs", cron_job, status, _MANAGER)
        self._cluster.after(1, lambda: self._plan(namespace, name, schedule))

    def _enqueue(self, namespace: str, name: str) -> None:
        self._cluster.after(0.3, lambda: self._sync(namespace, name), ("job", namespace, name))

    def _sync(self, namespace: str, name: str) -> None:
        job = self._cluster.get("jobs", namespace, name)
        if job is None or _is_over(job):
            return
        pods = self._cluster.registry.of_owner(job["metadata"]["uid"])
        failed = sum(pod.phase == "Failed" for pod in pods)
        succeeded = sum(pod.phase == "Succeeded" for pod in pods)
        active = [pod for pod in pods if pod.is_active]
        status: Object = {"startTime": job.get("status", {}).get("startTime", self._cluster.stamp)}
        if succeeded:
            self._complete(job, status)
        elif failed > job["spec"]["backoffLimit"]:
            self._fail(job, status)
        elif not active and self._may_try(job, failed):
            active = [self._create_pod(job)]
        counts = {"active": len(active), "succeeded": succeeded, "failed": failed}
        status |= {key: count for key, count in counts.items() if count}
        status |= {"terminating": sum(pod.is_terminating for pod in pods), "uncountedTerminatedPods": {}}
        status["ready"] = sum(pod.is_ready or pod.phase == "Running" for pod in active)
        self._cluster.write_status("jobs", job, status, _MANAGER)
        if _is_over(job):
            self._clear_away(job)

    def _may_try(self, job: Object, failed: int) -> bool:
        """Let a failed Job wait before its next pod: ten seconds, doubled with each failure."""
        if not failed:
            return True
        identifier, namespace, name = job["metadata"]["uid"], job["metadata"]["namespace"], job["metadata"]["name"]
        wait = _RETRY_SECONDS * 2.0 ** (failed - 1) / self._cluster.pace
        due = self._retry_at.setdefault(f"{identifier}/{failed}", self._cluster.now + wait)
        if due > self._cluster.now:
            self._cluster.agenda.add(due, lambda: self._enqueue(namespace, name))
            return False
        del self._retry_at[f"{identifier}/{failed}"]
        return True

    def _create_pod(self, job: Object) -> PodRecord:
        metadata = job["metadata"]
        owner = owner_reference("batch/v1", "Job", job)
        name = f"{metadata['name']}-{suffix(self._cluster.rng)}"
        template = job["spec"]["template"]
        pod = pod_of(template, namespace=metadata["namespace"], owner=owner, rng=self._cluster.rng, name=name)
        pod["metadata"]["generateName"] = f"{metadata['name']}-"
        record = self._pods.create(pod, _MANAGER)
        self._say(job, "job-controller", "Job", "SuccessfulCreate", f"Created pod: {record.name}")
        return record

    def _complete(self, job: Object, status: Object) -> None:
        now = self._cluster.stamp
        message = "Reached expected number of succeeded pods"
        status["conditions"] = [
            _condition("SuccessCriteriaMet", now, "CompletionsReached", message),
            _condition("Complete", now, "CompletionsReached", message),
        ]
        status["completionTime"] = now
        self._say(job, "job-controller", "Job", "Completed", "Job completed")

    def _fail(self, job: Object, status: Object) -> None:
        now, message = self._cluster.stamp, "Job has reached the specified backoff limit"
        status["conditions"] = [
            _condition("FailureTarget", now, "BackoffLimitExceeded", message),
            _condition("Failed", now, "BackoffLimitExceeded", message),
        ]
        self._say(job, "job-controller", "Job", "BackoffLimitExceeded", message, warning=True)

    def _clear_away(self, job: Object) -> None:
        """Keep the CronJob's history to its limits; a Job without a CronJob goes after a while."""
        metadata = job["metadata"]
        owners = metadata.get("ownerReferences", ())
        if not owners:
            self._cluster.after(120, lambda: self._delete(metadata["namespace"], metadata["name"]))
            return
        cron_job = self._cluster.get("cronjobs", metadata["namespace"], owners[0]["name"])
        if cron_job is None:
            return
        outcome = "Complete" if _has(job, "Complete") else "Failed"
        self._say(
            cron_job,
            "cronjob-controller",
            "CronJob",
            "SawCompletedJob",
            f"Saw completed job: {metadata['name']}, condition: {outcome}",
        )
        status = dict(cron_job["status"])
        status["active"] = [item for item in status.get("active", ()) if item["name"] != metadata["name"]]
        if not status["active"]:
            del status["active"]
        if outcome == "Complete":
            status["lastSuccessfulTime"] = self._cluster.stamp
        self._cluster.write_status("cronjobs", cron_job, status, _MANAGER)
        self._trim(cron_job, outcome)

    def _trim(self, cron_job: Object, outcome: str) -> None:
        limits = {"Complete": "successfulJobsHistoryLimit", "Failed": "failedJobsHistoryLimit"}
        namespace, uid = cron_job["metadata"]["namespace"], cron_job["metadata"]["uid"]
        jobs = [
            job
            for job in self._cluster.list_whole("jobs", namespace)
            if any(owner["uid"] == uid for owner in job["metadata"].get("ownerReferences", ())) and _has(job, outcome)
        ]
        jobs.sort(key=lambda job: (job["metadata"]["creationTimestamp"], job["metadata"]["name"]))
        for job in jobs[: max(0, len(jobs) - cron_job["spec"][limits[outcome]])]:
            self._delete(namespace, job["metadata"]["name"])
            self._say(
                cron_job, "cronjob-controller", "CronJob", "SuccessfulDelete", f"Deleted job {job['metadata']['name']}"
            )

    def _delete(self, namespace: str, name: str) -> None:
        job = self._cluster.get("jobs", namespace, name)
        if job is None:
            return
        self._cluster.store.delete("jobs", namespace, name)
        for pod in self._cluster.registry.of_owner(job["metadata"]["uid"]):
            self._pods.remove(pod)

    def _say(
        self, about: Object, component: str, kind: str, reason: str, message: str, *, warning: bool = False
    ) -> None:
        self._recorder.post(component, about, reason, message, kind=kind, api_version="batch/v1", warning=warning)


def _condition(kind: str, now: str, reason: str, message: str) -> Object:
    condition = {"type": kind, "status": "True", "lastProbeTime": now, "lastTransitionTime": now}
    return {**condition, "reason": reason, "message": message}


def _has(job: Object, kind: str) -> bool:
    return any(condition["type"] == kind for condition in job.get("status", {}).get("conditions", ()))


def _is_over(job: Object) -> bool:
    return _has(job, "Complete") or _has(job, "Failed")
