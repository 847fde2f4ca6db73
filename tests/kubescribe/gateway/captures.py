"""What real shippers sent (tests/data/shippers): each request again over a socket, to a finder that knows its pods."""

import asyncio
import gzip
import json
import re
from pathlib import Path

from kubescribe.labels.pods import container_ids, pod_facts
from tests.kubescribe.gateway.house import Book

FOLDER = Path(__file__).parents[2] / "data" / "shippers"
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def requests_in(capture):
    """Return the requests of *capture* as (head, body); a body in chunks is the whole rest."""
    data, found = (FOLDER / f"{capture}.http").read_bytes(), []
    while data:
        head, _, rest = data.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        size = int(length[1]) if length else len(rest)
        found.append((head, rest[:size]))
        data = rest[size:]
    return found


def pushed_in(capture):
    """Return the entries of a capture of Loki's JSON: (labels, ns, line)."""
    found = []
    for head, body in requests_in(capture):
        push = json.loads(gzip.decompress(body) if b"Content-Encoding: gzip" in head else body)
        found += [(each["stream"], int(at), line) for each in push["streams"] for at, line, *_ in each["values"]]
    return found


class Node(Book):
    """Knows the pods that the captures are of, by what an agent's book knows them."""

    def __init__(self):
        bodies = [json.dumps(each, separators=(",", ":")).encode() for each in self.objects()]
        super().__init__(*(pod_facts(body) for body in bodies))
        for body in bodies:
            self.ids.update(dict.fromkeys(container_ids(body), pod_facts(body)))

    @staticmethod
    def objects():
        """Return the pods as the API server had them, shortened."""
        return json.loads((FOLDER / "pods.json").read_bytes())


async def replay(url, capture):
    """Send every request of *capture* as it was sent; return the statuses."""
    statuses = []
    for head, body in requests_in(capture):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        try:
            writer.write(head + b"\r\n\r\n" + body)
            async with asyncio.timeout(10):
                statuses.append(int((await reader.readline()).split()[1]))
        finally:
            writer.close()
            await writer.wait_closed()
    return statuses
