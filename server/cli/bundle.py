"""`chapar bundle`: a relay in a file, for a courier."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from server.cli.common import Data, Json, opened, tell

app = typer.Typer(help="A relay in a file, where no network is.", no_args_is_help=True)

For = Annotated[str, typer.Option("--for", help="The post it is for; without, the centre.")]


@app.command("write")
def write(
    to: Annotated[Path, typer.Option("--to", help="The file to write.")],
    receiver: For = "",
    size: Annotated[
        int, typer.Option("--size", help="Split it into files of at most so many bytes; 0 for one.", min=0)
    ] = 0,
    everything: Annotated[
        bool, typer.Option("--everything", help="Also what the other server has said that it holds.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Write what the other server lacks. Only it can open the file; a courier can read counts and the date."""
    from server.relay.bundles import find_receiver, write_bundle

    with opened(data, as_post=True) as node:
        other = find_receiver(node, receiver)
        written = write_bundle(node, other, to, size_max=size, everything=everything)
    files = [{"path": str(path), **asdict(header)} for path, header in written]
    lines = [f"{path}: {header.entries} entries, {header.files} files" for path, header in written]
    tell({"files": files}, "\n".join(lines), as_json=as_json)


@app.command("read")
def read(
    files: Annotated[list[Path], typer.Argument(help="Bundles, in any order; each may be read again.")],
    receipt: Annotated[
        Path | None, typer.Option("--receipt", help="Where to write what tells the sender that it is here.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
) -> None:
    """Take in bundles and receipts. Exit code 1 when one was damaged or refused; the rest is taken in."""
    from server.cli.bars import bars
    from server.progress import counted
    from server.publishing import release_waiting
    from server.relay.bundles import answer_all, read_bundles
    from server.sweeping import sweep

    with opened(data, as_post=True) as node:
        with bars() as report:
            advance = report("bundles", len(files))
            taken = list(counted(read_bundles(node, files), advance))
        release_waiting(node)
        sweep(node.engine, node.blobs)  # what it erased is gone also where no server runs
        receipts = answer_all(node, taken, receipt) if receipt else []
    lines = [f"{one.path}: {one.entries} new entries. {one.problem}".strip() for one in taken]
    lines += [f"{path}: the receipt for {name}" for path, name in receipts]
    result = {
        "files": [{**asdict(one), "path": str(one.path)} for one in taken],
        "receipts": [{"path": str(path), "for": name} for path, name in receipts],
    }
    tell(result, "\n".join(lines), as_json=as_json)
    if any(one.problem for one in taken):
        raise typer.Exit(1)
