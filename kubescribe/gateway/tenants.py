"""
Whose lines a shipper may push as: X-Scope-OrgID is a wish, and our credential at Loki may write for many. Pure.

Loki itself believes every name. What is in front of it checks the credential, and that is ours, not the shipper's: so
whoever has a token of the gateway could write into any tenant that we may, if nobody looked here.
"""

import re
from collections.abc import Collection

from kubescribe.gateway.errors import BadPush, WrongTenant

_TENANT = re.compile(r"[0-9A-Za-z!\-_.*'()]{1,150}")
"""What Loki takes as X-Scope-OrgID (dskit, tenant/tenant.go)."""


class Tenants:
    """
    The tenants that shippers may name.

    With *own* ("" for none), the one that Loki is told for whoever names none, and nothing *listed*, that one alone;
    with neither every name, which then is Loki's to judge.
    """

    def __init__(self, listed: Collection[str], *, own: str) -> None:
        self._own = own
        self._allowed = frozenset((*listed, own)) if listed or own else None

    def checked(self, named: str) -> str:
        """Return whose lines those are of which X-Scope-OrgID says *named*, "" for our own. Raises GatewayError."""
        if not named:
            return ""
        if not is_tenant(named):
            raise BadPush("X-Scope-OrgID is not the name of one tenant")
        if self._allowed is not None and named not in self._allowed:
            raise WrongTenant(f"X-Scope-OrgID {named!r} is not among those that may be named (gateway.tenants)")
        # The same as without a name: the same body in two ways is one.
        return "" if named == self._own else named


def is_tenant(text: str) -> bool:
    """Tell whether Loki takes *text* as the name of one tenant."""
    return _TENANT.fullmatch(text) is not None and text not in (".", "..")
