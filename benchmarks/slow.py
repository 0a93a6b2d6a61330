"""`chapar`, but each commit takes 20 ms longer: a stand-in for a small computer with an SD card."""

from __future__ import annotations

import time

from sqlalchemy import Connection, Engine, event

from server.cli import main

SLOWER_S = 0.02


@event.listens_for(Engine, "commit")
def _wait(connection: Connection) -> None:
    if connection.get_execution_options().get("chapar_writes"):
        time.sleep(SLOWER_S)


if __name__ == "__main__":
    main()
