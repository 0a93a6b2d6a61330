"""The table: for each figure what the tablets know against what the server and its exports say.

Pure: from `Known`, `Stored` and `Exported` to lines. Counts agree only when what is counted agrees too: sets are
compared as sets, cells as texts, files by SHA-256.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from forms.schema import Field, Flag, FormSchema
from server.demo.coordinator import Contest, Stored
from server.demo.exported import POINT_PARTS, Exported, file_columns, place
from server.demo.merged import Expected, Place, columns, expect, meaning
from server.demo.posts import Held
from server.demo.records import ARRIVED, Brought, Fate, Finished, Known, heads
from server.demo.resolution import STEPS, Resolution

NOTHING = frozenset({""})
PROTECTED = frozenset({Flag.PERSONAL, Flag.SENSITIVE, Flag.GBV})


@dataclass(frozen=True, slots=True)
class Figure:
    """One number on both sides. agrees: False also when equal numbers count different things."""

    known: int
    found: int
    agrees: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the table. name: for machines. by_form: empty for what concerns the whole server."""

    name: str
    label: str
    by_form: Mapping[str, Figure]
    total: Figure


@dataclass(frozen=True)
class Case:
    """All that is known of one form. samples: (bytes on the tablet, bytes on the server) of some revisions.

    is_to_resolve: a conflict of this form is to be resolved; resolution: how, None when the server listed none.
    """

    schema: FormSchema
    known: Known
    stored: Stored
    exported: Exported
    samples: tuple[tuple[bytes, bytes], ...] = ()
    is_to_resolve: bool = False
    resolution: Resolution | None = None

    @cached_property
    def shown(self) -> dict[str, tuple[Finished, ...]]:
        """By record, the revisions that nobody edited."""
        return {record: heads(revisions) for record, revisions in self.known.by_record.items()}

    @cached_property
    def expected(self) -> dict[str, Expected]:
        """By record, what it must show."""
        return {
            record: expect(revisions, self.schema, self.decided)
            for record, revisions in self.known.by_record.items()
        }

    @property
    def decided(self) -> Mapping[Place, str]:
        """What the coordinator chose."""
        if self.resolution is None:
            return {}
        table, title = place(self.resolution.about.path, self.schema)
        return {(table, self.resolution.about.record, title): self.resolution.chosen}

    @cached_property
    def contests(self) -> Counter[Contest]:
        """What people must be asked, decided or not."""
        return Counter(
            Contest(record, self.fields[path, title].path, answers)
            for record, one in self.expected.items()
            for (path, _, title), answers in one.contested.items()
        )

    @cached_property
    def fields(self) -> Mapping[tuple[str, str], Field]:
        """The field in each column: see `merged.columns`."""
        return columns(self.schema)

    def shows(self, expected: Expected, spot: Place) -> bool:
        """Whether the export shows what a record must show in one place."""
        path, key, title = spot
        row = self.exported.tables[path].get(key)
        return row is not None and meaning(self.fields[path, title], row[title]) in expected.cells.get(
            spot, NOTHING
        )


def reconcile(
    cases: Mapping[str, Case],
    quarantined: int,
    server_exit_code: int,
    held: Sequence[Held],
    taken: Mapping[str, Collection[tuple[str, str, str]]],
) -> tuple[Line, ...]:
    """Return the table. cases: by form ID. quarantined: arrivals that the server could not read.

    held: what each post says that it has. taken: what it acknowledged, by its name.
    """
    lines = [
        Line(name, label, figures := {form_id: rule(case) for form_id, case in cases.items()}, _sum(figures))
        for name, (label, rule) in RULES.items()
    ]
    return (
        *lines,
        *(
            Line(f"post_{number}", f"Stored at {one.name}", {}, _sets(set(taken.get(one.name, ())), one.keys))
            for number, one in enumerate(held, 1)
        ),
        Line("waiting", "Not yet relayed", {}, _equal(0, sum(one.waiting for one in held))),
        Line("decided_at_posts", "Decision shown at its posts", {}, _decided_at_posts(cases, held)),
        Line("quarantined", "Could not be read", {}, _equal(0, quarantined)),
        Line("server_exit_code", "Exit code of the server", {}, _equal(0, server_exit_code)),
    )


def exit_code(lines: tuple[Line, ...]) -> int:
    """Return 0 when every line agrees, else 1."""
    return 0 if all(line.total.agrees for line in lines) else 1


def _decided_at_posts(cases: Mapping[str, Case], held: Sequence[Held]) -> Figure:
    """What the coordinator decided at the centre stands at every post that holds the record."""
    known = found = 0
    for case in cases.values():
        if case.resolution:
            about, chosen = case.resolution.about, case.resolution.chosen
            rows = [one.rows[about.record] for one in held if about.record in one.rows]
            known += len(rows)
            found += sum(row[place(about.path, case.schema)[1]] == chosen for row in rows)
    return _equal(known, found)


def _blank_forms(case: Case) -> Figure:
    return _equal(case.known.files_fetched, case.known.files_intact)


def _checks(case: Case) -> Figure:
    return _equal(case.known.checks, case.known.unchanged)


def _finished(case: Case) -> Figure:
    return _sets({one.key for one in case.known.finished}, case.known.acknowledged)


def _posts(case: Case) -> Figure:
    """Every post was acknowledged, lost its answer or was cut: none failed otherwise."""
    posts = case.known.posts
    return _equal(posts.total(), posts.total() - posts[Fate.FAILED])


def _acknowledged(case: Case) -> Figure:
    """What was acknowledged brought a stored revision, further files or a repeat, as did what lost its answer."""
    arrivals, posts = case.known.arrivals, case.known.posts
    explained = case.stored.received + arrivals[Brought.FILES] + arrivals[Brought.NOTHING]
    return _equal(posts[Fate.ACKNOWLEDGED], explained - posts[Fate.ANSWER_LOST])


def _faults(fate: Fate) -> Callable[[Case], Figure]:
    return lambda case: _equal(case.known.expected[fate], case.known.posts[fate])


def _repeats(case: Case) -> Figure:
    """Sent more than once according to the tablets; not there a second time according to the server."""
    arrived = sum(case.known.posts[fate] for fate in ARRIVED)
    absorbed = arrived - case.known.arrivals[Brought.FILES] - case.stored.received
    return _equal(case.known.arrivals[Brought.NOTHING], absorbed)


def _submissions(case: Case) -> Figure:
    figure = _sets(set(case.known.by_record), case.stored.records)
    counted = case.stored.submissions
    return Figure(figure.known, counted, figure.agrees and counted == figure.known)


def _revisions(case: Case) -> Figure:
    figure = _sets({one.key for one in case.known.finished}, case.stored.revision_keys)
    known = figure.known + (case.resolution.decisions if case.resolution else 0)
    counted = case.stored.revisions
    return Figure(known, counted, figure.agrees and counted == known)


def _edits(case: Case) -> Figure:
    return _equal(sum(bool(one.parent) for one in case.known.finished), case.stored.edits)


def _conflicts(case: Case) -> Figure:
    known = case.contests - Counter([case.resolution.about] if case.resolution else [])
    counted = case.stored.open_conflicts
    return Figure(known.total(), counted, known.total() == counted and known == case.stored.contested)


def _resolved(case: Case) -> Figure:
    """What is contested is listed and resolved; undone it is open again; what an export shows goes along."""
    if not case.is_to_resolve:
        return _equal(0, 0)
    found = case.resolution.steps_right if case.resolution and case.resolution.about in case.contests else 0
    return _equal(STEPS, found)


def _attachments(case: Case) -> Figure:
    known, stored = case.known.attachments, case.stored.attachments
    return Figure(known.total(), stored.total(), known == stored)


def _xml(case: Case) -> Figure:
    return _equal(len(case.samples), sum(known == stored for known, stored in case.samples))


def _rows(case: Case) -> Figure:
    return _sets(set(case.known.by_record), set(case.exported.tables[""]))


def _repeat_rows(case: Case) -> Figure:
    return _sets(
        {key for one in case.expected.values() for path, rows in one.rows.items() if path for key in rows},
        {key for path, rows in case.exported.tables.items() if path for key in rows},
    )


def _cells(case: Case) -> Figure:
    """Each cell shows what the tablets say; of several that changed it apart, what one of them says."""
    known = found = 0
    for one in case.expected.values():
        for path, titles in case.exported.columns.items():
            for key in one.rows[path]:
                known += len(titles)
                found += sum(case.shows(one, (path, key, title)) for title in titles)
    return _equal(known, found)


def _joined(case: Case) -> Figure:
    """A change that one tablet made while another changed something else stands in the export."""
    known = found = 0
    for one in case.expected.values():
        joined = [spot for spot in one.joined if spot[2] in case.exported.columns[spot[0]]]
        known += len(joined)
        found += sum(case.shows(one, spot) for spot in joined)
    return _equal(known, found)


def _files(case: Case) -> Figure:
    """Each exported file has the SHA-256 that it had on the tablet."""
    known = found = 0
    titles = file_columns(case.schema) & case.exported.columns[""]
    for record, one in case.expected.items():
        for title in titles:
            if names := one.cells.get(("", record, title), NOTHING) - NOTHING:
                sent = {revision.files.get(name, "") for name in names for revision in case.shown[record]}
                known += 1
                found += any(case.exported.files.get((record, name)) in sent for name in names)
    return _equal(known, found)


def _withheld(case: Case) -> Figure:
    """No personal, sensitive or restricted field is in an export that did not ask for them."""
    flagged = [field.path for field in case.schema.fields if field.flags & PROTECTED]
    absent = 0
    for table, title in (place(path, case.schema) for path in flagged):
        absent += not {title, f"{title}-{POINT_PARTS[0]}"} & case.exported.columns[table]
    return _equal(len(flagged), absent)


RULES: Mapping[str, tuple[str, Callable[[Case], Figure]]] = {
    "blank_form_files": ("Files of blank forms intact", _blank_forms),
    "unchanged_checks": ("Asked again, unchanged (304)", _checks),
    "finished": ("Finished = acknowledged", _finished),
    "posts": ("Posts sent", _posts),
    "posts_acknowledged": ("  acknowledged (201)", _acknowledged),
    "posts_answer_lost": ("  answer lost on the link", _faults(Fate.ANSWER_LOST)),
    "posts_cut_off": ("  connection reset in the body", _faults(Fate.CUT_OFF)),
    "repeats_absorbed": ("Repeats absorbed", _repeats),
    "submissions": ("Stored submissions", _submissions),
    "revisions": ("Stored revisions", _revisions),
    "edits": ("Edits", _edits),
    "joined_changes": ("Changes made apart, joined", _joined),
    "resolution": ("Conflict resolved, undone", _resolved),
    "open_conflicts": ("Open conflicts", _conflicts),
    "attachments": ("Attachments", _attachments),
    "xml_samples": ("XML compared byte for byte", _xml),
    "exported_rows": ("Exported rows", _rows),
    "exported_repeat_rows": ("Exported repeat rows", _repeat_rows),
    "exported_cells": ("Exported cells", _cells),
    "exported_files": ("Exported photos and logs", _files),
    "withheld_columns": ("Protected columns withheld", _withheld),
}


def _equal(known: int, found: int) -> Figure:
    return Figure(known, found, known == found)


def _sets(known: Collection[object], found: object) -> Figure:
    assert isinstance(found, set | frozenset), "both sides are sets"
    return Figure(len(known), len(found), known == found)


def _sum(figures: Mapping[str, Figure]) -> Figure:
    return Figure(
        sum(one.known for one in figures.values()),
        sum(one.found for one in figures.values()),
        all(one.agrees for one in figures.values()),
    )
