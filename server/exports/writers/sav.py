"""SPSS: a system file in UTF-8.

Source: PSPP, "System File Format".
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Callable, Sequence
from datetime import date
from itertools import count

from server.exports.frames import Frame
from server.exports.sinks import Output
from server.exports.variables import Kind
from server.exports.writers.measures import Measure, cut, measures, moment

TEXT_MAX = 32_767
SHORT_MAX, SEGMENT_DATA, SEGMENT_WIDTH = 255, 252, 256
MISSING = -sys.float_info.max
DAY_S = 86_400
DAYS, MOMENTS = date(1582, 10, 14), moment(1582, 10, 14)
LABEL_MAX, VALUE_LABEL_MAX = 255, 120
TEXT_FORMAT, NUMBER_FORMAT = 1, 5
FORMATS = {
    Kind.INTEGER: (NUMBER_FORMAT, 12, 0),
    Kind.DECIMAL: (NUMBER_FORMAT, 16, 6),
    Kind.DATE: (20, 11, 0),
    Kind.DATETIME: (22, 23, 3),
}


def write(one: Frame, output: Output) -> None:
    """Write a table: select_one as numbered answers with labels, blank numbers as missing.

    A text is cut at 32,767 bytes, and one cannot tell how many blanks it ended in: the format has no more.
    """
    columns = measures(one)
    numbers = count(1)
    segments = [[(f"V{next(numbers)}", width) for width in _widths(column)] for column in columns]
    elements = [sum(-(-width // 8) or 1 for _, width in own) for own in segments]
    head = b"$FL2" + b"@(#) SPSS DATA FILE".ljust(60)
    head += struct.pack("<iiiiid", 2, sum(elements), 0, 0, one.rows, 100.0)
    output.write(head + b"01 Jan 70" + b"00:00:00" + bytes(0).ljust(64) + bytes(3))
    for column, own in zip(columns, segments, strict=True):
        output.write(_variable(column, own))
    place = 1
    for column, size in zip(columns, elements, strict=True):
        if column.value_labels:
            output.write(_value_labels(column, place))
        place += size
    output.write(_extensions(columns, segments))
    output.write(struct.pack("<ii", 999, 0))
    packers = [_packer(column, own) for column, own in zip(columns, segments, strict=True)]
    for page in one.pages():
        output.write(b"".join(pack(cell) for row in page for pack, cell in zip(packers, row, strict=True)))


def _widths(column: Measure) -> list[int]:
    """The widths of the pieces that a column is stored in, 0 for a number."""
    if not column.is_text:
        return [0]
    width = min(column.width, TEXT_MAX)
    if width <= SHORT_MAX:
        return [width]
    pieces = -(-width // SEGMENT_DATA)
    return [*[SHORT_MAX] * (pieces - 1), width - (pieces - 1) * SEGMENT_DATA]


def _variable(column: Measure, segments: Sequence[tuple[str, int]]) -> bytes:
    found = []
    for number, (name, width) in enumerate(segments):
        label = cut(column.label, LABEL_MAX) if number == 0 else b""
        kind, wide, decimals = (
            (TEXT_FORMAT, width, 0) if width else FORMATS.get(column.kind, FORMATS[Kind.DECIMAL])
        )
        shown = kind << 16 | wide << 8 | decimals
        found.append(struct.pack("<iiiiii8s", 2, width, bool(label), 0, shown, shown, name.encode().ljust(8)))
        if label:
            found.append(struct.pack("<i", len(label)) + label.ljust(-(-len(label) // 4) * 4))
        more = struct.pack("<iiiiii8s", 2, -1, 0, 0, 0, 0, b" " * 8)
        found.append(more * (-(-width // 8) - 1))
    return b"".join(found)


def _value_labels(column: Measure, place: int) -> bytes:
    found = [struct.pack("<ii", 3, len(column.value_labels))]
    for code, text in column.value_labels.items():
        label = cut(text, VALUE_LABEL_MAX)
        content = bytes([len(label)]) + label
        found.append(struct.pack("<d", code) + content.ljust(-(-len(content) // 8) * 8))
    return b"".join(found) + struct.pack("<iii", 4, 1, place)


def _extensions(columns: Sequence[Measure], segments: Sequence[Sequence[tuple[str, int]]]) -> bytes:
    """What newer readers need: numbers of this machine, long names, long texts, the encoding."""
    integers = struct.pack("<8i", 26, 0, 0, -1, 1, 1, 2, 65001)
    floats = struct.pack(
        "<3d", MISSING, sys.float_info.max, struct.unpack("<d", bytes.fromhex("feffffffffffefff"))[0]
    )
    names = "\t".join(f"{own[0][0]}={column.name}" for column, own in zip(columns, segments, strict=True))
    widths = "".join(
        f"{own[0][0]}={min(column.width, TEXT_MAX):05}\0\t"
        for column, own in zip(columns, segments, strict=True)
        if len(own) > 1
    )
    found = [
        struct.pack("<4i", 7, 3, 4, 8) + integers,
        struct.pack("<4i", 7, 4, 8, 3) + floats,
        struct.pack("<4i", 7, 13, 1, len(names)) + names.encode(),
    ]
    if widths:
        found.append(struct.pack("<4i", 7, 14, 1, len(widths)) + widths.encode())
    return b"".join([*found, struct.pack("<4i", 7, 20, 1, 5) + b"UTF-8"])


def _packer(column: Measure, segments: Sequence[tuple[str, int]]) -> Callable[[str], bytes]:
    if not column.is_text:
        read, number = column.reader(DAYS, MOMENTS), struct.Struct("<d").pack
        times = DAY_S if column.kind is Kind.DATE else 1
        return lambda cell: number(read(cell) * times if cell else MISSING)
    size = sum(-(-width // 8) * 8 for _, width in segments)
    if len(segments) == 1:
        return lambda cell: cell.encode().ljust(size)

    def pack(cell: str) -> bytes:
        text = cut(cell, TEXT_MAX)
        pieces = (
            text[start : start + SHORT_MAX].ljust(SEGMENT_WIDTH) for start in range(0, len(text), SHORT_MAX)
        )
        return b"".join(pieces)[:size].ljust(size)

    return pack
