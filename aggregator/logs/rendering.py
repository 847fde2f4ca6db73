"""A line as it is served everywhere: finished JSON."""

import msgspec

from aggregator.logs.asking import LogLine
from kubescribe.wire.times import to_rfc3339

_encode = msgspec.json.Encoder().encode


def render_line(line: LogLine) -> bytes:
    """Return *line* as JSON."""
    target = line.target
    return _encode(
        {
            "type": "line",
            "at": to_rfc3339(line.at),
            "namespace": target.pod.namespace,
            "workloadKind": target.workload.kind,
            "workload": target.workload.name,
            "pod": target.pod.name,
            "uid": target.uid,
            "node": target.node or None,
            "container": line.container,
            "restart": line.restart,
            "stream": line.stream,
            "level": line.level or None,
            "text": line.text,
            "source": line.source,
        }
    )
