"""`chapar serve` and `chapar demo`."""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.common import Data, Json, failures_told, settings, tell

if TYPE_CHECKING:
    from server.node import Node
    from server.settings import Settings

log = logging.getLogger("chapar.serve")

EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104


def serve(
    data: Data = None,
    host: Annotated[
        str | None, typer.Option(help="The address to listen on.", show_default="127.0.0.1")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(min=0, max=65_535, help="The port; 0 takes a free one.", show_default="8383"),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="How many processes serve; for a large centre.", show_default="1"),
    ] = None,
    as_json: Json = False,
) -> None:
    """Keep a server up. The first start makes the data directory, project 1, the forms and an administrator."""
    from server import logs
    from server.connections import listen
    from server.node import lock_data
    from server.settings import iter_unknown
    from server.workers import run_workers

    chosen = settings(data, host=host, port=port, workers=workers)
    logs.to_standard_error(chosen.log_level, chosen.log_format)
    for what, do in iter_unknown(os.environ):
        log.warning("%s. %s", what, do)
    for stop in (signal.SIGTERM, signal.SIGINT):  # uvicorn stops cleanly, then raises the signal again
        signal.signal(stop, lambda *_: sys.exit(0))
    _allow_open_files()
    with lock_data(chosen.data):
        listener = listen(chosen.host, chosen.port)
        say_up = partial(_say_up, chosen, listener.getsockname()[1])
        if chosen.workers == 1:
            _serve_alone(chosen, listener, say_up, as_json=as_json)
        else:
            run_workers(chosen, listener, partial(_prepare_apart, chosen, as_json=as_json), say_up)


def demo(
    out: Annotated[
        Path | None, typer.Option("--out", help="The folder for the exports.", show_default="demo-exports")
    ] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other made-up respondents.")] = 1,
    data: Annotated[
        Path | None, typer.Option("--data", help="Keep the server's data in this empty directory.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Show the whole road: sheets, a server, tablets on a bad link, one clean export, and a table that adds up."""
    from server.demo import run_demo

    raise typer.Exit(run_demo(out or Path("demo-exports"), seed=seed, as_json=as_json, keep_in=data))


def _serve_alone(
    chosen: Settings, listener: socket.socket, say_up: Callable[[], object], *, as_json: bool
) -> None:
    from server.node import open_node
    from server.serving import run_server

    node = open_node(chosen)
    try:
        _prepare(node, as_json=as_json)
        run_server(node, listener, say_up, leads=True)
    finally:
        node.close()


def _prepare_apart(chosen: Settings, *, as_json: bool) -> None:
    from server.node import open_node

    with failures_told():
        node = open_node(chosen)
        try:
            _prepare(node, as_json=as_json)
        finally:
            node.close()


def _prepare(node: Node, *, as_json: bool) -> None:
    from server import drafts, setup
    from server.publishing import release_waiting

    node.blobs.check()
    setup.ensure_project(node)
    published = setup.publish_bundled(node)
    release_waiting(node)
    drafts.sweep(node)
    node.blobs.clear_unfinished()
    administrator = setup.ensure_administrator(node)
    lines = [f"published {one.form_id} version {one.version}" for one in published]
    if administrator:
        lines += [
            f"first administrator: {administrator.email}",
            f"one-time password:   {administrator.password}",
            "change it: PUT /v1/users/current/password, or `chapar user password`",
        ]
    result = {
        "published": [{"form_id": one.form_id, "version": one.version} for one in published],
        "administrator": asdict(administrator) if administrator else None,
    }
    lines.append(f"enrol a tablet: chapar app-user create NAME --data {node.settings.data}")
    tell(result, "\n".join(lines), as_json=as_json)


def _say_up(settings: Settings, port: int) -> None:
    from server.node import announce

    announce(settings.data, _tablet_url(settings, port))
    typer.echo(f"listening on http://{_local_host(settings)}:{port}")


def _allow_open_files() -> None:
    """Take all the open files that the system grants: each tablet holds one, each large attachment another."""
    _, granted = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # macOS says “infinite” and does not mean it
        resource.setrlimit(resource.RLIMIT_NOFILE, (granted, granted))


def _local_host(settings: Settings) -> str:
    if settings.host in EVERYWHERE:
        return "127.0.0.1"
    return f"[{settings.host}]" if ":" in settings.host else settings.host


def _tablet_url(settings: Settings, port: int) -> str:
    """Where tablets on the same network reach this server, as well as it can be guessed without asking anybody."""
    host = _local_host(settings)
    if settings.host in EVERYWHERE:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect(("192.0.2.1", 9))  # a documentation address; connecting UDP sends nothing
                host = probe.getsockname()[0]
            except OSError:
                pass
    return f"http://{host}:{port}"
