"""A gateway as a process of its own, to be killed: `python -m tests.kubescribe.gateway.process FOLDER PORT LOKI`."""

import asyncio
import sys
from pathlib import Path

from aiohttp import web

from kubescribe.gateway.config import GatewayConfig
from kubescribe.gateway.gateway import open_gateway
from kubescribe.loki.client import open_client
from kubescribe.loki.config import LokiConfig
from kubescribe.loki.sending import LokiSender
from kubescribe.runtime.serving import serving
from kubescribe.runtime.values import HostPort
from tests.kubescribe.gateway.house import ENOUGH, Book
from tests.kubescribe.loki.house import QUICK


async def main(folder: str, port: str, loki: str) -> None:
    async with open_client(LokiConfig(url=loki), version="1") as client:
        sender = LokiSender(client, limits=QUICK)
        async with open_gateway(GatewayConfig(), Path(folder), sender, Book(), room=ENOUGH) as gateway:
            app = web.Application()
            for method, path, handler in gateway.routes:
                app.router.add_route(method, path, handler)
            async with serving(app, HostPort("127.0.0.1", int(port)), option="x", auto_decompress=False):
                await asyncio.gather(sender.run(), gateway.part.run())


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
