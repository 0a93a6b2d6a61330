"""Compiling sheets: what comes out, what is read from the sheet's own columns, and every refusal with its place."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workbooks import book

from forms import xform
from forms.compile import CompiledForm, compile_form
from forms.errors import Fault, FormError
from forms.schema import Field, Flag

SETTINGS = "| settings |\n| | form_title | form_id | version |\n| | Visit | visit | 7 |\n"
CHOICES = "| choices |\n| | list_name | name | label |\n| | yn | yes | Yes |\n| | yn | no | No |\n"
EVERY_CONTROL = """
| survey |
|  | type | name | label | parameters | calculation |
|  | start | start | | | |
|  | deviceid | deviceid | | | |
|  | text | text | Q | | |
|  | integer | integer | Q | | |
|  | decimal | decimal | Q | | |
|  | date | date | Q | | |
|  | time | time | Q | | |
|  | dateTime | moment | Q | | |
|  | geopoint | geopoint | Q | | |
|  | geotrace | geotrace | Q | | |
|  | geoshape | geoshape | Q | | |
|  | barcode | barcode | Q | | |
|  | image | image | Q | max-pixels=640 | |
|  | file | file | Q | | |
|  | range | range | Q | start=0 end=9 step=1 | |
|  | note | note | Q | | |
|  | acknowledge | acknowledge | Q | | |
|  | select_one yn | one | Q | | |
|  | select_multiple yn | many | Q | | |
|  | rank yn | rank | Q | | |
|  | select_one_from_file posts.csv | post | Q | value=code label=title | |
|  | calculate | sum | | | ${integer} + 1 |
|  | hidden | hidden | | | |
|  | audit | | | | |
"""


def compiled(sheet: str, file_name: str = "visit.md") -> CompiledForm:
    return compile_form(sheet.encode(), file_name)


def refusal(data: bytes | str, file_name: str = "visit.md") -> tuple[Fault, ...]:
    """Return the faults for which a sheet is refused."""
    with pytest.raises(FormError) as refused:
        compile_form(data.encode() if isinstance(data, str) else data, file_name)
    return refused.value.faults


def survey(columns: str, *rows: str, more: str = "") -> str:
    lines = "\n".join(f"| | {row} |" for row in rows)
    return f"| survey |\n| | {columns} |\n{lines}\n{more}"


def test_every_kind_of_question_gets_its_type() -> None:
    schema = compiled(EVERY_CONTROL + CHOICES + SETTINGS).schema

    assert (schema.form_id, schema.title, schema.version) == ("visit", "Visit", "7")
    assert {field.path.rpartition("/")[2]: field.type.value for field in schema.fields} == {
        **{
            name: name
            for name in ("decimal", "date", "time", "geopoint", "geotrace", "geoshape", "barcode", "rank")
        },
        **dict.fromkeys(("deviceid", "text", "note", "acknowledge", "sum", "hidden", "instanceID"), "string"),
        **dict.fromkeys(("start", "moment"), "dateTime"),
        **dict.fromkeys(("integer", "range"), "int"),
        **dict.fromkeys(("image", "file", "audit"), "binary"),
        **dict.fromkeys(("one", "post"), "select_one"),
        "many": "select_multiple",
    }


def test_a_select_from_a_file_names_its_columns_and_the_medium() -> None:
    schema = compiled(EVERY_CONTROL + CHOICES + SETTINGS).schema

    post = schema.by_path["/post"]
    assert isinstance(post, Field)
    assert post.choices is not None
    assert (post.choices.file, post.choices.value_ref, post.choices.label_ref) == (
        "posts.csv",
        "code",
        "title",
    )
    assert schema.media == ("posts.csv",)


def test_translations_stand_by_the_sheets_names_with_the_default_first() -> None:
    sheet = survey("type | name | label::Farsi (fa) | label::English (en)", "text | a | نام | Name")
    defaults = "| settings |\n| | form_id | default_language |\n| | visit | English (en) |\n"
    schema = compiled(sheet + defaults).schema

    assert schema.languages == ("English (en)", "Farsi (fa)")
    assert dict(schema.fields[0].label) == {"English (en)": "Name", "Farsi (fa)": "نام"}


def test_a_repeat_keeps_its_count_and_its_rows_their_defaults() -> None:
    rows = (
        "integer | n | N | |",
        "begin_repeat | r | R | | ${n}",
        "date | d | D | today() |",
        "end_repeat | | | |",
    )
    form = compiled(survey("type | name | label | default | repeat_count", *rows))

    (repeat,) = form.schema.repeats
    day = form.schema.by_path["/r/d"]
    assert (repeat.path, repeat.count.strip()) == ("/r", "/data/n")
    assert isinstance(day, Field)
    assert day.default_expression == "today()"


def test_the_sheets_own_columns_become_marks_and_never_reach_the_form() -> None:
    columns = "type | name | label | chapar::flags | Chapar::Merge | chapar::key"
    rows = (
        "text | a | A | R p | later | ",
        "begin_repeat | r | R | | | ${id}",
        "text | id | I | | |",
        "end_repeat | | | | |",
    )
    form = compiled(survey(columns, *rows))

    assert form.marks == xform.SheetMarks({"/a": "RP"}, {"/a": "later"}, {"/r": "id"})
    assert form.schema.fields[0].flags == {Flag.REQUIRED, Flag.PERSONAL}
    assert form.schema.repeats[0].row_key == "id"
    assert b"chapar" not in form.xform.lower()
    assert xform.read(form.xform, form.marks) == form.schema


def test_our_columns_do_not_change_how_other_headers_are_read() -> None:
    """One `::` anywhere makes pyxform read `label:English` as a column of that whole name."""
    form = compiled(survey("type | name | label:English | chapar::flags", "text | a | A | P"))

    assert dict(form.schema.fields[0].label) == {"English": "A"}


def test_the_same_sheet_gives_the_same_bytes_in_every_process() -> None:
    sheet = EVERY_CONTROL + CHOICES + SETTINGS
    script = "import sys; from forms.compile import compile_form as c; sys.stdout.buffer.write(c(sys.stdin.buffer.read(), 'visit.md').xform)"
    environment = os.environ | {"PYTHONHASHSEED": "77"}
    done = subprocess.run(
        [sys.executable, "-c", script], input=sheet.encode(), capture_output=True, env=environment, check=True
    )

    assert done.stdout == compiled(sheet).xform


def test_importing_the_compiler_does_not_import_pyxform() -> None:
    script = "import sys, forms.compile; sys.exit(any(m.split('.')[0] in {'pyxform', 'openpyxl', 'xlrd'} for m in sys.modules))"

    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_markdown_csv_and_xlsx_of_one_sheet_are_one_form() -> None:
    rows: list[list[object]] = [["type", "name", "label"], ["integer", "a", "سن"], ["text", "b", "A | B"]]
    markdown = survey("type | name | label", "integer | a | سن", r"text | b | A \| B")
    csv = "survey,,,\n,type,name,label\n,integer,a,سن\n,text,b,A | B\n"

    forms = {
        compile_form(markdown.encode(), "visit.md").xform,
        compile_form(csv.encode("utf-8-sig"), "visit.csv").xform,
        compile_form(csv.replace(",", ";").encode("utf-16"), "visit.csv").xform,
        compile_form(book(survey=rows), "visit.xlsx").xform,
        compile_form(book(Sheet1=rows), "visit").xform,
    }
    assert len(forms) == 1


def test_external_choices_come_with_their_file() -> None:
    more = CHOICES + "| external_choices |\n| | list_name | name | label | tier |\n| | posts | a | A | 1 |\n"
    form = compiled(
        survey("type | name | label | choice_filter", "select_one_external posts | p | P | tier=1", more=more)
    )

    assert form.itemsets == b'"list_name","name","label","tier"\r\n"posts","a","A","1"\r\n'
    assert form.schema.media == ("itemsets.csv",)


def test_what_the_form_lacks_is_warned_of_with_the_remedy() -> None:
    warnings = compiled(survey("type | name | label", "text | a | A")).warnings

    assert [(fault.sheet, fault.row, fault.column) for fault in warnings] == [
        ("settings", 2, "version"),
        ("settings", 2, "form_id"),
        ("settings", 2, "form_title"),
    ]
    assert all(fault.fix for fault in warnings)


def test_a_warning_of_pyxform_names_its_row() -> None:
    sheet = survey("type | name | label", "text | a | A", "", "image | b | B", more=SETTINGS)
    (warning,) = compiled(sheet).warnings

    assert (warning.sheet, warning.row, warning.column) == ("survey", 4, "parameters")
    assert "max-pixels" in warning.fix


NAMED = "type | name | label"
RELEVANT = "type | name | label | relevant"
PARAMETERS = "type | name | label | parameters"
ENTITIES = "| entities |\n| | list_name | label |\n"
MISTAKES = [
    (survey(NAMED, "text | a | A", "txet | b | B"), "survey", 3, "type", "txet"),
    (survey(NAMED, "text | a | A", "| b | B"), "survey", 3, "type", "no type"),
    (survey(NAMED, "text | a | A", "text | | B"), "survey", 3, "name", "no name"),
    (survey(NAMED, "text | 1 a | A"), "survey", 2, "name", "“1 a”"),
    (survey(NAMED, "text | a | A", "text | a | B"), "survey", 3, "name", "unique"),
    (survey(NAMED, "text | a | A", "text | b | "), "survey", 3, "label", "no label"),
    (survey(NAMED, "text | a | A", "end_group | |"), "survey", 3, "type", "end_group"),
    (survey(NAMED, "begin_group | g | G", "text | a | A"), "survey", 2, "type", "begin_group"),
    (survey(NAMED, "text | meta | A"), "survey", 2, "name", "meta"),
    (survey(NAMED, "calculate | a | "), "survey", 2, "", "calculation"),
    (survey(NAMED, "note | a | ${b}"), "survey", 2, "label", "${b}"),
    (survey(RELEVANT, "text | a | A | ${b} = 1"), "survey", 2, "relevant", "${b}"),
    (survey(RELEVANT, "text | a | A | ${b c} = 1"), "survey", 2, "relevant", "${b c}"),
    (survey(RELEVANT, "text | a | A | 1 = = 2"), "survey", 2, "relevant", "cannot be read"),
    (
        survey("Type | Name | Label | Relevance", "text | a | A | 1 = = 2"),
        "survey",
        2,
        "Relevance",
        "cannot be read",
    ),
    (survey(PARAMETERS, "text | z | Z |", "range | a | A | start=x"), "survey", 3, "parameters", "start"),
    (
        survey(PARAMETERS, "text | z | Z |", "image | a | A | max-pixels=x"),
        "survey",
        3,
        "parameters",
        "max-pixels",
    ),
    (
        survey(PARAMETERS, "text | z | Z |", "audit | | | track-changes=x"),
        "survey",
        3,
        "parameters",
        "track-changes",
    ),
    (survey("type | name | label | save_to", "text | a | A | age"), "survey", 2, "save_to", "“age”"),
    (survey("type | name | label | bind", "text | a | A | b"), "survey", 1, "bind", "no property"),
    (survey("kind | name | label", "text | a | A"), "survey", 1, "", "'type'"),
    (survey("type | name | name | label", "text | a | A | B"), "survey", 1, "name", "Two columns"),
    (survey(NAMED), "survey", 2, "", "no question"),
    (survey(NAMED, "select_one x | a | A"), "survey", 2, "type", "choices sheet"),
    (survey(NAMED, "select_one x | a | A", more=CHOICES), "survey", 2, "type", "select_one x"),
    (
        survey(NAMED, "select_one yn | a | A", more=CHOICES + "| | yn | no | N |\n"),
        "choices",
        4,
        "name",
        "“no”",
    ),
    (
        survey(NAMED, "select_one yn | a | A", more=CHOICES + "| | yn | | N |\n"),
        "choices",
        4,
        "name",
        "have a name",
    ),
    (
        survey(NAMED, "select_multiple yn | a | A", more=CHOICES + "| | yn | o k | N |\n"),
        "choices",
        4,
        "name",
        "o k",
    ),
    (
        survey(NAMED, "osm x | a | A", more="| osm |\n| | list_name | name |\n| | y | b |\n"),
        "survey",
        2,
        "",
        "TypeError",
    ),
    (survey(NAMED, "text | a | A", more=ENTITIES + "| | p | ${q} |\n"), "entities", 2, "label", "${q}"),
    (survey(NAMED, "text | a | A", more=ENTITIES + "| | p | |\n"), "entities", 2, "", "label"),
    (
        survey(NAMED, "text | a | A", more="| settings |\n| | form_id |\n| | a/b |\n"),
        "settings",
        2,
        "form_id",
        "a/b",
    ),
    (survey(NAMED, "text | a | A", more="| settings |\n| | name |\n| | 1 |\n"), "settings", 2, "name", "“1”"),
    (
        survey("type | name | label | chapar::flags", "text | a | A | RX"),
        "survey",
        2,
        "chapar::flags",
        "“RX”",
    ),
    (
        survey("type | name | label | chapar::flag", "text | a | A | R"),
        "survey",
        1,
        "chapar::flag",
        "no column",
    ),
    (
        survey("type | name | label | chapar::merge", "text | a | A | Last!"),
        "survey",
        2,
        "chapar::merge",
        "policy",
    ),
    (
        survey("type | name | label | chapar::key", "text | a | A | a"),
        "survey",
        2,
        "chapar::key",
        "no repeat",
    ),
    (
        "| choices |\n| | list_name |\n| | a |\n| settings |\n| | form_id |\n| | b |\n",
        "",
        None,
        "",
        "'survey'",
    ),
]


@pytest.mark.parametrize(("sheet", "name", "row", "column", "words"), MISTAKES)
def test_a_mistake_is_named_with_its_place(
    sheet: str, name: str, row: int | None, column: str, words: str
) -> None:
    fault = refusal(sheet)[0]

    assert (fault.sheet, fault.row) == (name, row)
    assert fault.column == column or not column
    assert words in fault.message
    assert fault.fix.endswith(".")


def test_marks_on_groups_and_unknown_keys_are_refused_together() -> None:
    columns = "type | name | label | chapar::flags | chapar::key"
    rows = (
        "begin_group | g | G | P | ",
        "begin_repeat | r | R | | q",
        "text | a | A | | ",
        "end_repeat | | | |",
        "end_group | | | |",
    )

    group, key = refusal(survey(columns, *rows))
    assert (group.row, group.column) == (2, "chapar::flags")
    assert (key.row, key.column, key.message) == (3, "chapar::key", "The repeat has no question “q”.")
    assert key.fix == "Name one of its own questions: a."


def test_an_id_from_a_file_name_that_no_url_carries_is_refused() -> None:
    (fault,) = refusal(survey(NAMED, "text | a | A").encode(), "فرم.md")

    assert (fault.sheet, fault.column) == ("settings", "form_id")


def test_every_error_code_of_pyxform_has_its_remedy() -> None:
    from pyxform.errors import ErrorCode

    from forms import pyxform_faults, workbook

    sheets = workbook.read(
        (survey(NAMED, "text | a | A", more=CHOICES + SETTINGS + ENTITIES)).encode(), "visit.md"
    )
    for code in ErrorCode:
        said = code.value.format(row=2, sheet="survey", column="name", q="a", value="a", sheet_name="survey")
        fault = pyxform_faults.of_message(said, sheets)
        assert fault.fix != pyxform_faults.OTHER_FIX, code
        assert "[row" not in fault.message


@pytest.mark.skipif(shutil.which("java") is None, reason="ODK Validate is a Java program")
def test_odk_validate_names_the_question_that_it_refuses() -> None:
    sheet = survey(RELEVANT, "text | a | A | ", "text | b | B | nonsense(${a})", more=SETTINGS)

    compiled(sheet)
    with pytest.raises(FormError) as refused:
        compile_form(sheet.encode(), "visit.md", validate=True)
    assert refused.value.faults[0].row == 3


WORDS = (
    "type,name,label,relevant,hint,text,integer,calculate,select_one yn,begin_group,end_group,begin_repeat,note,a,b,g,"
    "${a},${,audit,range,parameters,start=1,choices,list_name,yes,form_id,::,bind::x,1=1,select_one yn or_other"
)
CELL = st.one_of(
    st.sampled_from(WORDS.split(",")),
    st.text(st.characters(blacklist_characters="|\n\r", blacklist_categories=["Cs"]), max_size=6),
)
SHEET_NAME = st.sampled_from(["survey", "choices", "settings", "entities", "external_choices", "osm", "x"])
TABLE = st.lists(st.lists(CELL, min_size=1, max_size=5), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(SHEET_NAME, TABLE, min_size=1, max_size=3), st.booleans())
def test_no_table_raises_anything_but_a_form_error(tables: dict[str, list[list[str]]], typical: bool) -> None:
    lines = []
    for name, rows in tables.items():
        lines.append(f"| {name} |")
        header = {"survey": ["type", "name", "label"], "choices": ["list_name", "name", "label"]}.get(
            name, ["form_id"]
        )
        lines += ["| | " + " | ".join(row) + " |" for row in ([header, *rows] if typical else rows)]
    with contextlib.suppress(FormError):
        assert compile_form("\n".join(lines).encode(), "visit.md").schema.form_id
