"""A bad link between two servers: slow, late, cut after any byte, deaf to answers, or dark for a while. Seeded by who uses it."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

RESET_ON_CLOSE = struct.pack("ii", 1, 0)
CHUNK_BYTES = 4096


@dataclass(frozen=True)
class Fault:
    """When a connection is reset: after so many bytes up, or down; None never. down 0: the first answer is lost."""

    up: int | None = None
    down: int | None = None


FINE = Fault()


class BadLink:
    """Stands on loopback before a server. draw: what happens to each new connection. port: of the server, may change.

    rate_bytes_s: each way, 0 for any. delay_s: of each chunk. up_bytes, down_bytes: what went through.
    """

    def __init__(self, port: int, draw: Callable[[], Fault] = lambda: FINE) -> None:
        self.port = port
        self.draw = draw
        self.is_dark = False
        self.rate_bytes_s = 0
        self.delay_s = 0.0
        self.up_bytes = self.down_bytes = self.cuts = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> BadLink:
        self._thread.start()
        starting = asyncio.start_server(self._carry, sock=self._socket)
        self._server = asyncio.run_coroutine_threadsafe(starting, self._loop).result(30)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        carrying = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in carrying:
            task.cancel()
        await asyncio.gather(*carrying, return_exceptions=True)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        fault = self.draw()
        ends = [writer]
        try:
            if self.is_dark:
                return
            above, upwards = await asyncio.open_connection("127.0.0.1", self.port)
            ends.append(upwards)
            ways = [
                asyncio.ensure_future(self._pump(reader, upwards, fault.up, "up_bytes")),
                asyncio.ensure_future(self._pump(above, writer, fault.down, "down_bytes")),
            ]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for end in ends:
                _reset(end)

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, budget: int | None, count: str
    ) -> None:
        passed = 0
        while chunk := await reader.read(CHUNK_BYTES):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            if self.rate_bytes_s:
                await asyncio.sleep(len(chunk) / self.rate_bytes_s)
            is_cut = self.is_dark or (budget is not None and passed + len(chunk) > budget)
            through = chunk[: max(0, (budget or 0) - passed)] if is_cut else chunk
            writer.write(through)
            await writer.drain()
            passed += len(through)
            setattr(self, count, getattr(self, count) + len(through))
            if is_cut:
                self.cuts += 1
                return


def _reset(writer: asyncio.StreamWriter) -> None:
    """Hang up so that the other side hears of it at once."""
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.fileno() >= 0:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
    writer.transport.abort()
