"""XLSX, written as a stream: one sheet a table, texts inline, so that memory does not grow with rows.

Source: ECMA-376 part 1, SpreadsheetML. Limits: support.microsoft.com, "Excel specifications and limits".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import lru_cache
from html import escape
from itertools import chain
from types import MappingProxyType
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from server.exports.frames import Frame
from server.exports.names import unlike
from server.exports.rows import Row
from server.exports.sinks import Output
from server.exports.variables import Kind

ROWS_MAX = 1_048_576
CELL_MAX = 32_767
"""Characters in a cell, counted as Excel does: in UTF-16."""
DIGITS_MAX = 15
NAME_MAX = 31
LEVEL = 1
EPOCH = date(1899, 12, 30).toordinal()
FIRST_DAY = date(1900, 3, 1)
"""Excel takes 1900 for a leap year: earlier days would be told one off."""
FORBIDDEN = re.compile(r"[\[\]:*?/\\\x00-\x1f]")
SPECIAL = re.compile(r"[&<>\r\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]|_x[0-9A-Fa-f]{4}_")
MARKS = bytes(code for code in range(32) if chr(code) not in "\t\n") + b"&<>"
UNWRITABLE = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006"
DECLARATION = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
BLANK = "<c/>"
Texts = Iterable[Sequence[str]]
Draw = Callable[[Sequence[str]], Iterable[str]]


def write(
    frames: Sequence[Frame],
    others: Mapping[str, Texts],
    output: Output,
    behind: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Write all tables. others: more sheets of texts, header first. behind: XML that follows the rows of one of these.

    Numbers and dates are Excel's own, dateTimes texts as they were sent. More rows than a sheet takes go on in another;
    a text beyond Excel's limit is cut, and a sheet `cut` says how many are.
    """
    book = _Book(output)
    for one in frames:
        book.add(one.name, one.heads, one.pages(), [_drawing(variable.kind) for variable in one.variables])
    for name, rows in others.items():
        header, *body = rows
        book.add(name, [header], iter([list(map(list, body))]), [_texts] * len(header), behind.get(name, ""))
    if book.cut:
        told = [str(book.cut)]
        book.add("cut", [[f"texts cut at {CELL_MAX} characters"]], iter([[told]]), [_numbers])
    book.close()


class _Book:
    def __init__(self, output: Output) -> None:
        self.cut = 0
        self._archive = ZipFile(output, "w")  # type: ignore[call-overload]
        self._names: list[str] = []

    def add(
        self,
        name: str,
        heads: Sequence[Sequence[str]],
        pages: Iterator[list[Row]],
        draws: Sequence[Draw],
        behind: str = "",
    ) -> None:
        """Write a table into as many sheets as it takes."""
        rows: list[Row] = []
        while True:
            self._names.append(name)
            with self._archive.open(_entry(f"xl/worksheets/sheet{len(self._names)}.xml"), "w") as sheet:
                frozen = f'<pane ySplit="{len(heads)}" topLeftCell="A{len(heads) + 1}" activePane="bottomLeft" state="frozen"/>'
                view = f'<sheetViews><sheetView workbookViewId="0">{frozen}</sheetView></sheetViews>'
                head = "".join(self._checked(heads, [_texts] * len(heads[0])))
                sheet.write(f'{DECLARATION}<worksheet xmlns="{MAIN}">{view}<sheetData>{head}'.encode())
                room = ROWS_MAX - len(heads)
                while room and (rows or (rows := next(pages, []))):
                    now, rows = rows[:room], rows[room:]
                    sheet.write("".join(self._checked(now, draws)).encode())
                    room -= len(now)
                sheet.write(f"</sheetData>{behind}</worksheet>".encode())
            if room:
                return

    def close(self) -> None:
        """Write what names the sheets."""
        sheets = list(enumerate(unlike((FORBIDDEN.sub("_", name) for name in self._names), NAME_MAX), 1))
        self._part(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>'
            + "".join(
                f'<sheet name="{escape(name)}" sheetId="{number}" r:id="rId{number}"/>'
                for number, name in sheets
            )
            + "</sheets></workbook>",
        )
        kinds = [(f"worksheets/sheet{number}.xml", "worksheet") for number, _ in sheets]
        relations = [*kinds, ("styles.xml", "styles")]
        self._part("xl/_rels/workbook.xml.rels", _relations(relations))
        self._part("_rels/.rels", _relations([("xl/workbook.xml", "officeDocument")]))
        self._part("xl/styles.xml", STYLES)
        overrides = [("workbook", "sheet.main"), ("styles", "styles")]
        overrides += [(target.removesuffix(".xml"), "worksheet") for target, _ in kinds]
        self._part("[Content_Types].xml", _types(overrides))
        self._archive.close()

    def _part(self, name: str, content: str) -> None:
        with self._archive.open(_entry(name), "w") as part:
            part.write((DECLARATION + content).encode())

    def _checked(self, rows: Sequence[Sequence[str]], draws: Sequence[Draw]) -> Iterator[str]:
        """Yield the rows as XML; pages with nothing to escape or to cut, which are most, take the short way."""
        lines = list(map("\n".join, rows))
        wide = (row for row, line in zip(rows, lines, strict=True) if len(line) > CELL_MAX // 2)
        is_long = any(len(cell) > CELL_MAX // 2 for cell in chain.from_iterable(wide))
        if is_long or _may_be_special("\n".join(lines)):
            rows = [[self._clean(cell) for cell in row] for row in rows]
        drawn = [draw(cells) for draw, cells in zip(draws, zip(*rows, strict=True), strict=True)]
        for cells in zip(*drawn, strict=True):
            yield f"<row>{''.join(cells)}</row>"

    def _clean(self, cell: str) -> str:
        if len(cell) > CELL_MAX // 2 and len(wide := cell.encode("utf-16-le")) > 2 * CELL_MAX:
            cell = wide[: 2 * CELL_MAX].decode("utf-16-le", "ignore")
            self.cut += 1
        if SPECIAL.search(cell):
            cell = escape(ESCAPED.sub("_x005F_", cell), quote=False).replace("\r", "&#13;")
            cell = UNWRITABLE.sub(lambda found: f"_x{ord(found[0]):04X}_", cell)
        return cell


def _may_be_special(text: str) -> bool:
    """Whether `SPECIAL` may be found: a sixth of its time."""
    content = text.encode()
    is_marked = len(content.translate(None, MARKS)) < len(content)
    return is_marked or b"_x" in content or b"\xef\xbf" in content  # U+FFFE, U+FFFF


def _drawing(kind: Kind) -> Draw:
    if kind is Kind.DATE:
        return _dates
    return _numbers if kind in (Kind.INTEGER, Kind.DECIMAL) else _texts


def _texts(cells: Sequence[str]) -> Iterable[str]:
    return [
        f'<c t="inlineStr"><is><t xml:space="preserve">{cell}</t></is></c>' if cell else BLANK
        for cell in cells
    ]


def _numbers(cells: Sequence[str]) -> Iterable[str]:
    """Excel keeps fifteen digits: longer numbers stay texts."""
    if max(map(len, cells)) > DIGITS_MAX:
        texts = _texts(cells)
        return [
            text if len(cell) > DIGITS_MAX else f"<c><v>{cell}</v></c>" if cell else BLANK
            for cell, text in zip(cells, texts, strict=True)
        ]
    return [f"<c><v>{cell}</v></c>" if cell else BLANK for cell in cells]


def _dates(cells: Sequence[str]) -> Iterable[str]:
    return [_date(cell) if cell else BLANK for cell in cells]


@lru_cache(maxsize=4096)
def _date(cell: str) -> str:
    day = date.fromisoformat(cell)
    return (
        f'<c s="1"><v>{day.toordinal() - EPOCH}</v></c>' if day >= FIRST_DAY else next(iter(_texts([cell])))
    )


def _entry(name: str) -> ZipInfo:
    entry = ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    entry.compress_type = ZIP_DEFLATED
    entry._compresslevel = LEVEL  # type: ignore[attr-defined]  # noqa: SLF001  (public from Python 3.13)
    entry.create_system = 3
    return entry


def _relations(targets: Sequence[tuple[str, str]]) -> str:
    return f'<Relationships xmlns="{PACKAGE}/relationships">' + (
        "".join(
            f'<Relationship Id="rId{number}" Type="{OFFICE}/{kind}" Target="{target}"/>'
            for number, (target, kind) in enumerate(targets, 1)
        )
        + "</Relationships>"
    )


def _types(overrides: Sequence[tuple[str, str]]) -> str:
    rels = "application/vnd.openxmlformats-package.relationships+xml"
    main = "application/vnd.openxmlformats-officedocument.spreadsheetml"
    return (
        f'<Types xmlns="{PACKAGE}/content-types"><Default Extension="rels" ContentType="{rels}"/>'
        '<Default Extension="xml" ContentType="application/xml"/>'
        + "".join(
            f'<Override PartName="/xl/{part}.xml" ContentType="{main}.{kind}+xml"/>'
            for part, kind in overrides
        )
        + "</Types>"
    )


STYLES = (
    f'<styleSheet xmlns="{MAIN}"><numFmts count="1"><numFmt numFmtId="164" formatCode="yyyy\\-mm\\-dd"/></numFmts>'
    '<fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
    '<fills count="2"><fill><patternFill patternType="none"/></fill><fill><patternFill patternType="gray125"/>'
    '</fill></fills><borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    '<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    '<cellXfs count="2"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/>'
    '<xf numFmtId="164" fontId="0" fillId="0" borderId="0" xfId="0" applyNumberFormat="1"/></cellXfs>'
    '<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles></styleSheet>'
)
