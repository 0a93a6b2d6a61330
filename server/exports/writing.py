"""What was gathered, written into a sink in the format that was asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import orjson

from server.exports.frames import Frame
from server.exports.gathering import Gathered
from server.exports.manifest import codebook, manifest, manifest_rows
from server.exports.names import safe_name
from server.exports.options import Format
from server.exports.rows import csv_bytes
from server.exports.sinks import Output, Sink
from server.exports.writers import csv, dta, geojson, parquet, sav, sqlite, xlsx
from server.progress import Report, unseen

WRITERS: dict[Format, Callable[[Frame, Output], None]] = {
    Format.CSV: csv.write,
    Format.PARQUET: parquet.write,
    Format.SAV: sav.write,
    Format.DTA: dta.write,
    Format.GEOJSON: geojson.write,
}
"""Formats with a file for each table."""
MEDIA = "media"
"""The folder of the files that answers name."""
MEDIA_TITLES = ("path", "KEY", "name", "sha256")


def write_tables(found: Gathered, sink: Sink, folder: Path, report: Report = unseen) -> list[Frame]:
    """Write every table that the format can hold; return those. folder: for scratch. Raises OSError."""
    wanted = found.scope.options.format
    if wanted is Format.MEDIA:
        return []
    frames = [one for one in found.frames if wanted is not Format.GEOJSON or geojson.has_places(one)]
    if wanted.is_one_file:
        with sink.open(f"{safe_name(found.scope.form_id)}.{wanted.value}") as output:
            write_whole(found, output, folder)
        return frames
    advance = report("writing", sum(one.rows for one in frames))
    for one in frames:
        with sink.open(f"{one.name}.{wanted.value}", is_packed=wanted is Format.PARQUET) as output:
            WRITERS[wanted](one, output)
        advance(one.rows)
    return frames


def write_whole(found: Gathered, output: Output, folder: Path) -> None:
    """Write all tables, the codebook and the manifest as one file."""
    others = {
        "codebook": list(codebook(found, found.scope.languages)),
        **({"cleaning log": found.log} if found.log else {}),
        "manifest": list(manifest_rows(manifest(found))),
    }
    if found.scope.options.format is Format.XLSX:
        xlsx.write(found.frames, others, output)
    else:
        sqlite.write(found.frames, others, output, folder)


def write_documents(found: Gathered, sink: Sink, prefix: str = "") -> None:
    """Write what explains the tables and files: codebook, list of media, cleaning log of a clean view; and the manifest of
    all that is in the sink by then. prefix: of their names.
    """
    has_tables = found.scope.options.format is not Format.MEDIA
    if has_tables:
        with sink.open(f"{prefix}codebook.csv") as output:
            output.write(csv_bytes(codebook(found, found.scope.languages)))
    if found.wanted:
        with sink.open(f"{prefix}media.csv") as output:
            output.write(csv_bytes([MEDIA_TITLES]))
            for one in found.media():
                output.write(csv_bytes([(f"{MEDIA}/{one.path}", one.key, one.name, one.sha256)]))
    if has_tables and found.log:
        with sink.open(f"{prefix}cleaning_log.csv") as output:
            output.write(csv_bytes(found.log))
    with sink.open(f"{prefix}manifest.json") as output:
        output.write(orjson.dumps(manifest(found, sink.files), option=orjson.OPT_INDENT_2) + b"\n")
