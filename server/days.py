"""The days of a form: closing them at a time, opening one again, and telling what came after one was closed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import orjson
from sqlalchemy import Connection, select

from forms.schema import Field, FieldType
from forms.values import WrongTypeError, read
from server.cleaning.places import NoPlaceError, Questions
from server.cleaning.records import Cleaned, Cleaner
from server.node import Node
from server.permissions import Actor
from server.problems import Problem
from server.store import days as stored
from server.store import journal, submissions
from server.store.engine import reading, writing
from server.store.submissions import FormKey, StoredSubmission, of_form
from server.store.tables import revision
from sync.cleaning import text_of
from sync.clock import to_datetime
from sync.days import Days, Said, What, day_at
from sync.journal import Fact, Kind
from sync.revision import RevisionKind

PAGE = 100
OFFSET = re.compile(r"([+-])(\d\d):([0-5]\d)")
DATED = frozenset({FieldType.DATE, FieldType.DATETIME})
YEARS = range(1900, 2200)
"""Of days that can be meant; tablets send others too."""
STARTS = ("date:today", "timestamp:start")


@dataclass(frozen=True, slots=True)
class Late:
    """What came of a record after its day was closed. who: the account."""

    day: date
    instance_id: str
    what: What
    stamp: int
    who: str


def give_rule(
    node: Node, actor: Actor, form: FormKey, closes_at: str, offset: str, question: str = ""
) -> None:
    """Close the days of a form from now on at this time, `21:00`, by the clock there, `+04:30`; "" to close no more.

    question: a date outside repeats, whose answer tells a record's day. Raises Problem 400.1.
    """
    found = OFFSET.fullmatch(offset or "+00:00")
    try:
        closing = time.fromisoformat(closes_at).strftime("%H:%M") if closes_at else ""
    except ValueError:
        closing, found = "", None
    if found is None or int(found[2]) > 14:
        raise Problem(400.1, "Give the time as 21:00 and what the clock there is ahead of UTC as +04:30.")
    with reading(node.engine) as connection:
        line = node.schemas.line(connection, *form)
    if question:
        try:
            spot = Questions(line).find(len(line.versions) - 1, question)
        except NoPlaceError:
            spot = None
        repeats = line.versions[-1].schema.repeats
        if (
            spot is None
            or spot.field is None
            or spot.field.type not in DATED
            or any(spot.path.startswith(f"{one.path}/") for one in repeats)
        ):
            raise Problem(400.1, "A record's day is told by a date of the form, outside repeats.")
    minutes = int(found[2]) * 60 + int(found[3])
    offset_min = -minutes if found[1] == "-" else minutes
    _say(node, actor, form, closes_at=closing, offset_min=offset_min, question=question)


def turn(node: Node, actor: Actor, form: FormKey, day: date, *, is_open: bool, reason: str = "") -> None:
    """Open a closed day again, or close it again: what comes meanwhile is not late."""
    _say(node, actor, form, day=day.isoformat(), is_open=is_open, reason=reason)


def late(connection: Connection, cleaner: Cleaner) -> tuple[Days, dict[date, int], list[Late]]:
    """Return what was said of a form's days, how many records each has, and what came late, in order of the records.

    A record whose date was corrected counts for both days. Reads all records when days are closed, else none.
    """
    days = stored.read_days(connection, cleaner.form)
    counts: dict[date, int] = {}
    found: list[Late] = []
    rules = [one for one in days.said if one.closes_at]
    if rules:
        dater = _Dater(cleaner, rules[-1])
        for page in _pages(connection, cleaner.form):
            cleaned = cleaner.clean(connection, page)
            events = _events(connection, cleaner, page, cleaned)
            for one in page:
                for day in sorted(dater.days(one, cleaned.get(one.instance_id))):
                    counts[day] = counts.get(day, 0) + (not one.is_deleted)
                    found += [
                        Late(day, one.instance_id, what, stamp, who)
                        for stamp, what, who in events.get(one.instance_id, ())
                        if days.is_closed(day, stamp)
                    ]
    return days, counts, found


def told_days(connection: Connection, cleaner: Cleaner) -> dict[str, object] | None:
    """Return what a manifest says of days: the rule, and by day how much came late of what; None without a rule."""
    days, _, found = late(connection, cleaner)
    if (rule := describe_rule(days.rule)) is None:
        return None
    totals = Counter((one.day.isoformat(), one.what.value) for one in found)
    by_day: dict[str, dict[str, int]] = {}
    for (day, what), count in sorted(totals.items()):
        by_day.setdefault(day, {})[what] = count
    return {"rule": rule, "late": by_day}


def describe_rule(rule: Said | None) -> dict[str, str] | None:
    """Return the rule that holds as people give it, None for none."""
    if rule is None or rule.closes_at is None:
        return None
    hours, minutes = divmod(abs(rule.offset_min), 60)
    sign = "-" if rule.offset_min < 0 else "+"
    return {
        "closesAt": rule.closes_at.strftime("%H:%M"),
        "offset": f"{sign}{hours:02}:{minutes:02}",
        "question": rule.question,
    }


def _pages(connection: Connection, form: FormKey) -> Iterator[list[StoredSubmission]]:
    after = 0
    while page := submissions.list_submissions(connection, *form, after, PAGE):
        after = page[-1].position
        yield page
    deleted = [
        submissions.find_submission(connection, *form, name)
        for name in submissions.iter_deleted(connection, *form)
    ]
    yield [one for one in deleted if one is not None]


def _events(
    connection: Connection, cleaner: Cleaner, page: list[StoredSubmission], cleaned: Mapping[str, Cleaned]
) -> dict[str, list[tuple[int, What, str]]]:
    """What happened to each record, oldest first."""
    events: dict[str, list[tuple[int, What, str]]] = {}
    for some in submissions.chunks([one.instance_id for one in page]):
        columns = (revision.c.root_id, revision.c.stamp, revision.c.kind, revision.c.submitter_name)
        query = select(*columns).where(*of_form(revision, cleaner.form), revision.c.root_id.in_(some))
        for row in connection.execute(query.order_by(revision.c.stamp, revision.c.digest)):
            own = events.setdefault(row.root_id, [])
            edited = What.DELETED if row.kind == RevisionKind.TOMBSTONE else What.EDITED
            own.append((row.stamp, edited if own else What.RECEIVED, row.submitter_name))
    for name, done in cleaned.items():
        events.setdefault(name, []).extend(
            (entry.stamp, What.CORRECTED, entry.actor_name) for entry in done.entries
        )
    return events


class _Dater:
    """Tells the days of records. rule: the last that closes days."""

    def __init__(self, cleaner: Cleaner, rule: Said) -> None:
        self._cleaner = cleaner
        self._rule = rule
        self._questions = Questions(cleaner.line)
        self._fields: dict[str, Field | None] = {}

    def days(self, one: StoredSubmission, done: Cleaned | None) -> set[date]:
        """The days that a record says, merged and clean, or when it was received where it says none."""
        documents = [orjson.loads(one.answers), *([done.answers] if done else [])]
        told = {self._day(document, one) for document in documents}
        return {day for day in told if day} or {day_at(to_datetime(one.created_stamp), self._rule)}

    def _day(self, document: Mapping[str, Any], one: StoredSubmission) -> date | None:
        if one.version not in self._fields:
            self._fields[one.version] = self._find(one)
        field = self._fields[one.version]
        if one.encrypted or field is None:
            return None
        text = text_of(document, self._cleaner.schema(one), field.path) or ""
        try:
            value = read(field.type, field, text.strip())
        except WrongTypeError:
            return None
        if not isinstance(value, date) or value.year not in YEARS:
            return None
        if isinstance(value, datetime):
            return day_at(value, self._rule) if value.tzinfo else value.date()
        return value

    def _find(self, one: StoredSubmission) -> Field | None:
        if self._rule.question:
            try:
                return self._questions.find(self._cleaner.line.place(one.version), self._rule.question).field
            except NoPlaceError:
                return None
        started = {field.preload: field for field in self._cleaner.schema(one).fields}
        return next((started[name] for name in STARTS if name in started), None)


def _say(
    node: Node,
    actor: Actor,
    form: FormKey,
    *,
    day: str = "",
    is_open: bool = False,
    closes_at: str = "",
    offset_min: int = 0,
    question: str = "",
    reason: str = "",
) -> None:
    said = {
        "form_id": form[1],
        "day": day,
        "is_open": is_open,
        "closes_at": closes_at,
        "offset_min": offset_min,
        "question": question,
        "reason": reason,
        "actor_id": actor.id,
        "actor_name": actor.name,
    }
    with writing(node.engine) as connection:
        journal.append(connection, [Fact(Kind.DAYS, form[0], None, orjson.dumps(said))])
    node.catch_up()
