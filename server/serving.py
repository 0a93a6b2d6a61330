"""Serving one node in this process, on a socket that is listening already: alone, or as one of several workers."""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable

import uvicorn

from server import garbage
from server.app import Application
from server.connections import patient
from server.node import Node

KEEP_ALIVE_S = 30
"""Longer than clients leave a connection unused: one that is closed just when it is used again fails a post."""
SWITCH_S = 0.001
"""How long the event loop may keep Python to itself while the writer, who makes everybody wait, asks for it."""
GRACE_S = 30
"""How long requests in flight may take after SIGTERM."""


def run_server(node: Node, listener: socket.socket, started: Callable[[], object], *, leads: bool) -> None:
    """Serve until SIGTERM or SIGINT. started: called once requests are answered. leads: see `Application`."""

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                garbage.search_seldom()
                started()

    sys.setswitchinterval(SWITCH_S)
    config = uvicorn.Config(
        Application(node, leads=leads),
        http=patient(node.settings.patience_s),
        log_config=None,
        access_log=False,  # paths hold tablets' tokens
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=GRACE_S,
        lifespan="on",
        ws="none",
    )
    Server(config).run(sockets=[listener])
