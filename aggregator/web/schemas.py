"""The schemas of what the API serves, for the OpenAPI; tests hold the renderings against them."""

from typing import Any

from kubescribe.lines.levels import LEVELS

_TEXT = {"type": "string"}
_TEXT_OR_NULL = {"type": ["string", "null"]}
_NUMBER = {"type": "integer"}
_NUMBER_OR_NULL = {"type": ["integer", "null"]}
_SECONDS_OR_NULL = {"type": ["number", "null"]}
_FLAG = {"type": "boolean"}
_TIME = {"type": "string", "format": "date-time", "description": "RFC 3339 with nine digits and Z"}
_TIME_OR_NULL = {"type": ["string", "null"], "format": "date-time"}
_OBJECT = {"type": "object"}
_OBJECT_OR_NULL = {"type": ["object", "null"]}
_VERB = {"type": "string", "enum": ["added", "modified", "deleted", "inferredDeleted"]}


def _record(properties: dict[str, Any], optional: frozenset[str] = frozenset()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in optional],
    }


_INTERVAL = {
    "type": "object",
    "description": "of inferred deletes: when it happened",
    "properties": {"after": _TIME_OR_NULL, "before": _TIME},
}

_DIFF = {
    "type": ["array", "null"],
    "description": "null where no version below is known",
    "items": {
        "type": "object",
        "properties": {"path": {"type": "array"}, "old": {}, "new": {}},
        "required": ["path"],
    },
}

_VERSION = {
    "seq": _NUMBER,
    "epoch": _NUMBER,
    "cluster": _TEXT,
    "kind": _TEXT,
    "namespace": _TEXT_OR_NULL,
    "name": _TEXT,
    "uid": _TEXT,
    "resourceVersion": _TEXT,
}

_COMPLETE = {
    "type": "boolean",
    "description": "false when open or lost gaps touch the range, or when it reaches below the journal's horizon: then"
    " one of the gaps has the cause `unrecorded` and ends there. Without `from` the range is all that was recorded.",
}
_GAPS = {"type": "array", "items": {"$ref": "#/components/schemas/Gap"}}

_STATE = {
    "kind": _TEXT,
    "namespace": _TEXT_OR_NULL,
    "name": _TEXT,
    "uid": _TEXT,
    "node": _TEXT_OR_NULL,
    "resourceVersion": _TEXT,
    "epoch": _NUMBER,
    "seq": _NUMBER,
    "gone": _FLAG,
    "uncertain": {"type": "boolean", "description": "inside the interval of an inferred delete: may have been gone"},
    "observedAt": _TIME,
    "body": {"type": "object", "description": "as the API server had it, without managedFields"},
}

SCHEMAS: dict[str, Any] = {
    "List": _record(
        {
            "items": {"type": "array"},
            "next": {"type": ["string", "null"], "description": "the path of the next page"},
            "complete": _COMPLETE,
            "gaps": _GAPS,
        }
    ),
    "Change": _record(
        {
            "type": {"const": "change"},
            **_VERSION,
            "generation": _NUMBER,
            "verb": _VERB,
            "actor": _OBJECT_OR_NULL,
            "observedAt": _TIME,
            "committedAt": _TIME,
            "late": _FLAG,
            "listed": _FLAG,
            "interval": _INTERVAL,
            "diff": _DIFF,
        },
        frozenset({"interval"}),
    ),
    "Object": _record(_STATE, frozenset({"body"})),
    "ObjectDetail": _record(
        {**_STATE, "verb": _VERB, "firstSeenAt": _TIME, "interval": _INTERVAL, "complete": _COMPLETE, "gaps": _GAPS},
        frozenset({"interval"}),
    ),
    "Occurrence": _record(
        {
            "type": {"const": "occurrence"},
            "seq": _NUMBER,
            "epoch": _NUMBER,
            "cluster": _TEXT,
            "namespace": _TEXT_OR_NULL,
            "name": _TEXT,
            "uid": _TEXT,
            "resourceVersion": _TEXT,
            "reason": _TEXT,
            "eventType": _TEXT,
            "message": _TEXT,
            "action": _TEXT_OR_NULL,
            "count": _NUMBER,
            "added": {"type": "integer", "description": "how often since the state before"},
            "firstAt": _TIME_OR_NULL,
            "lastAt": _TIME_OR_NULL,
            "regarding": _OBJECT,
            "reporter": _TEXT,
            "reporterInstance": _TEXT_OR_NULL,
            "deleted": _FLAG,
            "observedAt": _TIME,
            "committedAt": _TIME,
        }
    ),
    "Gap": _record(
        {
            "type": {"const": "gap"},
            "seq": _NUMBER,
            "cluster": _TEXT,
            "id": _TEXT,
            "stream": _TEXT,
            "cause": _TEXT,
            "from": _TIME,
            "to": _TIME_OR_NULL,
            "outcome": {"type": "string", "enum": ["open", "recovered", "lost"]},
            "count": _NUMBER_OR_NULL,
            "bytes": _NUMBER_OR_NULL,
            "detail": _TEXT_OR_NULL,
            "committedAt": _TIME,
        }
    ),
    "Lines": _record(
        {
            "items": {"type": "array", "items": {"$ref": "#/components/schemas/Line"}},
            "next": {"type": ["string", "null"], "description": "the path of the lines before these"},
            "complete": {"type": "boolean", "description": "false when gaps touch the lines, or anything is missing"},
            "gaps": _GAPS,
            "missing": {"type": "array", "items": _TEXT, "description": "in words: who did not answer, what is gone"},
        }
    ),
    "Line": _record(
        {
            "type": {"const": "line"},
            "at": _TIME,
            "namespace": _TEXT,
            "workloadKind": _TEXT,
            "workload": _TEXT,
            "pod": _TEXT,
            "uid": _TEXT,
            "node": _TEXT_OR_NULL,
            "container": _TEXT,
            "restart": _NUMBER,
            "stream": {"type": "string", "enum": ["stdout", "stderr"]},
            "level": {"type": ["string", "null"], "enum": [*LEVELS, None]},
            "text": {"type": "string", "description": "scrubbed: what people may not read is replaced by a mark"},
            "source": {"type": "string", "enum": ["node", "loki"]},
        }
    ),
    "Agent": _record(
        {
            "type": {"const": "agent"},
            "agent": _TEXT,
            "node": _TEXT_OR_NULL,
            "scope": _TEXT,
            "connected": _FLAG,
            "since": _TIME,
            "coveredBy": {
                "type": ["string", "null"],
                "description": "the agent that watches the pods of the node while its own is away",
            },
            "version": _TEXT_OR_NULL,
            "profile": _TEXT_OR_NULL,
            "reportedAt": _TIME_OR_NULL,
            "lagSeconds": _SECONDS_OR_NULL,
            "spoolBytes": _NUMBER,
            "spoolRecords": _NUMBER_OR_NULL,
            "oldestUnsentAt": _TIME_OR_NULL,
            "droppedRecords": _NUMBER_OR_NULL,
            "apiServerRequests": _OBJECT,
            "streams": {"type": "array", "items": _OBJECT},
        }
    ),
    "Nodes": _record(
        {
            "total": _NUMBER,
            "reporting": {"type": "integer", "description": "by their own agent, or one of scope all"},
            "adopted": {"type": "integer", "description": "their pods are watched by the cluster agent"},
            "unreported": {"type": "integer", "description": "nobody watches their pods"},
            "notReporting": {
                "type": "array",
                "description": "the nodes whose own agent is away: since when, and who covers them",
                "items": _record(
                    {
                        "node": _TEXT,
                        "state": {"type": "string", "enum": ["adopted", "unreported"]},
                        "since": _TIME,
                        "coveredBy": _TEXT_OR_NULL,
                        "deleted": _FLAG,
                    }
                ),
            },
        }
    ),
    "Status": _record(
        {
            "type": {"const": "status"},
            "state": {"type": "string", "enum": ["complete", "incomplete", "blind", "degraded"]},
            "trouble": _TEXT_OR_NULL,
            "time": _TIME,
            "version": _TEXT,
            "cluster": _TEXT_OR_NULL,
            "clusterUid": _TEXT_OR_NULL,
            "journal": _OBJECT,
            "lagSeconds": _SECONDS_OR_NULL,
            "reporting": _OBJECT,
            "nodes": {"$ref": "#/components/schemas/Nodes"},
            "agents": {"type": "array", "items": {"$ref": "#/components/schemas/Agent"}},
            "complete": _FLAG,
            "gaps": {"type": "array", "items": {"$ref": "#/components/schemas/Gap"}},
            "feed": _OBJECT,
            "apiServerRequests": _OBJECT,
        }
    ),
    "Space": _record(
        {
            "capacityBytes": _NUMBER_OR_NULL,
            "availableBytes": _NUMBER_OR_NULL,
            "usedBytes": _NUMBER_OR_NULL,
            "inodes": _NUMBER_OR_NULL,
            "inodesFree": _NUMBER_OR_NULL,
        }
    ),
    "Usage": _record(
        {
            "type": {"const": "usage"},
            "kind": {"type": "string", "enum": ["Pod", "Node"]},
            "name": _TEXT,
            "node": _TEXT,
            "source": {"type": "string", "enum": ["kubelet", "metrics"]},
            "observedAt": _TIME,
            "cpu": {
                "type": "object",
                "description": "cores now; requestCores and limitCores of a pod (null: none, a limit only where every"
                " container has one), allocatableCores and the requestCores of its pods of a node; secondsTotal of a"
                " container or node: a counter, null while it is out of order",
            },
            "memory": {"type": "object", "description": "workingSetBytes now, against the same"},
            "disk": {
                "type": "object",
                "description": "of a pod ephemeral storage; of a node its file systems, root and images, each a Space",
            },
            "network": {"type": "object", "description": "receivedBytes and sentBytes: counters"},
            "namespace": _TEXT,
            "uid": _TEXT_OR_NULL,
            "workloadKind": _TEXT_OR_NULL,
            "workload": _TEXT_OR_NULL,
            "containers": {"type": "array", "items": _OBJECT},
            "volumes": {"type": "array", "items": {"allOf": [{"$ref": "#/components/schemas/Space"}]}},
            "startedAt": _TIME_OR_NULL,
            "history": {"type": "array", "items": _OBJECT},
        },
        frozenset({"namespace", "uid", "workloadKind", "workload", "containers", "volumes", "startedAt", "history"}),
    ),
    "Problem": _record(
        {
            "type": _TEXT,
            "title": _TEXT,
            "status": _NUMBER,
            "detail": _TEXT,
            "instance": _TEXT,
            "requestId": _TEXT,
            "parameter": _TEXT,
            "value": _TEXT,
            "expected": _TEXT,
        },
        frozenset({"parameter", "value", "expected"}),
    ),
    "Document": _OBJECT,
}
