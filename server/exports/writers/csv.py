"""CSV as ODK Central writes it."""

from __future__ import annotations

from server.exports.frames import Frame
from server.exports.rows import csv_bytes
from server.exports.sinks import Output


def write(one: Frame, output: Output) -> None:
    """Write a table with its titles."""
    output.write(csv_bytes(one.heads))
    for chunk in one.chunks():
        output.write(chunk)
