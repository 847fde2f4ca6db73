"""What every daemon answers to the kubelet and to Prometheus."""

import asyncio
import sys

import pytest
from aiohttp import ClientSession, web
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.registry import Collector

from kubescribe.runtime.exposition import TableFamily
from kubescribe.runtime.packing import packed
from kubescribe.runtime.probing import READY, Readiness, add_probes


@pytest.fixture
async def asked():
    """Give (what asks the application, its registry, a list whose last entry is how ready it is)."""
    registry, readiness = CollectorRegistry(), [READY]
    app = web.Application()
    add_probes(app, registry, lambda: readiness[-1])
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as session:

        async def ask(path, **headers):
            async with session.get(path, headers={name.replace("_", "-"): it for name, it in headers.items()}) as found:
                return found, await found.text()

        yield ask, registry, readiness
    await runner.cleanup()


@pytest.mark.parametrize(
    ("readiness", "status", "body"),
    [
        (READY, 200, '{"status": "ok"}'),
        (Readiness("degraded", "the disk is full"), 200, '{"status": "degraded", "reason": "the disk is full"}'),
        (Readiness("unready", "no kinds yet"), 503, '{"status": "unready", "reason": "no kinds yet"}'),
    ],
)
async def test_only_who_does_no_work_is_unready_and_all_are_alive(asked, readiness, status, body):
    ask, _, states = asked
    states.append(readiness)

    answer, text = await ask("/readyz")
    alive, _ = await ask("/livez")

    assert (answer.status, text, alive.status) == (status, body, 200)


async def test_metrics_speak_both_formats_and_gzip_where_it_pays(asked):
    ask, registry, _ = asked
    small, _ = await ask("/metrics", Accept_Encoding="gzip")
    counter = Counter("kubescribe_things", "Things.", ["name"], registry=registry)
    for number in range(100):
        counter.labels(f"n{number}").inc()

    packed, text = await ask("/metrics", Accept_Encoding="gzip")
    plain, _ = await ask("/metrics", Accept_Encoding="gzip;q=0")
    modern, open_text = await ask("/metrics", Accept="application/openmetrics-text; version=1.0.0")

    encodings = [answer.headers.get("Content-Encoding") for answer in (small, packed, plain)]
    assert encodings == [None, "gzip", None]
    assert (packed.content_type, packed.headers["Vary"]) == ("text/plain", "Accept-Encoding")
    assert 'kubescribe_things_total{name="n7"} 1.0' in text
    assert modern.content_type == "application/openmetrics-text"
    assert open_text.endswith("# EOF\n")


class Kept(Collector):
    """A family of which some is kept as fragments, between what is written anew."""

    lines = tuple(f't_kept{{name="n{number}"}} {number}\n' for number in range(20_000))

    def collect(self):
        kept = packed("".join(self.lines[5_000:]).encode())
        yield TableFamily(
            "t_kept", "Kept.", "gauge", ("name",), lambda: (), lines=lambda: ("".join(self.lines[:5_000]), kept)
        )
        yield TableFamily("t_new", "New.", "gauge", ("name",), lambda: [((f"n{n}",), n) for n in range(2_500)])


async def test_what_is_kept_reads_as_what_is_written_anew_in_every_encoding_and_at_once(asked):
    ask, registry, _ = asked
    registry.register(Kept())

    usual = sys.getswitchinterval()
    answers = await asyncio.gather(
        *(ask("/metrics", Accept_Encoding=encoding) for encoding in ("gzip", "identity", "gzip;q=0", "gzip, deflate"))
    )

    assert [answer.headers.get("Content-Encoding") for answer, _ in answers] == ["gzip", None, None, "gzip"]
    assert len({text for _, text in answers}) == 1
    text = answers[0][1]
    assert text[text.index("t_kept{") :].startswith("".join(Kept.lines) + "# HELP t_new New.\n")
    assert text.endswith('t_new{name="n2499"} 2499.0\n')
    assert sys.getswitchinterval() == usual
