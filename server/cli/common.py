"""What the commands share: their options, opening the node, telling a result."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

if TYPE_CHECKING:
    from server.node import Node
    from server.settings import Settings

Data = Annotated[
    Path | None,
    typer.Option("--data", help="The data directory (or CHAPAR_DATA).", show_default="chapar-data"),
]
UnusedData = Annotated[
    Path | None, typer.Option("--data", help="Taken like everywhere; nothing is read or stored there.")
]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON document.")]
Url = Annotated[
    str, typer.Option("--url", help="The address tablets reach this server by, as http://10.0.0.5:8383.")
]
Png = Annotated[Path | None, typer.Option("--png", help="Where to write the QR code.")]
Project = Annotated[int, typer.Option("--project", help="The project's number.")]


def settings(data: Path | None, **given: object) -> Settings:
    """Return the settings: flags where given, else the environment, else the defaults."""
    from server.settings import read_settings

    flags = {name: value for name, value in {"data": data, **given}.items() if value is not None}
    return read_settings(os.environ, flags)


@contextmanager
def opened(data: Path | None, *, begins: bool = False, as_post: bool = False) -> Iterator[Node]:
    """Open the node of a data directory for one command; safe beside a running server.

    begins: a store that is not there is made, and that is told; else raises FileNotFoundError, for the directory may be
    mistyped. as_post: a new store gets no project of its own.
    """
    from server.node import open_node, require_store
    from server.setup import ensure_project

    chosen = settings(data)
    try:
        require_store(chosen)
    except FileNotFoundError:
        if not begins:
            raise
        typer.echo(f"There was no store in {chosen.data}; a new one is begun.", err=True)
    node = open_node(chosen)
    try:
        if not as_post:
            ensure_project(node)
        yield node
    finally:
        node.close()


def tell(result: Mapping[str, Any], text: str, *, as_json: bool) -> None:
    """Print the result: as JSON for scripts, as text for people."""
    typer.echo(orjson.dumps(result, option=orjson.OPT_INDENT_2).decode() if as_json else text)


def base_url(data: Path | None) -> str:
    """Return the address by which tablets reach the server, as well as it can be known beside it."""
    from server.node import find_serving_url

    found = settings(data)
    return found.public_url or find_serving_url(found.data) or f"http://{found.host}:{found.port}"


def show_code(content: bytes, png: Path, *, as_json: bool) -> None:
    """Write a QR code as PNG, for its owner's eyes only, and show it to people."""
    from server import enrolment

    png.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    png.write_bytes(enrolment.qr_png(content))
    png.chmod(0o600)
    if not as_json:
        enrolment.qr_code(content).terminal(compact=True)


@contextmanager
def failures_told() -> Iterator[None]:
    """Tell an expected failure in a sentence, and exit with 1."""
    try:
        yield
    except Exception as error:
        sentence = explain(error)
        if sentence is None:
            raise
        typer.echo(f"chapar: {sentence}", err=True)
        sys.exit(1)


def explain(error: Exception) -> str | None:
    """Return the sentence for a failure that a person can mend, None for a mistake of ours."""
    from sqlalchemy.exc import DBAPIError

    from forms.errors import FormError
    from server.backup import BackupError
    from server.node import DataDirectoryInUseError
    from server.problems import Problem
    from server.relay.bundle_files import BundleError
    from server.relay.session import RelayError
    from server.settings import SettingsError
    from server.store.copying import CopyDiffersError, StoreNotEmptyError
    from server.store.engine import StoreUnusableError
    from server.store.identity import StoreMovedError
    from server.store.troubles import is_of_sqlite, is_unusable
    from server.workers import WorkerFailedError

    if isinstance(error, DBAPIError) and is_unusable(error):
        more = ". `chapar doctor` says more." if is_of_sqlite(error) else ""
        return f"the database cannot be used: {error.orig}{more}"
    told = (
        FormError
        | Problem
        | BackupError
        | BundleError
        | CopyDiffersError
        | DataDirectoryInUseError
        | OSError
        | RelayError
        | SettingsError
        | StoreMovedError
        | StoreNotEmptyError
        | StoreUnusableError
        | WorkerFailedError
    )
    if isinstance(error, told):
        return str(error)
    return None
