"""`/healthz` for load balancers, and what makes an aggregator ready."""

from aiohttp import web

from aggregator.outlets.fleet import Recorder
from kubescribe.runtime.probing import READY, Readiness


async def healthz(_: web.Request) -> web.Response:
    """Answer that the listener serves; says nothing of the journal, so that reads go on while it cannot be written."""
    return web.json_response({"status": "ok"})


def readiness_of(recorder: Recorder) -> Readiness:
    """
    Return ok once the journal is open.

    A journal that cannot be written now is `degraded` and no reason to take the pod out of its Service, which would
    only hide what is there to be read: reads and feed go on, and sources are told to wait by ingest itself.
    """
    trouble = recorder.trouble()
    return Readiness("degraded", trouble) if trouble else READY
