"""A page in headless Chromium, through its debugging protocol: what it shows, and what went wrong in it."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.programs import program

# Without the last ones it asks for updates that no test needs.
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync", "--remote-debugging-port=0"),
)
ERRORS = {"Runtime.exceptionThrown", "Runtime.consoleAPICalled"}


class Page:
    """One tab; `errors` are what its scripts threw or printed."""

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0
        self.errors: list[dict[str, Any]] = []

    async def call(self, method: str, **parameters: object) -> Any:
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": parameters})
        while True:
            message = json.loads((await self._socket.receive(timeout=30)).data)
            if message.get("method") in ERRORS:
                self.errors.append(message["params"])
            if message.get("id") == self._number:
                return message["result"]

    async def open(self, url: str) -> None:
        for domain in ("Runtime", "Page"):
            await self.call(f"{domain}.enable")
        await self.call("Page.navigate", url=url)

    async def text(self, selector: str) -> str:
        """Return the text of the first element that fits, "" for none."""
        expression = f'document.querySelector({json.dumps(selector)})?.innerText ?? ""'
        return str((await self.call("Runtime.evaluate", expression=expression))["result"].get("value", ""))

    async def value(self, selector: str) -> str:
        """Return what stands in the first field that fits."""
        expression = f"document.querySelector({json.dumps(selector)}).value"
        return str((await self.call("Runtime.evaluate", expression=expression))["result"]["value"])

    async def run(self, script: str) -> Any:
        """Return what *script* says, an expression of JavaScript."""
        answer = await self.call("Runtime.evaluate", expression=script, returnByValue=True)
        return answer["result"].get("value")

    async def click(self, selector: str) -> None:
        """Click on the first element that fits."""
        await self.call("Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)}).click()")

    async def until(self, selector: str, text: str, seconds: float = 30.0) -> str:
        """
        Wait until *text* is in the element, and what belongs to it is drawn; return all of the element's text.

        The page draws its rows once a frame, so what says how many there are may stand there before they do.
        """
        shown = ""
        try:
            async with asyncio.timeout(seconds):
                while text not in (shown := await self.text(selector)):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"{selector} shows {shown!r}, not {text!r}; errors: {self.errors}")
        await self.call("Runtime.evaluate", expression="new Promise(requestAnimationFrame)", awaitPromise=True)
        return shown


@asynccontextmanager
async def opened_page(folder: Path, url: str) -> AsyncIterator[Page]:
    """Open *url*; skip where there is no Chromium."""
    chromium = program("chromium-headless-shell")
    process = await asyncio.create_subprocess_exec(
        chromium, *FLAGS, f"--user-data-dir={folder}", "about:blank", stderr=asyncio.subprocess.DEVNULL
    )
    try:
        port = folder / "DevToolsActivePort"
        async with asyncio.timeout(60):
            while not port.exists() or not port.read_text():
                await asyncio.sleep(0.05)
        address = f"http://127.0.0.1:{port.read_text().splitlines()[0]}/json"
        async with aiohttp.ClientSession() as session:
            async with session.get(address) as answer:
                tab = next(it for it in await answer.json(content_type=None) if it["type"] == "page")
            async with session.ws_connect(tab["webSocketDebuggerUrl"], max_msg_size=0) as socket:
                page = Page(socket)
                await page.open(url)
                yield page
    finally:
        process.terminate()
        await process.wait()
