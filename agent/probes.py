"""The agent's listener for the kubelet and Prometheus."""

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry

from kubescribe.runtime.probing import READY, Readiness, add_probes


def probes_app(registry: CollectorRegistry, unready: Callable[[], str]) -> web.Application:
    """Return the application; *unready* says why the agent does not do its work yet, "" when it does."""

    def readiness() -> Readiness:
        reason = unready()
        return Readiness("unready", reason) if reason else READY

    app = web.Application(client_max_size=64 * 1024)
    add_probes(app, registry, readiness)
    return app
