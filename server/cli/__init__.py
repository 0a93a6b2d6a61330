"""The command `chapar`: everything an operator does. Imports are inside the commands, so that `--help` is quick."""

from __future__ import annotations

import typer

from server.cli import (
    accounts,
    backup,
    bundle,
    cleaning,
    conflicts,
    db,
    doctor,
    duplicates,
    entities,
    erase,
    export,
    forms,
    post,
    relay,
    serve,
)
from server.cli.common import failures_told

app = typer.Typer(
    name="chapar",
    help="Chapar: a field data-collection server for tablets that are offline for days.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("serve")(serve.serve)
app.command("demo")(serve.demo)
app.command("doctor")(doctor.doctor)
app.command("export")(export.export)
app.command("flows")(export.flows)
app.command("rebuild")(export.rebuild)
app.command("backup")(backup.backup)
app.command("restore")(backup.restore)
app.command("erase")(erase.erase)
app.command("quarantine")(export.quarantine)
app.add_typer(forms.app, name="forms")
app.add_typer(conflicts.app, name="conflicts")
app.add_typer(duplicates.app, name="duplicates")
app.add_typer(cleaning.app, name="cleaning")
app.add_typer(entities.app, name="entities")
app.add_typer(db.app, name="db")
app.add_typer(post.app, name="post")
app.add_typer(bundle.app, name="bundle")
app.add_typer(relay.app, name="relay")
app.add_typer(accounts.users, name="user")
app.add_typer(accounts.app_users, name="app-user")


def main() -> None:
    """Run the command line."""
    with failures_told():
        app()
