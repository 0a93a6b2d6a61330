"""Workbooks and texts as they come: what cells look like, and every file that is refused with what to do."""

from __future__ import annotations

import contextlib
import io
import struct
import zipfile
from datetime import date, datetime

import openpyxl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openpyxl.styles import Font
from workbooks import BOOK, FILES, SHEET, book, edited, part, saved, with_part, worksheet

from forms import excel, workbook
from forms.check.check import check_form
from forms.compile import compile_form
from forms.errors import Fault, FormError
from forms.tables import ROWS_MAX, column_letters, column_number

NAMED = "| survey |\n| | type | name | label |\n"
HEADERS: list[object] = ["type", "name", "label"]


def refusal(data: bytes | str, file_name: str = "visit.md") -> tuple[Fault, ...]:
    """Return the faults for which a file is refused."""
    with pytest.raises(FormError) as refused:
        compile_form(data.encode() if isinstance(data, str) else data, file_name)
    return refused.value.faults


def cells(data: bytes, file_name: str = "visit.xlsx", sheet: str = "survey") -> list[dict[str, str]]:
    """Return the rows of a sheet."""
    return [dict(row.cells) for row in workbook.read(data, file_name)[sheet].rows]


def test_an_old_xls_keeps_numbers_dates_and_marks() -> None:
    form = compile_form((FILES / "old_book.xls").read_bytes(), "old_book.xls")

    assert (form.schema.form_id, form.schema.version) == ("old_book", "2026050101")
    assert [field.default for field in form.schema.fields[:2]] == ["3", "2026-05-01"]
    assert form.marks.flags == {"/age": "Q"}
    assert form.warnings == ()


def test_cells_of_an_xlsx_are_read_as_they_look() -> None:
    survey_rows: list[list[object]] = [
        ["type", "name", "label", "default"],
        ["date", "a", "A", datetime(2026, 5, 1)],  # noqa: DTZ001 (a cell has no zone)
        ["integer", "b", "B\xa0b", 3.0],
        ["decimal", "c", True, 1.1],
    ]
    schema = compile_form(book(survey=survey_rows), "visit.xlsx").schema

    assert [field.default for field in schema.fields[:3]] == ["2026-05-01", "3", "1.1"]
    assert [dict(field.label) for field in schema.fields[1:3]] == [{"default": "B b"}, {"default": "TRUE"}]


def test_rows_are_numbered_as_excel_numbers_them() -> None:
    rows: list[list[object]] = [[], ["type", "name", "label"], ["text", "a", "A"], [], [], ["txet", "b", "B"]]

    (fault,) = refusal(book(Questions=rows), "visit.xlsx")
    assert (fault.sheet, fault.row, fault.column) == ("Questions", 6, "type")


def test_rows_of_a_csv_are_numbered_through_the_file() -> None:
    (fault,) = refusal("settings,,\n,form_id,\n,visit,\n\nsurvey,,\n,type,name\n,text,\n", "visit.csv")

    assert (fault.sheet, fault.row, fault.column) == ("survey", 7, "name")


def test_formulas_that_fail_or_were_never_calculated_are_refused() -> None:
    rows: list[list[object]] = [["type", "name", "label"], ["text", "a", "#REF!"], ["text", "b", '="B"']]

    failed, uncalculated = refusal(book(survey=rows), "visit.xlsx")
    assert (failed.row, failed.column) == (2, "label")
    assert (uncalculated.row, uncalculated.column) == (3, "label")


def test_sheets_that_are_no_part_of_the_form_may_hold_anything() -> None:
    notes: list[list[object]] = [["a", "a"], ["#REF!", "=1/0"], ["type", None]]
    questions: list[list[object]] = [["type", "name", "label"], ["text", "a", "A"]]

    form = compile_form(book(notes=notes, survey=questions), "visit.xlsx")
    assert [field.path for field in form.schema.fields] == ["/a", "/meta/instanceID"]


def test_a_formula_with_an_empty_result_is_an_empty_cell() -> None:
    rows: list[list[object]] = [["type", "name", "label", "hint"], ["text", "a", "A", '=IF(1,"","")']]
    data = book(survey=rows)
    sheet = part(data)
    calculated = sheet.replace(b'<c r="D2">', b'<c r="D2" t="str">')

    assert calculated != sheet
    form = compile_form(with_part(data, SHEET, calculated), "visit.xlsx")
    assert dict(form.schema.fields[0].hint) == {}


def test_an_invisible_character_is_refused_at_its_cell() -> None:
    (fault,) = refusal(NAMED + "| | text | a | A\x00B |")

    assert (fault.row, fault.column) == (2, "label")
    assert "U+0000" in fault.message


def test_too_many_rows_are_refused() -> None:
    rows = "\n".join(f",text,q{number},Q" for number in range(ROWS_MAX + 1))

    (fault,) = refusal(f"survey,,,\n,type,name,label\n{rows}\n", "visit.csv")
    assert fault.row == ROWS_MAX + 3


def test_a_format_down_to_the_last_row_costs_nothing() -> None:
    data = book(survey=[["type", "name", "label"], ["text", "a", "A"]])
    sheet = part(data)
    long = sheet.replace(b"</sheetData>", b'<row r="1048576"><c r="A1048576" s="0"/></row></sheetData>')

    assert long != sheet
    assert len(compile_form(with_part(data, SHEET, long), "visit.xlsx").schema.fields) == 2


def lying_bomb() -> bytes:
    """Return a book whose directory gives ten bytes for a part that unpacks to 60 MB."""
    data = bytearray(with_part(BOOK, "xl/media/a.bin", b"\0" * 60_000_000))
    for signature, offset in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        name_at = data.index(b"xl/media/a.bin", data.index(b"PK\x01\x02") if offset == 24 else 0)
        entry = data.rindex(signature, 0, name_at)
        struct.pack_into("<I", data, entry + offset, 10)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "file_name", "words"),
    [
        (b"", "visit.xlsx", "empty"),
        (b"\n \n", "visit.csv", "empty"),
        (BOOK[:2000], "visit.xlsx", "damaged"),
        (BOOK.replace(SHEET.encode(), b"xl/worksheets/sheetX.xml"), "visit.xlsx", "damaged"),
        (excel.OLE + b"\0" * 600, "visit.xls", "damaged"),
        ((FILES / "old_book.xls").read_bytes()[:3000], "old_book.xls", "damaged"),
        ((FILES / "sealed.xlsx").read_bytes(), "sealed.xlsx", "password"),
        (BOOK, "visit.xlsm", "macros"),
        (with_part(BOOK, "xl/vbaProject.bin", b"x"), "visit.xlsx", "macros"),
        ((FILES / "old_book.xls").read_bytes() + excel.XLS_MACROS, "old_book.xls", "macros"),
        (with_part(BOOK, "xl/media/a.bin", b"\0" * 120_000_000), "visit.xlsx", "unpacks"),
        (with_part(BOOK, "xl/media/a.bin", b"\0" * 20_000_000), "visit.xlsx", "unpacks"),
        (
            with_part(BOOK, "xl/styles.xml", b'<!DOCTYPE a [<!ENTITY b "c">]><styleSheet/>'),
            "visit.xlsx",
            "damaged",
        ),
        (with_part(b"PK\x05\x06" + b"\0" * 18, "content.xml", b"<a/>"), "visit.ods", "OpenDocument"),
        (b"plain words", "visit.xlsx", "named .xlsx"),
        (b"%PDF-1.7", "visit.pdf", "named .pdf"),
        (b"<html></html>", "visit.csv", "web page"),
        (b"nothing of a sheet", "visit.md", "'survey'"),
        (b"survey,,\n,type,name\n,text,caf\xe9\n", "visit.csv", "UTF-8"),
        (b'survey,,\n,type,"' + b"x" * 200_000 + b'"\n', "visit.csv", "CSV"),
        (b"x" * 20_000_001, "visit.csv", "20 MB"),
    ],
)
def test_a_file_that_is_no_harmless_sheet_is_refused(data: bytes, file_name: str, words: str) -> None:
    (fault,) = refusal(data, file_name)

    assert words in fault.message
    assert fault.fix


def test_a_zip_that_lies_about_its_size_is_refused_before_it_unpacks() -> None:
    (fault,) = refusal(lying_bomb(), "visit.xlsx")

    assert "damaged" in fault.message


def test_text_in_another_encoding_is_refused_with_its_row() -> None:
    (fault,) = refusal("survey,,\n,type,name\n,text,é\n".encode("latin-1"), "visit.csv")

    assert fault.row == 3


def test_columns_are_lettered_as_excel_does() -> None:
    assert [column_letters(number) for number in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]
    assert [column_number(column_letters(number)) for number in range(1_000)] == list(range(1_000))


def test_numbers_dates_and_truths_in_the_column_name_are_texts() -> None:
    choices = [
        ["list_name", "name", "label"],
        ["t", 1.0, "A"],
        ["t", date(2026, 5, 1), "B"],
        ["t", True, "C"],
    ]
    data = book(survey=[HEADERS, ["select_one t", "a", "A"]], choices=choices)

    assert [row["name"] for row in cells(data, sheet="choices")] == ["1", "2026-05-01", "TRUE"]


def test_dates_are_known_by_their_format_and_counted_from_the_books_first_day() -> None:
    made = openpyxl.Workbook()
    made.active.title = "survey"
    formats = ["yyyy-mm-dd", "[h]:mm", '"day "0', "[Red]0.00", "General", "hh:mm:ss"]
    made.active.append(["default"])
    for number, shown in enumerate(formats, start=2):
        made.active.cell(number, 1, 46143.25 if number < 7 else 0.25).number_format = shown
    expected = ["2026-05-01T06:00:00", "2026-05-01T06:00:00", *["46143.25"] * 3, "06:00:00"]

    assert [row["default"] for row in cells(saved(made))] == expected
    made.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    assert cells(saved(made))[0] == {"default": "2030-05-02T06:00:00"}


def test_formulas_give_the_result_that_the_file_holds() -> None:
    data = book(survey=[HEADERS, ["text", "a", '="A"&"B"']])

    calculated = edited(data, b"<v/>" if b"<v/>" in part(data) else b"<v></v>", b"<v>AB</v>")
    calculated = edited(calculated, b'<c r="C2">', b'<c r="C2" t="str">')
    assert cells(calculated)[0]["label"] == "AB"


def test_rich_texts_lose_their_formats_and_readings() -> None:
    rich = (
        '<row r="1"><c r="A1" t="inlineStr"><is><t>label</t></is></c></row><row r="2"><c r="A2" t="inlineStr"><is>'
        "<r><rPr><b/></rPr><t>Na</t></r><r><t>me_x000D_</t></r><rPh><t>read</t></rPh></is></c></row>"
    )
    assert cells(with_part(BOOK, SHEET, worksheet(rich))) == [{"label": "Name"}]


def test_cells_without_references_stand_in_their_order() -> None:
    rows = "<row><c t='str'><v>type</v></c><c t='str'><v>name</v></c></row><row><c/><c><v>7</v></c></row>"
    assert cells(with_part(BOOK, SHEET, worksheet(rows))) == [{"name": "7"}]


def test_elements_may_have_a_prefix() -> None:
    rows = "<x:row r='1'><x:c r='B1' t='str'><x:v>name</x:v></x:c></x:row><x:row r='2'><x:c r='B2'><x:v>7</x:v></x:c></x:row>"
    sheet = f"<x:worksheet xmlns:x='urn:x'><x:sheetData>{rows}</x:sheetData></x:worksheet>".encode()
    assert cells(with_part(BOOK, SHEET, sheet)) == [{"name": "7"}]


def test_a_style_that_excel_would_not_write_does_not_spoil_the_workbook() -> None:
    made = openpyxl.Workbook()
    made.active.title = "survey"
    made.active.append(HEADERS)
    made.active["A1"].font = Font(bold=True)
    made.active["A1"].alignment = openpyxl.styles.Alignment(indent=1)
    data = edited(saved(made), b'indent="1"', b'indent="-1"', "xl/styles.xml")

    assert workbook.read(data, "visit.xlsx")["survey"].headers == ("type", "name", "label")


def test_names_of_sheets_may_have_blanks_and_capitals_but_only_once() -> None:
    survey: list[list[object]] = [HEADERS, ["text", "a", "A"]]

    assert compile_form(book(**{" Survey ": survey, "notes": []}), "visit.xlsx").schema.fields[0].name == "a"
    (fault,) = refusal(book(**{"survey": survey, "Survey ": survey}), "visit.xlsx")
    assert (fault.sheet, fault.message) == ("Survey", "Two sheets have this name.")


def test_no_break_spaces_are_spaces() -> None:
    choices: list[list[object]] = [["list_name", "name", "label"], ["t", "a\xa0", "A"]]
    data = book(survey=[["type\xa0", "name", "label"], ["select_one\xa0t", "\xa0q", "Q"]], choices=choices)

    assert [field.name for field in compile_form(data, "visit.xlsx").schema.fields] == ["q", "instanceID"]


def test_a_name_with_an_invisible_character_is_refused_where_it_stands() -> None:
    (fault,) = refusal(book(survey=[HEADERS, ["text", "age\u200b", "A"]]), "visit.xlsx")

    assert (fault.row, fault.column) == (2, "name")
    assert "U+200B" in fault.message
    assert compile_form(
        book(survey=[HEADERS, ["text", "نام\u200cها", "A\u200b"]]), "visit.xlsx"
    ).schema.fields


def test_arabic_digits_in_a_name_are_pointed_out() -> None:
    findings = check_form(book(survey=[HEADERS, ["text", "q۱", "Q"]]), "visit.xlsx")

    assert ("name-unusable", 2) in {(each.rule, each.row) for each in findings}


def test_a_null_character_in_a_workbook_is_refused_at_its_cell() -> None:
    (fault,) = refusal(book(survey=[HEADERS, ["text", "a", "A_x0000_B"]]), "visit.xlsx")

    assert (fault.row, fault.column) == (2, "label")
    assert "U+0000" in fault.message


def test_merged_cells_are_pointed_out_where_they_leave_rows_without_text() -> None:
    made = openpyxl.Workbook()
    made.active.title = "survey"
    for row in (HEADERS, ["text", "a", "A"], ["text", "b", "B"], ["text", "c", "C"]):
        made.active.append(row)
    for place in ("A2:A3", "B4:C4", "F1:F3"):
        made.active.merge_cells(place)

    found = [each for each in check_form(saved(made), "visit.xlsx") if each.rule == "cells-merged"]
    assert [(each.row, "A2:A3" in each.message) for each in found] == [(2, True)]


def test_what_is_hidden_is_part_of_the_form_and_pointed_out() -> None:
    made = openpyxl.load_workbook(io.BytesIO(book(survey=[HEADERS, ["text", "a", "A"], ["text", "b", "B"]])))
    made.create_sheet("choices").sheet_state = "hidden"
    made["survey"].row_dimensions[3].hidden = True
    for letters in ("C", "F"):
        made["survey"].column_dimensions[letters].hidden = True
    data = saved(made)

    assert [field.name for field in compile_form(data, "visit.xlsx").schema.fields][:2] == ["a", "b"]
    found = [each for each in check_form(data, "visit.xlsx") if each.rule == "hidden"]
    assert [(each.sheet, each.row, each.message.partition(",")[0]) for each in found] == [
        ("survey", 1, "Column C is hidden"),
        ("survey", 3, "The row is hidden"),
        ("choices", None, "The sheet is hidden"),
    ]


def test_a_million_rows_with_nothing_but_a_format_cost_little() -> None:
    head = (
        "<row r='1'><c r='A1' t='str'><v>type</v></c></row><row r='2'><c r='A2' t='str'><v>text</v></c></row>"
    )
    rows = "".join(
        f"<row r='{n}' s='1' customFormat='1'><c r='A{n}' s='1'/><c r='B{n}' s='1'/></row>"
        for n in range(3, 1_000_000)
    )

    assert cells(with_part(BOOK, SHEET, worksheet(head + rows))) == [{"type": "text"}]


def test_two_cells_at_the_ends_of_a_sheet_are_two_cells() -> None:
    rows = "<row r='1'><c r='A1' t='str'><v>type</v></c></row><row r='1048576'><c r='XFD1048576'><v>7</v></c></row>"

    assert cells(with_part(BOOK, SHEET, worksheet(rows))) == []


def test_one_long_text_in_every_cell_is_too_large() -> None:
    strings = f"<sst><si><t>{'x' * 1_000_000}</t></si></sst>".encode()
    rows = "".join(f"<row r='{n}'><c r='A{n}' t='s'><v>0</v></c></row>" for n in range(1, 200))
    relation = b'<Relationship Type="x/sharedStrings" Target="sharedStrings.xml" Id="s"/></Relationships>'
    data = with_part(with_part(BOOK, SHEET, worksheet(rows)), "xl/sharedStrings.xml", strings)

    (fault,) = refusal(
        edited(data, b"</Relationships>", relation, "xl/_rels/workbook.xml.rels"), "visit.xlsx"
    )
    assert fault == excel.TOO_LARGE


def sealed_xls() -> bytes:
    """Return an old workbook whose second record says that the rest is encrypted (BIFF's FILEPASS)."""
    data = bytearray((FILES / "old_book.xls").read_bytes())
    begins = data.index(b"\x09\x08")
    (length,) = struct.unpack_from("<H", data, begins + 2)
    struct.pack_into("<H", data, begins + 4 + length, 0x2F)
    return bytes(data)


def archive(*names: str) -> bytes:
    """Return a zip with parts of these names."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as made:
        for name in names:
            made.writestr(name, "x")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("data", "file_name", "message", "fix"),
    [
        (sealed_xls(), "visit.xls", "password", "Remove the password"),
        (archive("mimetype", "content.xml"), "visit.ods", "OpenDocument", "LibreOffice"),
        (archive("Index/Document.iwa"), "visit.numbers", "Apple Numbers", "Export"),
        (archive("xl/workbook.bin"), "visit.xlsb", "binary workbook", "save it as .xlsx"),
        (archive("word/document.xml"), "visit.docx", "Word document", "workbook with the form"),
        (b'{"url": "https://docs.google.com/x"}', "visit.gsheet", "Google Sheets", "Download"),
        ("survey,,\n,type,name\n,text,سن\n".encode("cp1256"), "visit.csv", "not UTF-8", "CSV UTF-8"),
    ],
)
def test_a_file_of_another_kind_is_named_with_the_way_out(
    data: bytes, file_name: str, message: str, fix: str
) -> None:
    (fault,) = refusal(data, file_name)

    assert message in fault.message
    assert fix in fault.fix


def test_a_csv_of_nothing_but_a_survey_is_one() -> None:
    data = "type,name,label\ntext,a,آ\n\ninteger,b,B\n".encode("utf-8-sig")

    assert [(row.number, row.cells["name"]) for row in workbook.read(data, "visit.csv")["survey"].rows] == [
        (2, "a"),
        (4, "b"),
    ]


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from([SHEET, "xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/styles.xml"]),
    st.integers(0, 3_000),
    st.integers(0, 12),
    st.sampled_from(
        [b"", b"<", b">", b'"', b"0", b"\xff", b"&b;", b"-1", b"9" * 5_000, b"<row r='x'/>", b"<c t='s'><v>5"]
    ),
)
def test_no_damage_to_a_workbook_raises_anything_but_a_form_error(
    name: str, at: int, length: int, put: bytes
) -> None:
    content = part(BOOK, name)
    damaged = with_part(BOOK, name, content[:at] + put + content[at + length :])
    with contextlib.suppress(FormError):
        assert workbook.read(damaged, "visit.xlsx")
