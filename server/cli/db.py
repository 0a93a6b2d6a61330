"""`chapar db`: moving to another database."""

from __future__ import annotations

from typing import Annotated

import typer

from server.cli.common import Data, Json, settings, tell

app = typer.Typer(help="Move the records to another database.", no_args_is_help=True)

SQLITE = "sqlite"


@app.command("copy")
def copy(
    target: Annotated[
        str,
        typer.Argument(
            help="An empty PostgreSQL database, as postgresql://user@host/name (the password from PGPASSWORD or "
            "~/.pgpass), or “sqlite”: chapar.sqlite in the data directory."
        ),
    ],
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave the old store in use: the two go apart from here.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Copy every row of this node's store into an empty database, and compare them. Stop the server first.

    Files stay where they are. The old store refuses to be used from then on.
    """
    from server.cli.bars import bars
    from server.moving import copy_store, describe
    from server.node import require_store
    from server.settings import is_of_postgresql

    if target != SQLITE and not is_of_postgresql(target):
        raise typer.BadParameter("Give postgresql://user@host/name, or sqlite.")
    chosen, url = settings(data), "" if target == SQLITE else target
    require_store(chosen)
    with bars() as report:
        rows = copy_store(chosen, url, report, keep=keep)
    where = describe(chosen, url)
    then = f"Set CHAPAR_DATABASE_URL={where}" if url else "Unset CHAPAR_DATABASE_URL"
    lines = [f"{rows} rows copied to {where}, and compared.", f"{then} and start the server."]
    tell({"rows": rows, "target": where, "kept": keep}, "\n".join(lines), as_json=as_json)


@app.command("reopen")
def reopen(data: Data = None, as_json: Json = False) -> None:
    """Use a store again whose records were copied away. What came in elsewhere since is not in it."""
    from server.moving import describe, reopen_store
    from server.node import require_store

    chosen = settings(data)
    require_store(chosen)
    reopen_store(chosen)
    where = describe(chosen, chosen.database_url)
    tell({"reopened": where}, f"{where} is in use again.", as_json=as_json)
