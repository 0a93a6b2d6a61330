"""Posts submissions over keep-alive connections, as cheaply as Python can. Run as a process of its own:

python -m benchmarks.load PORT PATH CONNECTIONS COUNT SEED
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import cast

import uvloop

from benchmarks.workload import instances

BOUNDARY = b"chapar-benchmark"


def request(path: str, xml: bytes) -> bytes:
    """Return a whole HTTP request with one submission."""
    body = (
        b"--"
        + BOUNDARY
        + b'\r\nContent-Disposition: form-data; name="xml_submission_file"; filename="a.xml"\r\n'
        b"Content-Type: text/xml\r\n\r\n" + xml + b"\r\n--" + BOUNDARY + b"--\r\n"
    )
    head = (
        f"POST {path}?deviceID=collect%3Abench HTTP/1.1\r\nHost: 127.0.0.1\r\nX-OpenRosa-Version: 1.0\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Client(asyncio.Protocol):
    """One connection: sends a request, waits for its answer, sends the next, until the work is gone."""

    def __init__(self, work: list[bytes], latencies: list[float], failures: list[int]) -> None:
        self._work, self._latencies, self._failures = work, latencies, failures
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Take an answer, or a part of one."""
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]):
            return
        self._latencies.append(time.perf_counter() - self._began)
        if not head.startswith(b"HTTP/1.1 201"):
            self._failures.append(int(head.split()[1]))
        self._received = b""
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        """A connection that is lost with work left fails the run."""
        if not self.done.done():
            self.done.set_exception(error or ConnectionError("the server hung up"))

    def _send(self) -> None:
        if self._work:
            self._began = time.perf_counter()
            self._transport.write(self._work.pop())
        else:
            self.done.set_result(None)
            self._transport.close()


async def run(port: int, path: str, connections: int, count: int, seed: int) -> dict[str, object]:
    """Send `count` submissions over `connections`; return rate, latencies in ms, refusals and the load's own CPU."""
    work = [request(path, xml) for xml in instances(count, seed)]
    latencies: list[float] = []
    failures: list[int] = []
    loop = asyncio.get_running_loop()
    began, worked = time.perf_counter(), time.process_time()
    made = [
        loop.create_connection(lambda: Client(work, latencies, failures), "127.0.0.1", port)
        for _ in range(connections)
    ]
    await asyncio.gather(*(client.done for _, client in await asyncio.gather(*made)))
    seconds, worked = time.perf_counter() - began, time.process_time() - worked
    ordered = sorted(latencies)
    return {
        "per_s": count / seconds,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
        "refused": len(failures),
        "load_us": worked / count * 1e6,
    }


if __name__ == "__main__":
    port, path, connections, count, seed = sys.argv[1:]
    print(json.dumps(uvloop.run(run(int(port), path, int(connections), int(count), int(seed)))))
