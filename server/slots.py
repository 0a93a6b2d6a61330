"""The plan of a form's slots, and which of them nobody has counted.

A plan is a table whose columns are questions of the form: one date, `2026-11-22` or `2026-11-01/2026-11-30`, and what
names a slot within a day, the place first; a column `weekdays` (`mon tue`) leaves days out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import orjson
from sqlalchemy import Connection

from forms.schema import Field, FieldType
from forms.values import WrongTypeError, read
from server.cleaning.files import LogFile, plain, read_log
from server.cleaning.places import NoPlaceError, Questions
from server.cleaning.records import Cleaner
from server.merging import FormLine
from server.node import Node
from server.permissions import Actor
from server.problems import Problem
from server.store import days, journal, plans, submissions
from server.store.engine import reading, writing
from server.store.submissions import FormKey, StoredSubmission
from sync.cleaning import text_of
from sync.clock import tick
from sync.days import day_at
from sync.journal import Fact, Kind
from sync.slots import Coverage, Planned, Slot, coverage

PAGE = 100
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
WEEKDAYS_COLUMN = "weekdays"
ROWS_MAX = 10_000
CLOCK = len("08:00")
"""So much of a time counts: tablets add seconds and a zone."""


def keep_plan(node: Node, actor: Actor, form: FormKey, data: bytes, suffix: str) -> int:
    """Plan the slots of a form by a CSV or a workbook, in place of the plan before; return how many rows it has.

    Raises Problem 400.33 with a line for each row that cannot be read.
    """
    with reading(node.engine) as connection:
        line = node.schemas.line(connection, *form)
    rows, faults = _read_plan(read_log(data, suffix, _names(line)), line)
    if faults or not rows:
        raise Problem(400.33, " ".join(faults[:10]) or "The plan has no rows.", extra={"faults": faults})
    plan = {"form_id": form[1], "plan": rows, "actor_id": actor.id, "actor_name": actor.name}
    with writing(node.engine) as connection:
        journal.append(connection, [Fact(Kind.PLAN, form[0], None, orjson.dumps(plan))])
    node.catch_up()
    return len(rows["rows"])


def covered(connection: Connection, cleaner: Cleaner, until: date | None = None) -> list[Coverage] | None:
    """Return each planned day, place by place, against the records of the clean view; None when nobody planned.

    until: the last day; else the last that has passed at the crossing, or was closed.
    """
    plan = plans.find_plan(connection, cleaner.form)
    if plan is None:
        return None
    planned = [
        Planned(
            tuple(one["slot"]),
            date.fromisoformat(one["first"]),
            date.fromisoformat(one["last"]),
            frozenset(one["weekdays"]),
        )
        for one in plan["rows"]
    ]
    counted: dict[date, set[Slot]] = {}
    for day, slot in _counted(connection, cleaner, [plan["date"], *plan["questions"]]):
        counted.setdefault(day, set()).add(slot)
    return coverage(planned, counted, until or _passed(connection, cleaner.form))


def _passed(connection: Connection, form: FormKey) -> date:
    said, now = days.read_days(connection, form), datetime.now(UTC)
    today = day_at(now, said.rule) if said.rule else now.date()
    is_closed = said.is_closed(today, tick(0, int(now.timestamp() * 1000)))
    return today if is_closed else today - timedelta(days=1)


def _counted(connection: Connection, cleaner: Cleaner, names: Sequence[str]) -> Iterator[tuple[date, Slot]]:
    """The day and slot of each clean record that says them."""
    questions = Questions(cleaner.line)
    paths: dict[str, list[Field] | None] = {}
    after = 0
    while page := submissions.list_submissions(connection, *cleaner.form, after, PAGE):
        after = page[-1].position
        cleaned = cleaner.clean(connection, page)
        for one in page:
            done = cleaned.get(one.instance_id)
            if one.encrypted or (done and done.is_removed):
                continue
            if one.version not in paths:
                paths[one.version] = _fields(questions, cleaner.line.place(one.version), names)
            fields = paths[one.version]
            answers = done.answers if done else orjson.loads(one.answers)
            texts = _texts(cleaner, one, answers, fields) if fields else []
            if texts and (day := _day(texts[0])):
                yield day, tuple(texts[1:])


def _fields(questions: Questions, at: int, names: Sequence[str]) -> list[Field] | None:
    try:
        found = [questions.find(at, name).field for name in names]
    except NoPlaceError:
        return None
    return [one for one in found if one is not None]


def _texts(
    cleaner: Cleaner, one: StoredSubmission, answers: Mapping[str, Any], fields: Sequence[Field]
) -> list[str]:
    schema = cleaner.schema(one)
    return [_same(field, text_of(answers, schema, field.path) or "") for field in fields]


def _same(field: Field, text: str) -> str:
    """What two ways to write an answer have in common."""
    return text.strip()[:CLOCK] if field.type is FieldType.TIME else text.strip()


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def _names(line: FormLine) -> list[str]:
    return [plain(field.name) for field in line.versions[-1].schema.fields]


def _read_plan(file: LogFile, line: FormLine) -> tuple[dict[str, Any], list[str]]:
    """Return the plan as its fact has it, and a sentence for everything wrong."""
    at, questions = len(line.versions) - 1, Questions(line)
    asked: dict[str, Field] = {}
    for column in file.columns:
        if column.strip() and plain(column) != WEEKDAYS_COLUMN:
            try:
                field = questions.find(at, column.strip()).field
            except NoPlaceError:
                field = None
            repeats = line.versions[at].schema.repeats
            if field is None or any(field.path.startswith(f"{one.path}/") for one in repeats):
                return {}, [f"The form has no question “{column}” outside repeats."]
            asked[column] = field
    dates = [column for column, field in asked.items() if field.type is FieldType.DATE]
    slots = [column for column in asked if column not in dates]
    if len(dates) != 1 or not slots:
        return {}, ["A plan has one column that is a date of the form, and the place first among the others."]
    days_left_out = next((one for one in file.columns if plain(one) == WEEKDAYS_COLUMN), "")
    rows, faults = [], []
    for number, row in file.rows[:ROWS_MAX]:
        try:
            first, last = _interval(row.get(dates[0], ""))
            weekdays = [WEEKDAYS.index(one[:3].lower()) for one in row.get(days_left_out, "").split()]
            slot = [_answer(asked[column], row.get(column, "")) for column in slots]
        except WrongTypeError as wrong:
            faults.append(f"Row {number}: {wrong}.")
        except ValueError:
            faults.append(
                f"Row {number}: a date is 2026-11-22 or 2026-11-01/2026-11-30, a time 08:00, weekdays mon tue."
            )
        else:
            rows.append({"slot": slot, "first": first, "last": last, "weekdays": sorted(weekdays)})
    if len(file.rows) > ROWS_MAX:
        faults.append(f"A plan has {ROWS_MAX} rows at most.")
    told = {"date": asked[dates[0]].path, "questions": [asked[one].path for one in slots], "rows": rows}
    return told if rows else {}, faults


def _interval(text: str) -> tuple[str, str]:
    """The first and last day of `2026-11-01/2026-11-30`, or of one day. Raises ValueError."""
    first, _, last = text.strip().partition("/")
    ends = date.fromisoformat(first.strip()[:10]), date.fromisoformat((last or first).strip()[:10])
    if ends[0] > ends[1] or ends[1] - ends[0] > timedelta(days=3660):
        raise ValueError("the days are in the wrong order, or too many")
    return ends[0].isoformat(), ends[1].isoformat()


def _answer(field: Field, text: str) -> str:
    """A planned answer as records have it. Raises WrongTypeError, ValueError."""
    if not text.strip():
        raise WrongTypeError(f"“{field.name}” is blank")
    if field.type is not FieldType.TIME:
        read(field.type, field, text.strip())
        return text.strip()
    hours, minutes = text.strip()[: 5 if text.strip()[2:3] == ":" else 4].split(":")
    return f"{int(hours):02}:{int(minutes):02}"
