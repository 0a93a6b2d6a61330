"""A thousand records over a satellite link: 64 kbit/s each way, 800 ms there and back, one packet in twenty lost.

`python -m benchmarks.link` (as root, Linux; some minutes): the centre and the post are real processes in two network
namespaces with the kernel's TCP, and this process is the link between: it carries their packets, late, slowly, not all.
"""

from __future__ import annotations

import fcntl
import os
import random
import select
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Self

from benchmarks.meeting import FORM, collect, pair
from benchmarks.records import facts_of_records, filled
from benchmarks.server import CHAPAR
from server.node import open_node
from server.relay import client
from server.settings import Settings

RECORDS, RUNS = 1000, 5
RATE_BYTES_S = 8000
DELAY_S = 0.4
LOSS = 0.05
QUEUE_BYTES_MAX = 32_000
"""What waits at the modem, four seconds of it; more is dropped."""
MTU_BYTES = 1500
PORT, SINK_PORT = 8383, 8384
SIDES = (("chapar-post", "10.77.0.1", "10.77.0.2"), ("chapar-centre", "10.77.0.2", "10.77.0.1"))
IP = shutil.which("ip") or "/usr/sbin/ip"
TUN_SET, TUN, NO_PACKET_INFO = 0x400454CA, 0x0001, 0x1000


class Link:
    """Two network namespaces, and the only way between them."""

    def __enter__(self) -> Self:
        self._chance = random.Random(1)
        self._tuns = []
        for name, here, there in SIDES:
            tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
            fcntl.ioctl(tun, TUN_SET, struct.pack("16sH", name.encode(), TUN | NO_PACKET_INFO))
            self._tuns.append(tun)
            _ip("netns", "add", name)
            _ip("link", "set", name, "netns", name)
            _ip("-n", name, "address", "add", here, "peer", there, "dev", name)
            _ip("-n", name, "link", "set", name, "mtu", str(MTU_BYTES), "up")
            _ip("-n", name, "link", "set", "lo", "up")
        self.bytes = 0
        self._ends = False
        self._thread = threading.Thread(target=self._carry)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ends = True
        self._thread.join()
        for tun, (name, _, _) in zip(self._tuns, SIDES, strict=True):
            os.close(tun)
            _ip("netns", "delete", name)

    def _carry(self) -> None:
        """Each way: what is read leaves when all before it has, and arrives later; some never does."""
        free_at = [0.0, 0.0]
        on_way: tuple[deque[tuple[float, bytes]], ...] = (deque(), deque())
        while not self._ends:
            ready, _, _ = select.select(self._tuns, [], [], 0.002)
            now = time.monotonic()
            for way, (source, target) in enumerate((self._tuns, self._tuns[::-1])):
                if source in ready:
                    packet = os.read(source, 65_536)
                    self.bytes += len(packet)
                    is_full = (free_at[way] - now) * RATE_BYTES_S > QUEUE_BYTES_MAX
                    if not is_full:
                        free_at[way] = max(free_at[way], now) + len(packet) / RATE_BYTES_S
                        if self._chance.random() >= LOSS:
                            on_way[way].append((free_at[way] + DELAY_S, packet))
                while on_way[way] and on_way[way][0][0] <= now:
                    os.write(target, on_way[way].popleft()[1])


def main() -> None:
    """Print the table."""
    met, plain = [], []
    with TemporaryDirectory() as folder, Link() as link:
        with pair(Path(folder), f"http://{SIDES[1][1]}:{PORT}"):
            pass
        centre = _run(
            1, CHAPAR, "serve", "--host", SIDES[1][1], "--port", str(PORT), "--data", f"{folder}/centre"
        )
        sink = _run(1, sys.executable, "-m", "benchmarks.link", "sink")
        try:
            for process in (centre, sink):
                assert process.stdout is not None
                while "listening on" not in process.stdout.readline():
                    pass
            for seed in range(RUNS):
                post = open_node(Settings(data=Path(folder) / "post"))
                collect(post, facts_of_records(filled(FORM, RECORDS, seed)[0]))
                post.close()
                before = link.bytes
                met.append([*_timed("meet", f"{folder}/post"), link.bytes - before])
                plain += _timed("send", f"{met[-1][1]:.0f}")
        finally:
            for process in (centre, sink):
                process.terminate()
                process.communicate()
    seconds, payload, exchanges, carried = map(median, zip(*met, strict=True))
    print(f"| {RECORDS:,} records, 64 kbit/s, 800 ms, 5 % lost; medians of {RUNS} | |\n|---|---|")
    print(f"| bytes of messages, of packets | {payload:,.0f}, {carried:,.0f} |")
    print(f"| seconds, in exchanges | {seconds:.1f}, {exchanges:.0f} |")
    print(f"| seconds of a plain transfer of as many bytes | {median(plain):.1f} |")
    print(f"| ratio | {seconds / median(plain):.2f} |")


def _timed(what: str, on: str) -> list[float]:
    """Run one of the functions below on the post's side; return what it prints."""
    said, _ = _run(0, sys.executable, "-m", "benchmarks.link", what, on).communicate(timeout=1200)
    return list(map(float, said.split()))


def meet(data: str) -> None:
    """Meet the centre; print seconds, bytes and exchanges."""
    node = open_node(Settings(data=Path(data)))
    began = time.monotonic()
    met = client.relay(node)
    print(time.monotonic() - began, met.sent_bytes + met.received_bytes, met.exchanges)


def send(count: str) -> None:
    """Send so many bytes over one connection, as the relay has them; print the seconds until all have come."""
    with socket.socket() as plain:
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"bbr")
        began = time.monotonic()
        plain.connect((SIDES[1][1], SINK_PORT))
        plain.sendall(bytes(int(count)))
        plain.shutdown(socket.SHUT_WR)
        plain.recv(1)
        print(time.monotonic() - began)


def sink() -> None:
    """Take what connections bring, one after the other, and say when all has come."""
    with socket.create_server((SIDES[1][1], SINK_PORT)) as server:
        print("listening on", SINK_PORT, flush=True)
        while True:
            plain, _ = server.accept()
            with plain:
                while plain.recv(65_536):
                    pass
                plain.sendall(b".")


def _run(side: int, *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [IP, "netns", "exec", SIDES[side][0], *command], stdout=subprocess.PIPE, text=True
    )


def _ip(*words: str) -> None:
    subprocess.run([IP, *words], check=True)


if __name__ == "__main__":
    what, *words = sys.argv[1:] or ["main"]
    {"main": main, "meet": meet, "send": send, "sink": sink}[what](*words)
