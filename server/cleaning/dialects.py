"""The cleaning log in the layouts of the field's own tools: reading their lines as wishes, writing ours as their lines.

| dialect | tool | columns |
|---|---|---|
| cleaningtools | REACH's R package | uuid, old_value, question, issue, check_id, check_binding, …, change_type, new_value |
| utilityr | REACH Ukraine | uuid, loop_index, check.id, variable, issue, old.value, new.value, invalid, explanation |
| kobold | REACH East Africa | uuid, type, name, value, issue_id, sheet, index, relevant, issue |
| ipacheck | IPA (Stata) | key, variable, value, newvalue, action, date, enumerator, label, comments |

Source: each tool's repository, read in November 2026. Columns are found however R spells them (`X_uuid`, `check.id`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from forms.tables import UNCALCULATED
from server.cleaning.desk import Wish
from server.cleaning.entering import Fault
from server.cleaning.files import WORKBOOK, LogFile, is_garbled, plain
from sync.cleaning import EntryKind


class Dialect(StrEnum):
    """Whose layout."""

    CLEANINGTOOLS = "cleaningtools"
    UTILITYR = "utilityr"
    KOBOLD = "kobold"
    IPACHECK = "ipacheck"


@dataclass(frozen=True)
class Layout:
    """How a tool writes a log.

    columns: in its order. what: our word → its column, the first that is there. kinds: its word → what is done. words:
    the other way round. missing: how it writes a blank. apart: columns of its file of removed records, if it has one.
    """

    columns: tuple[str, ...]
    what: Mapping[str, tuple[str, ...]]
    kinds: Mapping[str, EntryKind]
    words: Mapping[EntryKind, str]
    missing: str = "NA"
    apart: tuple[str, ...] = ()


CHANGES = {
    "change_response": EntryKind.CHANGE,
    "blank_response": EntryKind.BLANK,
    "remove_survey": EntryKind.REMOVE_RECORD,
    "remove_loop_entry": EntryKind.REMOVE_ROW,
    "add_option": EntryKind.ADD_OPTION,
    "remove_option": EntryKind.REMOVE_OPTION,
    "no_action": EntryKind.NO_ACTION,
    "no_change": EntryKind.NO_ACTION,
}
WORDS = {
    EntryKind.CHANGE: "change_response",
    EntryKind.BLANK: "blank_response",
    EntryKind.REMOVE_RECORD: "remove_survey",
    EntryKind.NO_ACTION: "no_action",
}

LAYOUTS: Mapping[Dialect, Layout] = {
    Dialect.CLEANINGTOOLS: Layout(
        ("uuid", "old_value", "question", "issue", "check_id", "check_binding", "change_type", "new_value"),
        {
            "record": ("uuid",),
            "name": ("question", "questions", "question_name"),
            "row": ("row",),
            "old": ("old_value",),
            "new": ("new_value",),
            "kind": ("change_type",),
            "reason": ("reason", "comment", "feedback", "issue"),
            "check": ("check_id",),
        },
        CHANGES,
        WORDS,
        apart=("uuid", "reason"),
    ),
    Dialect.UTILITYR: Layout(
        (
            "uuid",
            "loop_index",
            "check.id",
            "variable",
            "issue",
            "old.value",
            "new.value",
            "invalid",
            "explanation",
        ),
        {
            "record": ("uuid",),
            "name": ("variable",),
            "row": ("loop_index",),
            "old": ("old_value",),
            "new": ("new_value",),
            "kind": (),
            "reason": ("explanation", "reason", "issue"),
            "check": ("check_id",),
        },
        {"": EntryKind.CHANGE},
        {EntryKind.CHANGE: "", EntryKind.BLANK: ""},
        apart=("uuid", "loop_index", "reason"),
    ),
    Dialect.KOBOLD: Layout(
        ("uuid", "type", "name", "value", "issue_id", "sheet", "index", "relevant", "issue"),
        {
            "record": ("uuid",),
            "name": ("name",),
            "row": ("index",),
            "old": (),
            "new": ("value",),
            "kind": ("type",),
            "reason": ("issue",),
            "check": ("issue_id",),
        },
        CHANGES,
        {
            EntryKind.CHANGE: "change_response",
            EntryKind.BLANK: "change_response",
            EntryKind.REMOVE_RECORD: "remove_survey",
            EntryKind.REMOVE_ROW: "remove_loop_entry",
            EntryKind.ADD_OPTION: "add_option",
            EntryKind.REMOVE_OPTION: "remove_option",
        },
    ),
    Dialect.IPACHECK: Layout(
        ("key", "variable", "value", "newvalue", "action", "date", "enumerator", "label", "comments"),
        {
            "record": ("key", "uuid"),
            "name": ("variable",),
            "row": ("row",),
            "old": ("value",),
            "new": ("newvalue",),
            "kind": ("action",),
            "reason": ("comments",),
            "check": ("label",),
        },
        {
            "replace": EntryKind.CHANGE,
            "drop": EntryKind.REMOVE_RECORD,
            "okay": EntryKind.NO_ACTION,
        },
        {
            EntryKind.CHANGE: "replace",
            EntryKind.BLANK: "replace",
            EntryKind.REMOVE_RECORD: "drop",
            EntryKind.NO_ACTION: "okay",
        },
        missing=".",
    ),
}


EXCEL_ERROR = re.compile(rf"#N/A|#[A-Z0-9/]+[!?]|{re.escape(UNCALCULATED)}")


def read_wishes(file: LogFile, dialect: Dialect) -> tuple[list[Wish], list[Fault]]:
    """Return what the lines of a log ask for, and those that ask for nothing that can be done to a record."""
    layout = LAYOUTS[dialect]
    known = {plain(column): column for column in reversed(file.columns)}
    columns = {
        what: next((known[name] for name in names if name in known), "")
        for what, names in layout.what.items()
    }
    reasons = [known[name] for name in layout.what["reason"] if name in known]
    if not columns["record"]:
        wanted = " or ".join(layout.what["record"])
        return [], [Fault(1, "no-column", f"The log has no column {wanted}.")]
    wishes, faults = [], []
    for number, row in file.rows:
        given = {column: _given(text, layout.missing) for column, text in row.items()}
        one = {what: given.get(column, "") for what, column in columns.items()}
        word = one["kind"].strip().lower()
        kind = layout.kinds.get(word)
        if not columns["name"] and not columns["kind"]:  # a file of removed records
            kind = EntryKind.REMOVE_ROW if one["row"] else EntryKind.REMOVE_RECORD
        if kind is None:
            faults.append(
                Fault(
                    number,
                    "unknown-change",
                    "The line does not say what is to be done, as this dialect does.",
                )
            )
            continue
        if one["record"].strip().lower() == "all":
            faults.append(
                Fault(number, "whole-column", "The line is about all records; enter it as a change to many.")
            )
            continue
        if file.encoding == WORKBOOK and EXCEL_ERROR.fullmatch(one["new"]):
            faults.append(
                Fault(number, "not-calculated", "The new value is a formula's error; write the value itself.")
            )
            continue
        if is_garbled(one["new"]):
            faults.append(
                Fault(
                    number, "garbled", "The new value has lost signs: save the file as UTF-8 from the source."
                )
            )
            continue
        used = next((column for column in reasons if given.get(column)), "")
        taken = {*columns.values(), used} - {columns["reason"]} | {used}
        wishes.append(
            Wish(
                number,
                one["record"].strip(),
                kind,
                "" if kind is EntryKind.REMOVE_RECORD else one["name"].strip(),
                one["row"].strip(),
                one["new"],
                one["old"] if kind is not EntryKind.NO_ACTION else None,
                given.get(used, ""),
                one["check"].strip(),
                {column: text for column, text in given.items() if text and column and column not in taken},
            )
        )
    return wishes, faults


@dataclass(frozen=True, slots=True)
class Line:
    """One entry that counts, to be written: names as an export has them. old, new: of a choice "1" or "0"."""

    instance_id: str
    row: str
    question: str
    kind: EntryKind
    old: str
    new: str
    reason: str
    check_id: str
    remarks: Mapping[str, str]
    choice: str = ""
    entered_at: str = ""


def write_lines(lines: Iterable[Line], dialect: Dialect) -> tuple[list[Sequence[str]], list[Sequence[str]]]:
    """Return a log in a tool's layout, with its header, and the removed records apart; that is only a header where none is.

    What the tool has no word for is left out: it is not to be misread. Records that are removed have no other lines.
    """
    layout = LAYOUTS[dialect]
    known = list(lines)
    if any(one.row for one in known) and "row" in layout.what["row"]:
        layout = replace(layout, columns=(*layout.columns, "row"))
    removed = {one.instance_id for one in known if one.kind is EntryKind.REMOVE_RECORD}
    log: list[Sequence[str]] = [layout.columns]
    apart: list[Sequence[str]] = [layout.apart] if layout.apart else []
    for one in known:
        if one.kind is EntryKind.REMOVE_RECORD and layout.apart:
            cells = {"uuid": _bare(one.instance_id), "reason": one.reason}
            apart.append([cells.get(column, "") for column in layout.apart])
        elif one.kind is EntryKind.REMOVE_RECORD or one.instance_id not in removed:
            log += _line(one, dialect, layout)
    return log, apart


def _line(one: Line, dialect: Dialect, layout: Layout) -> list[Sequence[str]]:
    kind, question, old, new = one.kind, one.question, one.old, one.new
    if kind in {EntryKind.ADD_OPTION, EntryKind.REMOVE_OPTION}:
        is_added = kind is EntryKind.ADD_OPTION
        if dialect is Dialect.KOBOLD:
            new = one.choice
        else:
            separator = "/" if dialect is Dialect.UTILITYR else "."
            kind, question = EntryKind.CHANGE, f"{question}{separator}{one.choice}"
            old, new = ("0", "1") if is_added else ("1", "0")
    if kind is EntryKind.NO_ACTION:
        new = old
    if kind not in layout.words:
        return []
    record = one.instance_id if dialect is Dialect.IPACHECK else _bare(one.instance_id)
    said = {
        "record": record,
        "name": question,
        "row": one.row,
        "old": old or layout.missing,
        "new": new or layout.missing,
        "kind": layout.words[kind],
        "reason": one.reason,
        "check": one.check_id,
    }
    cells = {plain(column): text for column, text in one.remarks.items()}
    cells |= {"check_binding": f"{question or one.check_id} ~/~ {record}", "date": one.entered_at[:10]}
    for what, names in layout.what.items():
        cells |= {name: said[what] for name in names if what != "reason" or name not in cells}
    return [[cells.get(plain(column), "") for column in layout.columns]]


def _given(text: str, missing: str) -> str:
    return "" if text.strip() == missing else text


def _bare(instance_id: str) -> str:
    return instance_id.removeprefix("uuid:")
