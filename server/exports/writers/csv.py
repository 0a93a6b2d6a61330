"""CSV as ODK Central writes it."""

from __future__ import annotations

from collections.abc import Iterator

from server.exports.frames import Frame
from server.exports.rows import csv_bytes
from server.exports.sinks import Output


def write(one: Frame, output: Output) -> None:
    """Write a table with its titles."""
    for chunk in chunks(one):
        output.write(chunk)


def chunks(one: Frame) -> Iterator[bytes]:
    """Yield what `write` writes."""
    yield csv_bytes(one.heads)
    yield from one.chunks()
