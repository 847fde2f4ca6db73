"""
What a gateway answers instead of 204, drawn here; a shipper acts on the status.

    GatewayError           `status` and what to say; the message names what was wrong, never a line of a log
    ├── BadPush            400: these bytes will never be understood; the shipper drops them and says so
    ├── TooLarge           413: more than gateway.maxBodyBytes, compressed or not
    ├── Unauthorized       401: the credential is wrong, which a retry does not heal
    ├── WrongTenant        400: the shipper may not name that tenant; its setting is wrong, or ours
    ├── Busy               429: the spool is full, or too many pushes are on their way; retried after a while
    └── DiskFailed         503: the disk is short or refuses; retried after a while
"""

COME_AGAIN_SECONDS = 2
"""
What Retry-After tells. The SDKs of OpenTelemetry obey it and give a batch up after ten seconds in all, at once where
the hint leads beyond them; whoever waits longer by itself (the collector, Fluent Bit, Fluentd) is not hurried by it.
"""


class GatewayError(Exception):
    """Root of a gateway's errors."""

    status = 500
    retry_seconds = 0


class BadPush(GatewayError):
    """The body cannot be parsed, or a header makes no sense."""

    status = 400


class TooLarge(GatewayError):
    """The body is larger than is taken."""

    status = 413


class Unauthorized(GatewayError):
    """No credential, or a wrong one."""

    status = 401


class WrongTenant(GatewayError):
    """
    A tenant that shippers may not name.

    Shippers drop what is refused so, and say it. To let them wait would hold up what they send for other tenants behind
    lines that time does not heal, and to take them for another tenant would mix what was to be kept apart. It is not
    403, which Fluent Bit repeats for ever: it drops what is answered 400 and nothing else.
    """

    status = 400


class Busy(GatewayError):
    """There is no room now."""

    status = 429
    retry_seconds = COME_AGAIN_SECONDS


class DiskFailed(GatewayError):
    """The disk has no room for us, or does not serve."""

    status = 503
    retry_seconds = COME_AGAIN_SECONDS
