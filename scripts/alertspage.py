"""The page docs/alerts.md, made of the chart's alerts: `make docs` writes it, a test compares it."""

import argparse
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
ALERTS = ROOT / "charts/kubescribe/files/rules/alerts.yaml"

_HEAD = """\
# Alerts

Made by `make docs` from [the chart's rules](../charts/kubescribe/files/rules/alerts.yaml); do not edit.

The rules are a plain file of Prometheus 2.42 or newer; the chart makes a PrometheusRule of it, in which each alert can
be switched off or changed. They need the metrics of the aggregator and of the agents ([metrics.md](metrics.md)),
scraped with `honorLabels: true`; an agent that is not scraped lacks its alerts on spool, watches and lines.
`by (cluster, namespace)` is one installation: several may share a Prometheus, and `cluster` may be missing.

`critical` is for now, whatever the hour: something is not recorded, or is about to be lost. `warning` is for the day.
`info` is for whoever looks. Each has a runbook that says what may not be trusted meanwhile, and what to do.

The alerts in the last group are about the cluster and not about kubescribe, and off in the chart unless they are asked
for. `KubescribeWatchdogAlways` always fires: have something raise the alarm when it does not come.
"""

_TAIL = """\

## To an Alertmanager

What has one cause should be one message, and the alert that names the cause should silence those that follow from it:

```yaml
route:
  # All nodes, causes and reasons of one alert in one message.
  group_by: [alertname, cluster, namespace]
inhibit_rules:
  # Many nodes without an agent are one page; which ones, the dashboard says.
  - source_matchers: ['alertname = KubescribeAgentsMissing']
    target_matchers: ['alertname =~ "KubescribeAgentDown|KubescribeAgentAbsentOnNode"']
    equal: [cluster, namespace]
  # Nobody stands in for nodes while there is no cluster agent.
  - source_matchers: ['alertname = KubescribeClusterAgentDown']
    target_matchers: ['alertname = KubescribeNodeUnreported']
    equal: [cluster, namespace]
  # Agents spool since nobody takes it.
  - source_matchers: ['alertname =~ "KubescribeAggregatorDown|KubescribeWriteErrors"']
    target_matchers: ['alertname =~ "KubescribeAgentSpoolNearFull|KubescribeIngestLagHigh"']
    equal: [cluster, namespace]
```

A message for one node comes ten minutes after its agent went, the one for many after eight: it is there to silence.
"""

_COLUMNS = "| alert | severity | after | what | default |\n| --- | --- | --- | --- | --- |\n"


def page() -> str:
    """Return the whole page."""
    parts = [_HEAD]
    for group in yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]:
        parts.append(
            f"\n## {group['name']}\n\n| alert | severity | after | what | default |\n| --- | --- | --- | --- | --- |\n"
        )
        is_on = not group["name"].startswith("kubescribe-cluster")
        parts += [_row(rule, is_on=is_on) for rule in group["rules"]]
    return "".join([*parts, _TAIL])


def _row(rule: Mapping[str, Any], *, is_on: bool) -> str:
    annotations = rule["annotations"]
    runbook = annotations["runbook_url"].removeprefix("docs/")
    summary = re.sub(r"\{\{[^}]*?(\w+)(?: \"[^\"]*\"| \|[^}]*)?\s*\}\}", r"*\1*", annotations["summary"].strip())
    cells = (
        f"[{rule['alert']}]({runbook})",
        rule["labels"]["severity"],
        rule.get("for", "at once"),
        summary,
        "on" if is_on else "off",
    )
    return f"| {' | '.join(cells)} |\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Write docs/alerts.md.")
    parser.add_argument("path", type=Path)
    parser.parse_args().path.write_text(page(), encoding="utf-8")
