"""What was gathered, written into a sink in the format that was asked for."""

from __future__ import annotations

import orjson

from server.exports.gathering import Gathered
from server.exports.manifest import codebook, manifest
from server.exports.rows import csv_bytes
from server.exports.sinks import Sink
from server.exports.writers import csv


def write_tables(found: Gathered, sink: Sink) -> None:
    """Write every table. Raises OSError."""
    for one in found.frames:
        with sink.open(f"{one.name}.csv") as output:
            csv.write(one, output)


def write_documents(found: Gathered, sink: Sink, prefix: str = "") -> None:
    """Write the codebook, and the manifest of all that is in the sink by then. prefix: of their names."""
    with sink.open(f"{prefix}codebook.csv") as output:
        output.write(csv_bytes(codebook(found, found.scope.languages)))
    with sink.open(f"{prefix}manifest.json") as output:
        output.write(orjson.dumps(manifest(found, sink.files), option=orjson.OPT_INDENT_2) + b"\n")
