"""Logs of the field's own tools: a real one replayed, every layout written and read again, and bad files."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import datetime

import openpyxl
import orjson
import pytest
from conftest import Live, household, send
from people import People
from reach import CASE, FORM, columns_of, folded, publish_form, published, send_raw
from replaying import check
from typer.testing import CliRunner
from workbooks import book, saved

from server.cleaning.dialects import LAYOUTS, Dialect, read_wishes
from server.cleaning.entering import open_current
from server.cleaning.exchange import Imported, export_log, export_workbook, import_log
from server.cleaning.files import decode, plain, read_log, write_csv
from server.cli import app
from server.node import Node
from server.permissions import OPERATOR, Role
from server.problems import Problem
from server.store import submissions
from server.store.engine import reading

SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""For what says nothing of the database."""
HOUSEHOLDS = (1, "household")
EXTRA = "<consent>yes</consent><needs>food</needs><member><m_age>30</m_age></member><member><m_age>4</m_age></member>"


def take(
    node: Node, data: bytes, dialect: str = "cleaningtools", *, apply: bool = True, suffix: str = "csv"
) -> Imported:
    given = Dialect(dialect)
    return import_log(node, OPERATOR, HOUSEHOLDS, data, suffix, given, apply=apply, personal=True)


def clean(node: Node, form: tuple[int, str] = HOUSEHOLDS) -> dict[str, dict[str, object]]:
    """The clean documents, by bare ID, of the records that the log leaves."""
    with reading(node.engine) as connection:
        cleaner = open_current(connection, node, form)
        page = list(submissions.iter_submissions(connection, *form))
        found = cleaner.clean(connection, page)
        return {
            one.instance_id.removeprefix("uuid:"): done.answers if done else orjson.loads(one.answers)
            for one in page
            if not ((done := found.get(one.instance_id)) and done.is_removed)
        }


def codes(done: Imported) -> list[tuple[int, str]]:
    return [(one.number, one.code) for one in done.plan.faults]


@SQLITE
def test_the_log_of_a_real_survey_gives_its_published_clean_table(node, tmp_path):
    schema = publish_form(node)
    send_raw(node, schema)
    done = import_log(
        node,
        OPERATOR,
        FORM,
        (CASE / "cleaning_log.csv").read_bytes(),
        "csv",
        Dialect.CLEANINGTOOLS,
        apply=True,
        personal=True,
    )
    assert (done.lines, codes(done)) == (726, [])
    wanted, contradicting = published(schema)
    ours = {name: columns_of(document, schema) for name, document in clean(node, FORM).items()}
    assert ours.keys() == wanted.keys()
    cells = [(name, column) for name in wanted for column in wanted[name].keys() & ours[name].keys()]
    differing = [one for one in cells if wanted[one[0]][one[1]] != folded(ours[one[0]][one[1]])]
    assert (len(wanted), len(cells), differing, contradicting) == (578, 201_144, [], 4)
    check(node, FORM, tmp_path)  # as scripts do


@pytest.fixture
def two(live: Live) -> Live:
    """Two records of the household form, the first with two members."""
    send(live, household("uuid:one", extra=EXTRA))
    send(live, household("uuid:two", "7"))
    live.node.catch_up()
    return live


def log_of(*rows: Sequence[str]) -> bytes:
    return write_csv(rows)


@SQLITE
def test_each_layout_says_what_is_to_be_done_in_its_own_words(two):
    node = two.node
    take(
        node,
        log_of(
            ("X_uuid", "questions", "issue", "change_type", "new_value", "reason"),
            ("one", "size", "outlier", "change_response", "6", "called back"),
            ("one", "needs.water", "", "change_response", "1", ""),
            ("two", "", "", "no_action", "", "asked, right"),
        ),
    )
    take(
        node,
        log_of(
            ("uuid", "type", "name", "value", "issue_id", "index"),
            ("one", "remove_option", "needs", "food", "c1", ""),
            ("one", "remove_loop_entry", "", "", "c2", "member[2]"),
        ),
        "kobold",
    )
    take(
        node,
        log_of(
            ("uuid", "loop_index", "variable", "old.value", "new.value"), ("one", "1", "m_age", "30", "31")
        ),
        "utilityr",
    )
    assert clean(node)["one"] | {"meta": 0} == {
        "size": "6",
        "consent": "yes",
        "needs": "water",
        "member": [{"m_age": "31"}],
        "meta": 0,
    }
    take(
        node,
        log_of(("key", "variable", "value", "newvalue", "action"), ("uuid:two", "", "", "", "drop")),
        "ipacheck",
    )
    assert list(clean(node)) == ["one"]
    take(node, log_of(("uuid", "loop_index", "reason"), ("one", "", "no consent")), "utilityr")
    assert list(clean(node)) == []


@SQLITE
@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_log_that_is_written_and_taken_back_is_the_same_when_it_is_read_again(two, dialect):
    node = two.node
    lines = [
        ("uuid", "question", "change_type", "new_value", "row", "comment"),
        ("one", "size", "change_response", "6", "", '=1+1, "و"\nدو'),
        ("one", "consent", "blank_response", "NA", "", ""),
        ("one", "needs.water", "change_response", "TRUE", "", ""),
        ("one", "m_age", "change_response", "5", "2", ""),
        ("two", "", "remove_survey", "", "", "pilot"),
    ]
    batch = take(node, log_of(*lines)).batch
    before = clean(node)
    log, apart = export_log(node, HOUSEHOLDS, dialect, personal=True)
    People(two).post("cleaning/undo", batch=batch)
    assert len(clean(node)) == 2
    for data in filter(None, (log, apart)):
        assert codes(take(node, data, dialect)) == []
    assert clean(node) == before
    assert codes(take(node, log, dialect)) == []


@SQLITE
def test_every_line_that_does_not_fit_is_told_and_the_rest_is_entered_only_when_asked(two):
    rows = log_of(
        ("uuid", "question", "old_value", "change_type", "new_value"),
        ("gone", "size", "", "change_response", "6"),
        ("one", "sise", "", "change_response", "6"),
        ("one", "consent", "", "change_response", "perhaps"),
        ("one", "size", "55", "change_response", "6"),
        ("all", "head", "", "remove_column", ""),
        ("all", "head", "", "blank_response", ""),
        ("one", "size", "5", "change_response", "6"),
        ("one", "size", "5", "change_response", "8"),
        ("one", "size", "5", "change_response", "6.0"),
    )
    told = [
        (2, "unknown-record"),
        (3, "unknown-question"),
        (4, "unknown-choice"),
        (5, "other-old-value"),
        (6, "unknown-change"),
        (7, "whole-column"),
        (9, "contradiction"),
        (10, "wrong-type"),
    ]
    looked = take(two.node, rows, apply=False)
    assert (codes(looked), looked.batch, clean(two.node)["one"]["size"]) == (told, "", "5")
    done = take(two.node, rows)
    assert (codes(done), clean(two.node)["one"]["size"]) == (told, "6")
    assert all("perhaps" not in one.message and "55" not in one.message for one in done.plan.faults)


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [
        ("utf-8", b""),
        ("utf-8-sig", b""),
        ("utf-16", b""),
        ("utf-16-le", b""),
        ("utf-16-be", b""),
        ("windows-1256", b""),
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_log_is_read_in_whatever_encoding_and_separator_it_was_saved(encoding, mark, separator):
    text = f"uuid{separator}question{separator}change_type{separator}reason\nسه{separator}size{separator}no_action{separator}گفتگو\n"
    file = read_log(text.encode(encoding), "csv", ["uuid"])
    (wish,), faults = read_wishes(file, Dialect.CLEANINGTOOLS)
    assert (wish.instance_id, wish.reason, faults) == ("سه", "گفتگو", [])


def test_a_value_that_was_saved_in_a_wrong_encoding_is_told():
    good = ["خانه", "Zoë", "naïve café", "50 °C", "£", ""]
    bad = [
        "خانه".encode().decode("windows-1252", "replace"),
        "Zoë".encode().decode("latin-1"),
        "\ufffd\ufffd",
    ]
    rows = [
        ("uuid", "question", "change_type", "new_value"),
        *(("one", "head", "change_response", text) for text in [*good, *bad]),
    ]
    wishes, faults = read_wishes(read_log(write_csv(rows), "csv", ["uuid"]), Dialect.CLEANINGTOOLS)
    assert [wish.new for wish in wishes] == good
    assert [(one.number, one.code) for one in faults] == [(number, "garbled") for number in (8, 9, 10)]


def test_a_workbook_is_read_from_the_sheet_with_the_log():
    log = [["uuid", "question", "change_type", "new_value"], ["one", "size", "change_response", 6]]
    data = book(readme=[["made by", "us"]], cleaning_log=log)
    file = read_log(data, "xlsx", ["uuid", "question"])
    assert [dict(row)["new_value"] for _, row in file.rows] == ["6"]


@SQLITE
@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_log_written_in_excel_by_its_drop_down_lists_comes_back_valid(two, dialect):
    data = export_workbook(two.node, HOUSEHOLDS, dialect, personal=False)
    book_of = openpyxl.load_workbook(io.BytesIO(data))
    log, lists = book_of["cleaning_log"], book_of["choices"]
    titles = [plain(str(cell.value)) for cell in log[1]]
    offered = {titles[ord(str(one.sqref)[0]) - ord("A")]: one for one in log.data_validations.dataValidation}
    layout = LAYOUTS[dialect].what
    assert offered.keys() == {
        found[0] for what, found in layout.items() if what in {"name", "new", "kind"} and found
    }
    questions, of_question, choices = (
        [cell.value for cell in column if cell.value][1:] for column in lists.columns
    )
    assert offered[layout["name"][0]].formula1 == f"choices!$A$2:$A${len(questions) + 1}"
    assert list(zip(of_question, choices, strict=True)) == [
        *(("consent", name) for name in ("yes", "no")),
        *(("needs", name) for name in ("food", "water")),
    ]
    assert "size" in questions
    assert "head" not in questions, "few may see it"
    kinds = (
        {layout["kind"][0]: offered[layout["kind"][0]].formula1[1:].split(",")[0]} if layout["kind"] else {}
    )
    written = {"consent": "no", "seen": datetime.fromisoformat("2026-11-22T10:30"), "size": 7, "needs": "=1+"}
    for question, new in written.items():
        row = {layout["record"][0]: "two", layout["name"][0]: question, layout["new"][0]: new, **kinds}
        log.append([row.get(title) for title in titles])
    done = take(two.node, saved(book_of), dialect)
    assert codes(done) == [(5, "not-calculated")]
    answers = clean(two.node)["two"]
    assert (answers["consent"], answers["seen"], answers["size"]) == ("no", "2026-11-22T10:30:00", "7")


def test_a_file_that_is_no_log_is_refused_or_told():
    for data in (b"", b"\n\n"):
        with pytest.raises(Problem):
            read_log(data, "csv", ["uuid"])
    with pytest.raises(Problem):
        read_log(book(other=[["a"], ["b"]]), "xlsx", ["uuid"])
    wishes, (fault,) = read_wishes(read_log(b"a,b\n1,2\n", "csv", []), Dialect.KOBOLD)
    assert (wishes, fault.code) == ([], "no-column")
    assert decode(b"\xff\xfe\x00")[1] == "windows-1256"


@SQLITE
def test_a_log_comes_and_goes_over_the_network_without_what_few_may_see(two):
    people = People(two)
    url = f"{two.url}/v1/projects/1/forms/household/cleaning"
    rows = log_of(
        ("uuid", "question", "change_type", "new_value"),
        ("one", "size", "change_response", "6"),
        ("one", "head", "change_response", "Gulnar"),
    )

    def send_log(role: Role) -> list[str]:
        answer = two.client.post(
            f"{url}/import?dialect=cleaningtools&apply=true", content=rows, headers=people.headers[role]
        )
        return [one["code"] for one in answer.json()["faults"]]

    assert send_log(Role.COORDINATOR) == ["hidden"]
    assert send_log(Role.ADMINISTRATOR) == []
    texts = [people.get("cleaning/export?dialect=kobold", role).text for role in Role]
    assert [("Gulnar" in text, ",6," in text) for text in texts] == [(True, True), (False, True)]


@SQLITE
def test_the_commands_import_list_export_and_undo(two, tmp_path):
    def run(*words: str) -> str:
        done = CliRunner().invoke(app, ["cleaning", *words, "--data", str(two.node.settings.data)])
        assert done.exit_code == 0, done.output
        return done.output

    log = tmp_path / "log.csv"
    log.write_bytes(
        log_of(("uuid", "question", "change_type", "new_value"), ("one", "size", "change_response", "6"))
    )
    assert "1 to enter" in run("import", "household", str(log))
    entered = run("import", "household", str(log), "--apply")
    assert "“5” → “6”" in run("list", "household")
    out = tmp_path / "out.csv"
    run("export", "household", str(out), "--dialect", "kobold")
    assert [row["value"] for row in csv.DictReader(io.StringIO(out.read_text("utf-8-sig")))] == ["6"]
    workbook = tmp_path / "out.xlsx"
    run("export", "household", str(workbook))
    assert "0 to enter, 1 so already, 0 faults" in run("import", "household", str(workbook))
    run("undo", "household", "--batch", entered.split("--batch ")[1].split()[0])
    assert "undone" in run("list", "household")
