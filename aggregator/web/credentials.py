"""Where a request carries its credential, besides the header; the tokens are kubescribe.runtime.tokens'."""

import base64
import binascii
import ipaddress
from collections.abc import Iterable

from kubescribe.runtime.tokens import token_of

BEARER_SUBPROTOCOL = "kubescribe.bearer."
"""A browser can set no header on a websocket; it offers its token as a subprotocol, base64url without padding."""


def bearer_of(authorization: str | None, subprotocols: Iterable[str], *, takes_basic: bool = False) -> str | None:
    """Return the token that a request presents in its header or as a subprotocol, None when it presents none."""
    if authorization is not None:
        return token_of(authorization, takes_basic=takes_basic)
    for offered in subprotocols:
        if offered.startswith(BEARER_SUBPROTOCOL):
            text = offered.removeprefix(BEARER_SUBPROTOCOL)
            try:
                return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
            except (binascii.Error, ValueError):
                return ""
    return None


def is_loopback(host: str) -> bool:
    """Tell whether *host* (a name or an address, as in HOST:PORT) is reached from this machine only."""
    name = host.strip("[]").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
