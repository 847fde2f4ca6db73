"""The REST API as one table: every route with its parameters, its answer and its words; handlers and OpenAPI follow."""

from dataclasses import dataclass

from aggregator.web import parameters as p


@dataclass(slots=True, frozen=True)
class Route:
    """
    One GET below `/api/v1`.

    `answer` is the schema of the answer, of one item where `is_list`. `stream` marks what is no JSON document.
    """

    path: str
    name: str
    summary: str
    parameters: p.ParameterSet
    answer: str
    is_list: bool = False
    stream: str = ""


ROUTES = (
    Route("/changes", "changes", "What changed, by seq.", p.CHANGES, "Change", is_list=True),
    Route("/objects", "objects", "The cluster as it was at a moment.", p.OBJECTS, "Object", is_list=True),
    Route("/objects/{uid}", "object", "One object, alive or dead.", p.OBJECT, "ObjectDetail"),
    Route(
        "/objects/{uid}/history",
        "history",
        "Every version of one object, by epoch, resourceVersion and gone.",
        p.HISTORY,
        "Change",
        is_list=True,
    ),
    Route("/occurrences", "occurrences", "Kubernetes Events, by seq.", p.OCCURRENCES, "Occurrence", is_list=True),
    Route("/gaps", "gaps", "What may have gone unseen, by seq.", p.GAPS, "Gap", is_list=True),
    Route("/logs", "logs", "Lines of a pod or a workload, in the order of time.", p.LOGS, "Lines"),
    Route("/agents", "agents", "Who reports, and how far behind.", p.NONE, "Agent", is_list=True),
    Route("/status", "status", "What may be trusted.", p.STATUS, "Status"),
    Route("/usage", "usage", "What pods and nodes use now, against what they may.", p.USAGE, "Usage", is_list=True),
    Route("/feed", "feed", "The feed, a websocket: subprotocol kubescribe.feed.v1.", p.NONE, "", stream="websocket"),
    Route("/feed/sse", "sse", "One subscription as server-sent events.", p.EVENT_STREAM, "", stream="sse"),
    Route("/openapi.json", "openapi", "This description.", p.NONE, "Document"),
)
