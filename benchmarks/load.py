"""Posts submissions over keep-alive connections, as cheaply as Python can. Run as a process of its own:

python -m benchmarks.load PORT PATH CONNECTIONS COUNT SEED
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

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


async def client(port: int, work: list[bytes], latencies: list[float], failures: list[int]) -> None:
    """Send requests one after the other over one connection until the work is gone."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while work:
        message = work.pop()
        began = time.perf_counter()
        writer.write(message)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        latencies.append(time.perf_counter() - began)
        if not head.startswith(b"HTTP/1.1 201"):
            failures.append(int(head.split()[1]))
    writer.close()


async def run(port: int, path: str, connections: int, count: int, seed: int) -> dict[str, object]:
    """Send `count` submissions over `connections`; return rate, latencies in ms and refusals."""
    work = [request(path, xml) for xml in instances(count, seed)]
    latencies: list[float] = []
    failures: list[int] = []
    began = time.perf_counter()
    await asyncio.gather(*(client(port, work, latencies, failures) for _ in range(connections)))
    seconds = time.perf_counter() - began
    ordered = sorted(latencies)
    return {
        "per_s": count / seconds,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p99_ms": ordered[int(len(ordered) * 0.99)] * 1000,
        "refused": len(failures),
    }


if __name__ == "__main__":
    port, path, connections, count, seed = sys.argv[1:]
    print(json.dumps(asyncio.run(run(int(port), path, int(connections), int(count), int(seed)))))
