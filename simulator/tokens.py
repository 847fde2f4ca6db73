"""
ServiceAccount tokens that tests register: who bears them, for which audiences, until when, bound to which pod.

They stand for the projected tokens of a real cluster and are checked as those are (pkg/serviceaccount: jwt.go and
claims.go), in the same order and with the same words. Any text will do for one: nothing is signed.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

import msgspec

from simulator.errors import SimulatorError, StoreRefused
from simulator.etcd import Etcd
from simulator.kubeconfig import write_atomically

API_AUDIENCES = ("https://kubernetes.default.svc",)
"""What a token is for that names no audience; what a review asks for that names none."""

LEEWAY_SECONDS = 60.0
"""A token is taken for so long after its end (jwt.DefaultLeeway)."""

INVALID = "invalid bearer token"
_EXTRA = "authentication.kubernetes.io/"


class InvalidToken(SimulatorError):
    """The token proves nothing; the text is the real server's."""


class ServiceAccountToken(msgspec.Struct, frozen=True, kw_only=True):
    """One token and what it claims."""

    token: str
    namespace: str
    name: str
    """The ServiceAccount's."""
    uid: str = ""
    audiences: tuple[str, ...] = API_AUDIENCES
    expires_at: float | None = None
    """Seconds since 1970; None for never."""
    pod_name: str = ""
    pod_uid: str = ""
    is_bound: bool = False
    """Whether the store had the pod: then the token ends with the pod, as on a real server."""
    node_name: str = ""
    node_uid: str = ""

    @property
    def username(self) -> str:
        """Whom RBAC and a 403 name."""
        return f"system:serviceaccount:{self.namespace}:{self.name}"

    @property
    def groups(self) -> list[str]:
        """The groups of every ServiceAccount of its namespace."""
        return ["system:serviceaccounts", f"system:serviceaccounts:{self.namespace}", "system:authenticated"]

    @property
    def extra(self) -> dict[str, list[str]]:
        """What the token says beside the user; the node is a claim that was true when the token was made."""
        claims = (
            ("credential-id", f"JTI={uuid5(NAMESPACE_URL, self.token)}"),
            ("node-name", self.node_name),
            ("node-uid", self.node_uid),
            ("pod-name", self.pod_name),
            ("pod-uid", self.pod_uid),
        )
        return {_EXTRA + key: [value] for key, value in claims if value}


class Tokens:
    """All tokens of one cluster, kept in a file if one is given."""

    def __init__(self, etcd: Etcd, path: Path | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self._etcd = etcd
        self._path = path
        self._clock = clock
        self._tokens: dict[str, ServiceAccountToken] = {}
        if path is not None and path.is_file():
            for token in msgspec.json.decode(path.read_bytes(), type=list[ServiceAccountToken]):
                self._tokens[token.token] = token

    def register(self, token: ServiceAccountToken, *, lifetime_seconds: float | None = None) -> ServiceAccountToken:
        """
        Take a token, in the place of one of the same text; return it completed.

        A pod without a uid is looked up, and binds the token: StoreRefused if it is not there. A node without a uid
        is looked up too, and left without one if it is not there.
        """
        changes: dict[str, object] = {"uid": token.uid or self._account_uid(token)}
        if lifetime_seconds is not None:
            changes["expires_at"] = self._clock() + lifetime_seconds
        node = token.node_name
        if token.pod_name and not token.pod_uid:
            pod = self._etcd.get("pods", token.namespace, token.pod_name)
            if pod is None:
                raise StoreRefused(f"pods {token.pod_name!r} not found", is_missing=True)
            node = node or pod["spec"].get("nodeName", "")
            changes |= {"pod_uid": pod["metadata"]["uid"], "is_bound": True, "node_name": node}
        if node and not token.node_uid:
            found = self._etcd.get("nodes", "", node)
            changes["node_uid"] = found["metadata"]["uid"] if found else ""
        completed = msgspec.structs.replace(token, **changes)
        self._tokens[token.token] = completed
        self._keep()
        return completed

    def revoke(self, token: str) -> None:
        """Forget a token; KeyError if it was not registered."""
        del self._tokens[token]
        self._keep()

    def authenticate(self, token: str, audiences: Sequence[str] = ()) -> tuple[ServiceAccountToken, list[str]]:
        """
        Return what a token claims, and those of *audiences* (the API's own, if none) that it is for.

        Raises InvalidToken: unknown, for other audiences, expired, or bound to a pod that is gone.
        """
        found = self._tokens.get(token)
        if found is None:
            raise InvalidToken(INVALID)
        wanted = tuple(audiences) or API_AUDIENCES
        shared = [audience for audience in found.audiences if audience in wanted]
        if not shared:
            targets = f"the target audiences {_quoted(wanted)}"
            raise _invalid(f"token audiences {_quoted(found.audiences)} is invalid for {targets}")
        if found.expires_at is not None and self._clock() > found.expires_at + LEEWAY_SECONDS:
            raise _invalid("service account token has expired")
        if found.is_bound:
            self._check_pod(found)
        return found, shared

    def _account_uid(self, token: ServiceAccountToken) -> str:
        """Return the uid of the ServiceAccount; of one that is not there, one that stays the same."""
        account = self._etcd.get("serviceaccounts", token.namespace, token.name)
        return str(account["metadata"]["uid"] if account else uuid5(NAMESPACE_URL, token.username))

    def _check_pod(self, token: ServiceAccountToken) -> None:
        pod = self._etcd.get("pods", token.namespace, token.pod_name)
        if pod is None:
            raise _invalid("service account token has been invalidated")
        uid = pod["metadata"]["uid"]
        if uid != token.pod_uid:
            raise _invalid(f"pod UID ({uid}) does not match service account pod ref claim ({token.pod_uid})")

    def _keep(self) -> None:
        if self._path is not None:
            write_atomically(self._path, msgspec.json.encode(list(self._tokens.values())).decode())


def _invalid(cause: str) -> InvalidToken:
    """Return the refusal of a token that could be read: two authenticators have their say about it."""
    return InvalidToken(f"[{INVALID}, {cause}]")


def _quoted(texts: Sequence[str]) -> str:
    """Return a list as Go's %q prints it."""
    return "[" + " ".join(f'"{text}"' for text in texts) + "]"
