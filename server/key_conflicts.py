"""Deciding what records with one duplicate key are: one that is kept, different records, or a mistake in the key.

Nobody merges them. Each decision is an entry or a few, names the state it was made upon (`seen`), and can be undone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

import orjson

from forms import values
from forms.cells import Cell
from forms.schema import Field, Flag, FormSchema
from server.deciding import Ruling, decide_all
from server.node import Node
from server.permissions import Actor
from server.problems import Problem
from server.resolving import STALE
from server.store import journal, key_conflicts, submissions
from server.store.engine import reading, writing
from server.store.key_conflicts import MEMBERS_MAX, StoredDistinction, StoredKeyConflict
from server.store.submissions import StoredSubmission
from sync.journal import Fact, Kind
from sync.revision import RevisionKind

BATCH = "key "
"""Begins the batch of decisions about records with one key."""


def get(node: Node, project_id: int, form_id: str, key: str) -> StoredKeyConflict:
    """Return what there is about a key. Raises Problem 404.1."""
    with reading(node.engine) as connection:
        found = key_conflicts.find_key_conflict(connection, (project_id, form_id), key)
    if found is None:
        raise Problem(404.1, "No two records of this form share that key.")
    return found


def members(node: Node, one: StoredKeyConflict) -> list[StoredSubmission]:
    """Return the records, first received first, with those that are deleted."""
    names = orjson.loads(one.instance_ids)
    with reading(node.engine) as connection:
        found = (submissions.find_submission(connection, one.project_id, one.form_id, name) for name in names)
        return [record for record in found if record is not None]


def distinctions(node: Node, one: StoredKeyConflict) -> list[StoredDistinction]:
    """Return who said that some of the records are different ones, and was not taken back."""
    with reading(node.engine) as connection:
        return key_conflicts.list_distinctions(
            connection, (one.project_id, one.form_id), orjson.loads(one.instance_ids)
        )


def askable(schema: FormSchema) -> tuple[Field, ...]:
    """Return the questions whose answers make the key: what a person corrects. A calculation follows them."""
    rows = tuple(f"{repeat.path}/" for repeat in schema.repeats)
    return tuple(
        field
        for field in schema.fields
        if Flag.DUPLICATE_KEY in field.flags and field.control and not field.path.startswith(rows)
    )


def keep(node: Node, actor: Actor, one: StoredKeyConflict, kept: str, seen: str, reason: str = "") -> str:
    """Delete all records but one; return the decision's name, to undo it. Raises Problem 400.31, 409.33."""
    live = _live(node, one, seen)
    if kept not in {record.instance_id for record in live}:
        raise Problem(400.31, "The record to keep is none of these, or it is deleted.")
    batch = _batch(one.duplicate_key, ["keep", kept, seen])
    decide_all(
        node,
        actor,
        [
            Ruling(record, RevisionKind.TOMBSTONE, reason=reason, batch=batch)
            for record in live
            if record.instance_id != kept
        ],
    )
    return batch


def tell_apart(node: Node, actor: Actor, one: StoredKeyConflict, seen: str) -> str:
    """Say that the records are different ones; another with their key asks again. See `keep`."""
    instance_ids = sorted(record.instance_id for record in _live(node, one, seen))
    return _distinguish(node, actor, one.project_id, one.form_id, instance_ids, holds=True)


def correct(
    node: Node,
    actor: Actor,
    one: StoredKeyConflict,
    instance_id: str,
    answers: Mapping[str, str],
    seen: str,
    reason: str = "",
) -> str:
    """Give other answers, by path, to questions of the key in one record; see `keep`. Raises Problem 400.11 too."""
    about = next((record for record in _live(node, one, seen) if record.instance_id == instance_id), None)
    if about is None or not answers:
        raise Problem(400.31, "Name one of these records, and the answers to correct.")
    with reading(node.engine) as connection:
        line = node.schemas.line(connection, one.project_id, one.form_id)
    at = line.place(about.version)
    fields = {field.path: field for field in askable(line.versions[at].schema)}
    if not fields.keys() >= answers.keys() or line.rules[at].sets & answers.keys():
        raise Problem(400.31, f"Correct one of {', '.join(sorted(fields))}; for anything else send an edit.")
    cells = {path: _typed(fields[path], text.strip()) for path, text in answers.items()}
    batch = _batch(one.duplicate_key, ["correct", instance_id, dict(answers), seen])
    decide_all(node, actor, [Ruling(about, RevisionKind.RESOLUTION, cells, reason, batch=batch)])
    return batch


def undo(node: Node, actor: Actor, project_id: int, form_id: str, key: str, decision: str) -> None:
    """Take back a decision about a key, by the name that it was given. Raises Problem 409.34."""
    with reading(node.engine) as connection:
        made = submissions.list_batch(connection, project_id, decision)
        one = key_conflicts.find_key_conflict(connection, (project_id, form_id), key)
    if made and decision.startswith(_batch(key)):
        decide_all(
            node, actor, [Ruling(about, RevisionKind.WITHDRAWAL, upon=[digest]) for about, digest in made]
        )
        return
    for told in distinctions(node, one) if one else ():
        if told.id == decision:
            _distinguish(node, actor, project_id, form_id, told.instance_ids, holds=False)
            return
    raise Problem(409.34, "There is no such decision about these records, or it is undone already.")


def _live(node: Node, one: StoredKeyConflict, seen: str) -> list[StoredSubmission]:
    if one.members > MEMBERS_MAX:
        raise Problem(
            400.31,
            f"{one.members} records share this key: the sheet flags too little of what tells records apart (`D`).",
        )
    if one.seen != seen:
        raise Problem(409.33, STALE)
    return [record for record in members(node, one) if not record.is_deleted]


def _batch(key: str, *facts: object) -> str:
    about = hashlib.sha256(key.encode()).hexdigest()[:16]
    made = hashlib.sha256(orjson.dumps(facts)).hexdigest()[:16] if facts else ""
    return f"{BATCH}{about} {made}"


def _typed(field: Field, text: str) -> Cell:
    try:
        return Cell(text, values.canonical(field.type, text, values.read(field.type, field, text)))
    except values.WrongTypeError as wrong:
        detail = f"The answer to {field.path} does not fit the question ({field.type}): {wrong}."
        raise Problem(400.11, detail) from None


def _distinguish(
    node: Node, actor: Actor, project_id: int, form_id: str, instance_ids: Sequence[str], *, holds: bool
) -> str:
    form = (project_id, form_id)
    with writing(node.engine) as connection:
        earlier = key_conflicts.last_distinction(connection, form, instance_ids)
        facts = {
            "form_id": form_id,
            "instance_ids": instance_ids,
            "holds": holds,
            "actor_id": actor.id,
            "actor_name": actor.name,
            "previous": earlier,
        }
        key = hashlib.sha256(orjson.dumps([Kind.DISTINCT, project_id, facts])).digest()
        detail = orjson.dumps(facts | {"id": key.hex()[:32]})
        journal.append(connection, [Fact(Kind.DISTINCT, project_id, key, detail)])
    node.catch_up()
    return key.hex()[:32]
