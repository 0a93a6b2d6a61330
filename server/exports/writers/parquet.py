"""Parquet: a typed column for each question, blank answers as null."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

from server.exports.frames import Frame
from server.exports.sinks import Output
from server.exports.variables import Kind

GROUP_ROWS = 50_000
GROUP_BYTES = 64 << 20
PAGES_AT_ONCE = 20


def write(one: Frame, output: Output) -> None:
    """Write a table. A dateTime becomes a moment in UTC; its offset stays in the CSV."""
    import pyarrow as pa
    from pyarrow import compute, parquet

    types = {
        Kind.TEXT: pa.string(),
        Kind.INTEGER: pa.int64(),
        Kind.DECIMAL: pa.float64(),
        Kind.DATE: pa.date32(),
        Kind.DATETIME: pa.timestamp("ms", tz="UTC"),
    }
    schema = pa.schema([(variable.title, types[variable.kind]) for variable in one.variables])

    def typed(cells: Iterable[str], wanted: Any) -> Any:
        texts = pa.array(cells, pa.string())
        filled = compute.if_else(compute.equal(texts, ""), None, texts)
        return filled if wanted == pa.string() else filled.cast(wanted)

    with parquet.ParquetWriter(output, schema, compression="zstd") as writer:
        waiting: list[Any] = []

        def flush() -> None:
            if waiting:
                writer.write_table(pa.Table.from_batches(waiting, schema))
                waiting.clear()

        for rows in _many(one):
            columns = zip(*rows, strict=True)
            arrays = [typed(cells, field.type) for cells, field in zip(columns, schema, strict=True)]
            waiting.append(pa.record_batch(arrays, schema=schema))
            if (
                sum(len(batch) for batch in waiting) >= GROUP_ROWS
                or sum(batch.nbytes for batch in waiting) >= GROUP_BYTES
            ):
                flush()
        flush()


def _many(one: Frame) -> Iterable[list[list[str]]]:
    """Some pages together: arrays are cheap by the cell, not by the piece."""
    pages = []
    for page in one.pages():
        pages.append(page)
        if len(pages) == PAGES_AT_ONCE:
            yield list(chain.from_iterable(pages))
            pages = []
    if pages:
        yield list(chain.from_iterable(pages))
