"""`chapar backup` and `chapar restore`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.common import Data, Json, settings, tell

if TYPE_CHECKING:
    from server.backup import Manifest


def backup(
    path: Annotated[
        Path, typer.Argument(help="The file to write, or a folder in which it gets a name with the time.")
    ],
    verify: Annotated[
        bool, typer.Option("--verify", help="Write nothing: read this backup and check all of it.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Back up everything into one zip, also while the server runs. It holds personal data: only you can read it.

    Exit code 1 with a whole backup means that the node itself has lost something; it is told what.
    """
    from server.backup import back_up, verify_backup
    from server.cli.bars import bars
    from server.node import opened_to_read, require_store

    if verify:
        with bars() as report:
            manifest = verify_backup(path, report)
        tell({"path": str(path), **asdict(manifest)}, f"{path}: whole. {_content(manifest)}", as_json=as_json)
        return
    chosen = settings(data)
    require_store(chosen)
    with opened_to_read(chosen) as node, bars() as report:
        written, manifest = back_up(node, path, report)
    lines = [f"{written}: {_content(manifest)}", *_losses(manifest)]
    tell({"path": str(written), **asdict(manifest)}, "\n".join(lines), as_json=as_json)
    if manifest.missing or manifest.fault:
        raise typer.Exit(1)


def restore(
    path: Annotated[Path, typer.Argument(help="A backup, as `chapar backup` wrote it.")],
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Put a backup into an empty data directory, or the empty database that CHAPAR_DATABASE_URL names.

    The node is the same, under a new epoch. Everybody signs in again; tablets notice nothing. Cut off, it can be run again.
    """
    from server.cli.bars import bars
    from server.restore import restore as put_back

    chosen = settings(data)
    with bars() as report:
        manifest = put_back(chosen, path, report)
    lines = [
        f"restored into {'the database and ' if chosen.database_url else ''}{chosen.data}: {_content(manifest)}",
        f"What was erased after {manifest.made_at} is here again: erase it again.",
        *_losses(manifest),
    ]
    tell({"data": str(chosen.data), **asdict(manifest)}, "\n".join(lines), as_json=as_json)


def _content(manifest: Manifest) -> str:
    return (
        f"{manifest.entries} entries of {manifest.origin} as of {manifest.made_at}, "
        f"{manifest.files} files of {manifest.file_bytes} bytes"
    )


def _losses(manifest: Manifest) -> list[str]:
    lines = [f"The journal is not whole: {manifest.fault}."] if manifest.fault else []
    if manifest.missing:
        lines.append(f"{len(manifest.missing)} files are named but not there, or not what they were:")
    return [*lines, *manifest.missing]
