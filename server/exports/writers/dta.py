"""Stata: format 118, which Stata 14 and later read, in UTF-8.

Source: Stata, help dta, "File format of .dta files", release 118.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from datetime import date

from server.exports.frames import Frame
from server.exports.sinks import Output
from server.exports.variables import Kind
from server.exports.writers.measures import Measure, cut, measures, moment

TEXT_MAX = 2045
LONG_TEXT, DOUBLE = 32768, 65526
MISSING = struct.unpack("<d", bytes.fromhex("000000000000e07f"))[0]
DAYS, MOMENTS = date(1960, 1, 1), moment(1960, 1, 1)
LABEL_MAX = 80
FORMATS = {Kind.DATE: "%td", Kind.DATETIME: "%tc", Kind.INTEGER: "%12.0g"}


def write(one: Frame, output: Output) -> None:
    """Write a table: select_one as numbered answers with labels, blank numbers as missing, texts of any length whole."""
    columns = measures(one)
    labelled = [column for column in columns if column.value_labels]
    parts = [*_descriptions(columns), ("characteristics", b"")]
    tail = b"".join(map(_value_label, labelled))
    head = _header(len(columns), one.rows)
    sizes = [len(head), 14 * 8 + len("<map></map>"), *(len(_tagged(name, part)) for name, part in parts)]
    width = sum(map(_width, columns))
    long_texts = sum(len(text) for _, texts in _rows(one, columns, packed=False) for text in texts)
    sizes += [
        one.rows * width + len("<data></data>"),
        long_texts + len("<strls></strls>"),
        len(_tagged("value_labels", tail)),
        len("</stata_dta>"),
    ]
    offsets = [0, *(sum(sizes[:count]) for count in range(1, len(sizes) + 1))]
    output.write(head)
    output.write(_tagged("map", struct.pack("<14Q", *offsets)))
    for name, part in parts:
        output.write(_tagged(name, part))
    output.write(b"<data>")
    for data, _ in _rows(one, columns, packed=True):
        output.write(data)
    output.write(b"</data><strls>")
    for _, texts in _rows(one, columns, packed=False):
        for text in texts:
            output.write(text)
    output.write(b"</strls>" + _tagged("value_labels", tail) + b"</stata_dta>")


def _header(count: int, rows: int) -> bytes:
    release = b"<release>118</release><byteorder>LSF</byteorder>"
    numbers = b"<K>" + struct.pack("<H", count) + b"</K><N>" + struct.pack("<Q", rows) + b"</N>"
    blank = b"<label>\0\0</label><timestamp>\0</timestamp>"  # the time would differ at each export
    return b"<stata_dta>" + _tagged("header", release + numbers + blank)


def _descriptions(columns: Sequence[Measure]) -> list[tuple[str, bytes]]:
    return [
        ("variable_types", struct.pack(f"<{len(columns)}H", *map(_type, columns))),
        ("varnames", b"".join(_fixed(column.name, 129) for column in columns)),
        ("sortlist", bytes(2 * (len(columns) + 1))),
        ("formats", b"".join(_fixed(_format(column), 57) for column in columns)),
        (
            "value_label_names",
            b"".join(_fixed(column.name if column.value_labels else "", 129) for column in columns),
        ),
        ("variable_labels", b"".join(_fixed(column.label[:LABEL_MAX], 321) for column in columns)),
    ]


def _rows(one: Frame, columns: Sequence[Measure], *, packed: bool) -> Iterator[tuple[bytes, list[bytes]]]:
    """Yield each page as packed rows, or as the long texts that stand behind all rows."""
    long = [place for place, column in enumerate(columns) if _type(column) == LONG_TEXT]
    if not packed and not long:
        return
    pack = struct.Struct("<" + "".join(map(_code, columns))).pack
    packers = [_packer(column, place) for place, column in enumerate(columns, 1)]
    number = 0
    for page in one.pages():
        data, texts = [], []
        for row in page:
            number += 1
            if packed:
                data.append(pack(*(turn(cell, number) for turn, cell in zip(packers, row, strict=True))))
                continue
            for place in long:
                if row[place]:
                    content = row[place].encode() + b"\0"
                    texts.append(
                        struct.pack("<3sIQBI", b"GSO", place + 1, number, 130, len(content)) + content
                    )
        yield b"".join(data), texts


def _packer(column: Measure, place: int) -> Callable[[str, int], float | bytes]:
    if _type(column) == LONG_TEXT:
        return lambda cell, row: struct.pack("<HQ", place, row)[:8] if cell else bytes(8)
    if column.is_text:
        return lambda cell, _: cell.encode()
    read, times = column.reader(DAYS, MOMENTS), 1000 if column.kind is Kind.DATETIME else 1
    return lambda cell, _: read(cell) * times if cell else MISSING


def _type(column: Measure) -> int:
    if not column.is_text:
        return DOUBLE
    return column.width if column.width <= TEXT_MAX else LONG_TEXT


def _code(column: Measure) -> str:
    return "d" if not column.is_text else f"{_width(column)}s"


def _width(column: Measure) -> int:
    return column.width if column.is_text and column.width <= TEXT_MAX else 8


def _format(column: Measure) -> str:
    if column.is_text:
        return f"%{min(column.width, 80)}s" if column.width <= TEXT_MAX else "%9s"
    return FORMATS.get(column.kind, "%10.0g")


def _value_label(column: Measure) -> bytes:
    texts = [text.encode() + b"\0" for text in column.value_labels.values()]
    starts = [sum(map(len, texts[:count])) for count in range(len(texts))]
    count, size = len(texts), sum(map(len, texts))
    table = struct.pack(f"<II{count}I{count}i", count, size, *starts, *column.value_labels) + b"".join(texts)
    return _tagged("lbl", struct.pack("<I", len(table)) + _fixed(column.name, 129) + bytes(3) + table)


def _fixed(text: str, size: int) -> bytes:
    return cut(text, size - 1).ljust(size, b"\0")


def _tagged(name: str, content: bytes) -> bytes:
    return b"<" + name.encode() + b">" + content + b"</" + name.encode() + b">"
