"""
Debian's Prometheus as a process of a test: it scrapes what it is given, evaluates our rules, and answers queries.

Targets get the labels that the operator's ServiceMonitor would set, and keep their own where these clash
(`honorLabels: true`). Nothing leaves loopback, and everything that it writes is in the test's folder.
"""

import json
import re
import subprocess
import time
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.e2e.processes import ask, environment, eventually
from tests.programs import program

SCRAPE_SECONDS = 1.0
NAMESPACE = "kubescribe"


class QueryRefused(Exception):
    """Prometheus could not execute a query; says which, and why."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """One endpoint to scrape, with the labels that it is scraped under besides `job` and `instance`."""

    job: str
    address: str
    """host:port; `instance`, as the operator has it."""
    labels: Mapping[str, str]


def aggregator_target(metrics: str) -> Target:
    """Return the target of an aggregator, or of `up`, that serves /metrics below the URL *metrics*."""
    return _target("kubescribe-aggregator", "aggregator", "kubescribe-aggregator-0", metrics)


def agent_target(metrics: str, *, pod: str) -> Target:
    """Return the target of an agent: `pod` is its own name, such as kubescribe-agent-x7x2p."""
    return _target("kubescribe-agent", "agent", pod, metrics)


def _target(job: str, container: str, pod: str, metrics: str) -> Target:
    where = {"namespace": NAMESPACE, "service": job, "endpoint": "metrics", "pod": pod, "container": container}
    where["installation"] = NAMESPACE
    return Target(job=job, address=urllib.parse.urlsplit(metrics).netloc, labels=where)


class Sample(NamedTuple):
    """One element of an instant vector; a scalar has no labels."""

    labels: dict[str, str]
    value: float


class Series(NamedTuple):
    """One element of a range's answer."""

    labels: dict[str, str]
    values: list[tuple[float, float]]
    """Time in seconds, value."""


@dataclass(frozen=True)
class Prometheus:
    """A Prometheus that runs and is ready."""

    url: str
    output: Path
    size: int
    """How many targets it has; it does not know them from its first moment on."""

    @property
    def log(self) -> str:
        return self.output.read_text(errors="replace")

    def query(self, expr: str, at: float | None = None) -> list[Sample]:
        """Return an instant query's vector, now or *at* a time in seconds; QueryRefused when it is an error."""
        data = self._get("query", query=expr, **({} if at is None else {"time": at}))
        if data["resultType"] == "scalar":
            return [Sample({}, float(data["result"][1]))]
        return [Sample(item["metric"], float(item["value"][1])) for item in data["result"]]

    def number(self, expr: str, at: float | None = None) -> float | None:
        """Return the value of a query that has one sample at most; None when it has none."""
        samples = self.query(expr, at)
        assert len(samples) <= 1, f"{expr}: {samples}"
        return samples[0].value if samples else None

    def query_range(self, expr: str, *, seconds: float, step: float = 1.0, end: float | None = None) -> list[Series]:
        """Return what a panel shows of the last *seconds*; QueryRefused when it is an error."""
        end = time.time() if end is None else end
        data = self._get("query_range", query=expr, start=end - seconds, end=end, step=step)
        return [
            Series(item["metric"], [(float(when), float(value)) for when, value in item["values"]])
            for item in data["result"]
        ]

    def until(self, expr: str, seconds: float = 30.0) -> list[Sample]:
        """Wait until a query has an answer, and return it."""
        found: list[Sample] = eventually(lambda: self.query(expr), lambda: (expr, self.troubles()), seconds)
        return found

    def targets(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._get("targets", state="active")["activeTargets"]
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Return the rules of all groups, each with `group` and `file`."""
        groups = self._get("rules")["groups"]
        return [{**rule, "group": group["name"], "file": group["file"]} for group in groups for rule in group["rules"]]

    def alerts(self) -> list[dict[str, Any]]:
        """Return the alerts that are pending or firing."""
        found: list[dict[str, Any]] = self._get("alerts")["alerts"]
        return found

    def scraped(self, seconds: float = 30.0) -> None:
        """Wait until every target was scraped, with success, after this moment."""
        now = time.time()

        def fresh() -> bool:
            times = [_unix(it["lastScrape"]) for it in self.targets() if it["health"] == "up"]
            return len(times) == self.size and min(times) > now

        eventually(fresh, self.troubles, seconds)

    def troubles(self) -> list[str]:
        """Return what targets and rules complain of."""
        of_targets = [f"{target['scrapeUrl']}: {target['lastError']}" for target in self.targets()]
        of_rules = [f"{rule['name']}: {rule['lastError']}" for rule in self.rules() if rule.get("lastError")]
        return [trouble for trouble in of_targets if not trouble.endswith(": ")] + of_rules

    def _get(self, what: str, **parameters: object) -> Any:
        # A query may be longer than a URL should be; only queries take a POST.
        url, encoded = f"{self.url}/api/v1/{what}", urllib.parse.urlencode(parameters)
        if "query" in parameters:
            form = {"Content_Type": "application/x-www-form-urlencoded"}
            answer = ask(url, method="POST", body=encoded.encode(), **form)
        else:
            answer = ask(f"{url}?{encoded}")
        body = json.loads(answer.body)
        if body["status"] != "success":
            raise QueryRefused(f"{parameters.get('query', what)}: {body['errorType']}: {body['error']}")
        return body["data"]


@contextmanager
def prometheus(
    folder: Path, targets: Sequence[Target], rules: Sequence[Path] = (), *, interval_seconds: float = SCRAPE_SECONDS
) -> Iterator[Prometheus]:
    """Run Prometheus over *targets* and rule files until the block ends; skip where there is none."""
    executable = program("prometheus")
    folder.mkdir(parents=True, exist_ok=True)
    rules = [_without_intervals(path, folder) for path in rules]
    settings = folder / "prometheus.yml"
    settings.write_text(json.dumps(_configuration(targets, rules, interval_seconds), indent=2))
    output = folder / "prometheus.log"
    arguments = (
        f"--config.file={settings}",
        f"--storage.tsdb.path={folder / 'data'}",
        "--web.listen-address=127.0.0.1:0",
    )
    with output.open("ab") as log:
        popen = subprocess.Popen([executable, *arguments], stdout=log, stderr=log, cwd=folder, env=environment())
    try:
        running = Prometheus(f"http://{_address(popen, output)}", output, len(targets))
        eventually(lambda: ask(f"{running.url}/-/ready").status == 200, lambda: running.log[-2000:])
        yield running
    finally:
        popen.terminate()
        try:
            popen.wait(20)
        except subprocess.TimeoutExpired:
            popen.kill()
            popen.wait()


def _configuration(targets: Sequence[Target], rules: Sequence[Path], interval_seconds: float) -> dict[str, Any]:
    every = f"{round(interval_seconds * 1000)}ms"
    jobs = {target.job: [it for it in targets if it.job == target.job] for target in targets}
    return {
        "global": {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [
            {
                "job_name": job,
                "honor_labels": True,
                "static_configs": [{"targets": [it.address], "labels": dict(it.labels)} for it in of_job],
            }
            for job, of_job in jobs.items()
        ],
    }


def _without_intervals(path: Path, folder: Path) -> Path:
    """Copy a file of rules whose groups are evaluated as often as all others: nobody waits a minute for one."""
    body = yaml.safe_load(path.read_text())
    for group in body["groups"]:
        group.pop("interval", None)
    copy = folder / path.name
    copy.write_text(json.dumps(body))
    return copy


def _address(popen: subprocess.Popen[bytes], output: Path) -> str:
    """Wait until the log says which port the kernel gave: one that was chosen before may be taken by now."""

    def found() -> list[str]:
        log = output.read_text()
        assert popen.poll() is None, f"prometheus ended with {popen.returncode}: {log[-2000:]}"
        return re.findall(r'msg="Listening on" address=(\S+)', log)

    addresses: list[str] = eventually(found, lambda: output.read_text()[-2000:])
    return addresses[-1]


def _unix(text: str) -> float:
    """Return an RFC 3339 time of Go, with up to nine digits of a second, in seconds."""
    return datetime.fromisoformat(text).timestamp()
