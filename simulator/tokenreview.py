"""TokenReview: `authentication.k8s.io/v1`, which answers whose token it is (registry/authentication/tokenreview)."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from simulator.managedfields import creation, updated
from simulator.resource import Resource
from simulator.statuses import bad_request
from simulator.tokens import InvalidToken, Tokens
from simulator.versions import Object


def review(tokens: Tokens, resource: Resource, body: bytes, *, manager: str) -> Object:
    """Return the review with its status; ApiError 400 when there is no token in it. Nothing is stored."""
    try:
        sent = msgspec.json.decode(body)
        metadata, spec = dict(sent.get("metadata") or {}), dict(sent.get("spec") or {})
        token, audiences = str(spec.get("token") or ""), [str(audience) for audience in spec.get("audiences") or ()]
    except (msgspec.DecodeError, AttributeError, TypeError, ValueError) as error:
        raise bad_request(f"the object provided is unrecognized (must be JSON): {error}") from error
    if not token:
        raise bad_request("token is required for TokenReview in authentication")
    asked: Object = {"spec": {"token": token, **({"audiences": audiences} if audiences else {})}}
    metadata["managedFields"] = updated(
        [],
        creation(resource.plural, {"metadata": metadata, **asked}),
        manager=manager,
        api_version=resource.api_version,
        subresource="",
        time=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    )
    head = {"kind": resource.kind, "apiVersion": resource.api_version, "metadata": metadata}
    return {**head, **asked, "status": _status(tokens, token, audiences)}


def _status(tokens: Tokens, token: str, audiences: list[str]) -> dict[str, Any]:
    """As Go prints it: what is false or empty is left out, but for the user."""
    try:
        found, shared = tokens.authenticate(token, audiences)
    except InvalidToken as refusal:
        return {"user": {}, "error": str(refusal)}
    user = {"username": found.username, "uid": found.uid, "groups": found.groups, "extra": found.extra}
    return {"authenticated": True, "user": user, "audiences": shared}
