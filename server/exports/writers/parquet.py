"""Parquet: a typed column for each question, blank answers as null."""

from __future__ import annotations

import io
from collections.abc import Iterator

from server.exports.frames import Frame
from server.exports.sinks import Output
from server.exports.variables import Kind

GROUP_ROWS = 50_000
GROUP_BYTES = 64 << 20


def write(one: Frame, output: Output) -> None:
    """Write a table. A dateTime becomes a moment in UTC; its offset stays in the CSV.

    Arrow reads the cells from CSV: a fifth of the time that it takes to hand it each of them.
    """
    import pyarrow as pa
    from pyarrow import csv, parquet

    types = {
        Kind.TEXT: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.DECIMAL: pa.float64(),
        Kind.DATE: pa.date32(),
        Kind.DATETIME: pa.timestamp("ms", tz="UTC"),
    }
    schema = pa.schema([(variable.title, types[variable.kind]) for variable in one.variables])
    places = list(map(str, range(len(schema))))  # two titles may be the same
    with parquet.ParquetWriter(output, schema, compression="zstd") as writer:
        if not one.rows:
            return
        waiting: list[pa.RecordBatch] = []
        rows = size_bytes = 0
        for batch in csv.open_csv(
            _Chunks(one.chunks()),
            csv.ReadOptions(column_names=places, use_threads=False),
            csv.ParseOptions(newlines_in_values=True),
            csv.ConvertOptions(
                column_types=dict(zip(places, schema.types, strict=True)),
                null_values=[""],
                strings_can_be_null=True,
            ),
        ):
            waiting.append(batch.rename_columns(schema.names))
            rows, size_bytes = rows + len(batch), size_bytes + batch.nbytes
            if rows >= GROUP_ROWS or size_bytes >= GROUP_BYTES:
                writer.write_table(pa.Table.from_batches(waiting, schema))
                waiting.clear()
                rows = size_bytes = 0
        if waiting:
            writer.write_table(pa.Table.from_batches(waiting, schema))


class _Chunks(io.RawIOBase):
    """A file that gives whole rows only, be they more than it is asked for: Arrow takes no row in three pieces."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        found: list[bytes] = []
        while size > 0 and (chunk := next(self._chunks, b"")):
            found.append(chunk)
            size -= len(chunk)
        return b"".join(found)
