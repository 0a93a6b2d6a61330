"""Resolving conflicts: one by one, by rule for many after a preview, and undoing either.

What a choice means is said in `sync.choosing`; here it is held against what the person saw, and recorded. Nothing is
decided unseen: a choice names the state it was made upon (`seen`), and what came since makes it stale.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import orjson
from sqlalchemy import Connection

from forms import cells, instance
from forms.cells import Cells
from forms.merge_rules import MergeRules, Policy, Shape
from forms.schema import FormSchema
from server.deciding import Ruling, decide_all
from server.node import Node
from server.permissions import Actor
from server.problems import Problem
from server.store import conflicts, submissions
from server.store.conflicts import StoredConflict, Wanted, facts_of
from server.store.engine import reading
from server.store.submissions import StoredSubmission
from sync.choosing import ByRule, Case, Choice, ChoiceError, decided
from sync.registers import DELETED
from sync.revision import RevisionKind
from sync.view import ConflictKind

BULK_MAX = 1000
Rules = tuple[FormSchema, MergeRules, Mapping[str, frozenset[str]]]
"""Of one form version; with path → the answers of attached lists."""
STALE = "Something came in or was decided since you looked. Look again, then decide."


def get_conflict(node: Node, project_id: int, conflict_id: str) -> StoredConflict:
    """Return a conflict. Raises Problem 404.1."""
    with reading(node.engine) as connection:
        return _get(connection, project_id, conflict_id)


def read_row(node: Node, one: StoredConflict) -> Cells:
    """Return the answers that are shown now in the row that a conflict is about."""
    with reading(node.engine) as connection:
        shown = _Docket(connection, node, []).case(one).shown
    return {name: cell for name, cell in shown.items() if name.startswith(f"{one.about.cells[0]}/")}


def resolve(
    node: Node,
    actor: Actor,
    project_id: int,
    conflict_id: str,
    choice: Choice,
    seen: str,
    reason: str = "",
) -> StoredConflict:
    """Settle one conflict and return it as it is now; whatever else is contested stays open.

    Raises Problem 404.1, 409.33 when `seen` is not what there is to decide now, 400.11 when the choice does not suit.
    """
    with reading(node.engine) as connection:
        one = _get(connection, project_id, conflict_id)
        if one.seen != seen:
            raise Problem(409.33, STALE)
        try:
            ruling = _Docket(connection, node, [one]).ruling(one, choice, reason)
        except ChoiceError as error:
            raise Problem(400.11, str(error)) from None
    decide_all(node, actor, [ruling])
    return get_conflict(node, project_id, conflict_id)


def undo(
    node: Node, actor: Actor, project_id: int, conflict_id: str, reason: str = ""
) -> StoredConflict | None:
    """Withdraw the newest decision about a conflict; return what is there now, None when it came of nothing else.

    Raises Problem 404.1, 409.34.
    """
    with reading(node.engine) as connection:
        one = _get(connection, project_id, conflict_id)
        if not one.decision:
            raise Problem(409.34, "Nobody has decided this conflict, or it is undone already.")
        about = _Docket(connection, node, [one]).submission(one)
    withdrawal = Ruling(about, RevisionKind.WITHDRAWAL, reason=reason, upon=[one.decision])
    decide_all(node, actor, [withdrawal])
    with reading(node.engine) as connection:
        return conflicts.find_conflict(connection, project_id, conflict_id)


@dataclass(frozen=True, slots=True)
class Planned:
    """What a rule would do to one conflict: the answers shown before and after."""

    conflict: StoredConflict
    before: Cells
    after: Cells


@dataclass(frozen=True)
class Plan:
    """What a rule would do. left: why it would not settle others. more: there are more than one plan takes.

    token: names exactly these conflicts in this state, and the rule.
    """

    planned: tuple[Planned, ...]
    left: tuple[tuple[StoredConflict, str], ...]
    more: bool
    token: str


@dataclass(frozen=True)
class Applied:
    """What became of a plan. batch: names its decisions, to undo them. left: conflict ID → why it was not settled."""

    batch: str
    resolved: tuple[str, ...]
    left: Mapping[str, str]


def preview(node: Node, project_id: int, wanted: Wanted, policy: Policy) -> Plan:
    """Return what `policy` would do to the wanted conflicts, up to 1000 at a time; nothing changes."""
    planned: list[Planned] = []
    left: list[tuple[StoredConflict, str]] = []
    with reading(node.engine) as connection:
        found = conflicts.list_conflicts(connection, project_id, wanted, None, BULK_MAX + 1)
        docket = _Docket(connection, node, found)
        for one in found[:BULK_MAX]:
            try:
                after = decided(one.about, ByRule(policy), docket.case(one))
            except ChoiceError as error:
                left.append((one, str(error)))
            else:
                planned.append(Planned(one, one.about.candidates[0].cells, after))
    names = [[one.conflict.id, one.conflict.seen] for one in planned]
    token = base64.urlsafe_b64encode(orjson.dumps([project_id, policy, names])).decode()
    return Plan(tuple(planned), tuple(left), len(found) > BULK_MAX, token)


def apply(node: Node, actor: Actor, project_id: int, token: str, reason: str = "") -> Applied:
    """Do exactly what a preview showed; what changed since is left, and told. Applied again it does nothing more.

    Raises Problem 400.1 when the token is none of a preview of this project.
    """
    policy, names = _read_token(project_id, token)
    batch = hashlib.sha256(token.encode()).hexdigest()[:16]
    rulings: list[Ruling] = []
    resolved: list[str] = []
    left: dict[str, str] = {}
    with reading(node.engine) as connection:
        found = conflicts.find_conflicts(connection, project_id, (name for name, _ in names))
        docket = _Docket(connection, node, found.values())
        for name, seen in names:
            one = found.get(name)
            if one is None or one.seen != seen:
                left[name] = STALE
                continue
            try:
                rulings.append(docket.ruling(one, ByRule(policy), reason, batch))
                resolved.append(name)
            except ChoiceError as error:
                left[name] = str(error)
    decide_all(node, actor, rulings)
    return Applied(batch, tuple(resolved), left)


def undo_batch(node: Node, actor: Actor, project_id: int, batch: str, reason: str = "") -> int:
    """Withdraw every decision of a batch that still stands; return how many. Raises Problem 409.34 when none does."""
    with reading(node.engine) as connection:
        withdrawals = [
            Ruling(about, RevisionKind.WITHDRAWAL, reason=reason, upon=[digest])
            for about, digest in submissions.list_batch(connection, project_id, batch)
        ]
    if not batch or not withdrawals:
        raise Problem(409.34, "No decision of this batch stands.")
    decide_all(node, actor, withdrawals)
    return len(withdrawals)


class _Docket:
    """What is needed to decide conflicts, read once for each submission."""

    def __init__(self, connection: Connection, node: Node, found: Iterable[StoredConflict]) -> None:
        self._connection = connection
        self._node = node
        known = list(found)
        writers = conflicts.read_writers(connection, known)
        self._ranks = {digest: (one.stamp, digest) for digest, one in writers.items()}
        self._cases: dict[tuple[str, str], tuple[StoredSubmission, Case]] = {}
        self._forms: dict[tuple[int, str, str], Rules] = {}

    def submission(self, one: StoredConflict) -> StoredSubmission:
        """Return the submission that a conflict is about."""
        return self._read(one)[0]

    def case(self, one: StoredConflict) -> Case:
        """Return what a choice about it is judged by."""
        return self._read(one)[1]

    def ruling(self, one: StoredConflict, choice: Choice, reason: str, batch: str = "") -> Ruling:
        """Return the decision that this choice is, upon all that is known now. Raises ChoiceError."""
        about, case = self._read(one)
        given = decided(one.about, choice, case)
        kind = RevisionKind.RESOLUTION
        if one.about.kind is ConflictKind.DELETED:
            kind = RevisionKind.TOMBSTONE if given[DELETED].said else RevisionKind.RESTORE
            given = {}
        past = submissions.read_history(self._connection, about.project_id, about.form_id, about.instance_id)
        upon = [past.order[head].digest for head in past.heads]
        return Ruling(about, kind, given, reason, upon, facts_of(one.about), batch)

    def _read(self, one: StoredConflict) -> tuple[StoredSubmission, Case]:
        key = (one.form_id, one.instance_id)
        if key not in self._cases:
            place = (one.project_id, one.form_id)
            about = submissions.find_submission(self._connection, *place, one.instance_id)
            assert about is not None, "a conflict belongs to a submission"
            schema, rules, listed = self._read_form(*place, about.version)
            tree = instance.from_json(orjson.loads(about.answers), schema)
            shown = cells.read(tree, schema, Shape(rules.sets, rules.keys))
            self._cases[key] = about, Case(schema, rules, shown, listed, self._ranks)
        return self._cases[key]

    def _read_form(self, project_id: int, form_id: str, name: str) -> Rules:
        version = (project_id, form_id, name)
        if version not in self._forms:
            line = self._node.schemas.line(self._connection, project_id, form_id)
            at = line.place(name)
            schema = line.versions[at].schema
            logic = self._node.schemas.logic(self._connection, project_id, form_id, schema.version)
            self._forms[version] = schema, line.rules[at], logic.listed()
        return self._forms[version]


def _get(connection: Connection, project_id: int, conflict_id: str) -> StoredConflict:
    found = conflicts.find_conflict(connection, project_id, conflict_id)
    if found is None:
        raise Problem(404.1, "There is no such conflict in this project.")
    return found


def _read_token(project_id: int, token: str) -> tuple[Policy, list[tuple[str, str]]]:
    try:
        project, policy, names = orjson.loads(base64.urlsafe_b64decode(token))
        if project == project_id and len(names) <= BULK_MAX:
            return Policy(policy), [(str(name), str(seen)) for name, seen in names]
    except (ValueError, TypeError):
        pass
    raise Problem(400.1, "This is no token of a preview in this project. Preview again.")
