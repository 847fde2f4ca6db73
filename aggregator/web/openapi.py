"""The OpenAPI 3.1 description, written from the table of routes; nothing in it is said twice."""

from typing import Any

from aggregator.web.parameters import Parameter
from aggregator.web.routes import ROUTES, Route
from aggregator.web.schemas import SCHEMAS

_PROBLEM = {
    "description": "What was wrong (RFC 9457).",
    "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
}


def describe(version: str, base_path: str) -> dict[str, Any]:
    """Return the document for an API that is served below *base_path*."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "kubescribe",
            "version": version,
            "summary": "A flight recorder for Kubernetes: what changed, who changed it, and what was not seen.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": f"{base_path}/api/v1"}],
        "security": [{"bearer": []}, {}],
        "paths": {route.path: {"get": _operation(route)} for route in ROUTES},
        "components": {
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
            "schemas": SCHEMAS,
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    parameters = [_in_query(parameter) for parameter in route.parameters.parameters]
    if "{uid}" in route.path:
        parameters.insert(0, {"name": "uid", "in": "path", "required": True, "schema": {"type": "string"}})
    return {
        "operationId": route.name,
        "summary": route.summary,
        "parameters": parameters,
        "responses": {**_answer(route), "default": _PROBLEM},
    }


def _in_query(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.description,
        "schema": dict(parameter.schema),
    }


def _answer(route: Route) -> dict[str, Any]:
    if route.stream == "websocket":
        return {"101": {"description": "The connection is a websocket now."}}
    if route.stream == "sse":
        content: dict[str, Any] = {"text/event-stream": {"schema": {"type": "string"}}}
        return {"200": {"description": "Events whose data are the feed's messages.", "content": content}}
    schema: dict[str, Any] = {"$ref": f"#/components/schemas/{route.answer}"}
    if route.is_list:
        schema = {
            "allOf": [{"$ref": "#/components/schemas/List"}],
            "properties": {"items": {"type": "array", "items": schema}},
        }
    return {"200": {"description": route.summary, "content": {"application/json": {"schema": schema}}}}
