"""What each revision of a submission changed, as ODK Central tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from sqlalchemy import Connection

from forms.difference import Difference, differences
from forms.document import Document
from forms.errors import InstanceError
from server import merging
from server.api.deps import ActorDep, NodeDep, admit_submission
from server.disclosure import Veil, veil
from server.node import Node
from server.permissions import Action, may
from server.store import journal, submissions
from server.store.engine import reading
from server.store.submissions import StoredRevision, StoredSubmission
from sync.revision import RevisionKind

router = APIRouter(prefix="/projects/{project_id}/forms/{form_id}/submissions", tags=["submissions"])


@router.get("/{instance_id}/diffs")
def list_differences(
    node: NodeDep, actor: ActorDep, project_id: int, form_id: str, instance_id: str
) -> dict[str, list[dict[str, Any]]]:
    """Tell, by the instanceID of each revision, what it changed: path, old and new value.

    An edit against the revision that it names as its origin; nothing for a first one, and where answers are sealed. A
    resolution gives its cells, a row named by its key. old and new are null for who may not export personal answers.
    """
    found = admit_submission(node, actor, project_id, form_id, instance_id)
    with reading(node.engine) as connection:
        line = node.schemas.line(connection, project_id, form_id)
        seen = veil(line, personal=may(actor, Action.EXPORT_PERSONAL, project_id))
        revisions = submissions.list_revisions(connection, project_id, form_id, found.instance_id)
        documents = {one.instance_id: one for one in reversed(revisions)}
        return {one.instance_id: _changes(connection, node, found, one, documents, seen) for one in revisions}


def _changes(
    connection: Connection,
    node: Node,
    about: StoredSubmission,
    one: StoredRevision,
    by_instance: Mapping[str, StoredRevision],
    seen: Veil,
) -> list[dict[str, Any]]:
    if one.kind != RevisionKind.EDIT:
        return _decided(connection, one, seen)
    origin = by_instance.get(one.deprecated_id or "")
    if origin is None or origin.kind != RevisionKind.EDIT:
        return []
    schema = node.schemas.find(connection, about.project_id, about.form_id, one.version)
    assert schema is not None, "only submissions of known forms are stored"
    old, new = (_document(connection, node, about, other) for other in (origin, one))
    if old is None or new is None:
        return []
    return [_describe(change, seen) for change in differences(old, new, schema)]


def _document(
    connection: Connection, node: Node, about: StoredSubmission, one: StoredRevision
) -> Document | None:
    schema = node.schemas.find(connection, about.project_id, about.form_id, one.version)
    assert schema is not None, "only submissions of known forms are stored"
    try:
        document = (
            node.schemas.reader(schema).read(journal.read_entry(connection, one.position).body).document
        )
    except InstanceError:
        return None
    return None if document.get("@encrypted") == "yes" else document


def _decided(connection: Connection, one: StoredRevision, seen: Veil) -> list[dict[str, Any]]:
    given = seen.answers(merging.decode(submissions.read_cells(connection, one)))
    return [{"path": _steps(name), "new": text} for name, text in given.items()]


def _steps(cell: str) -> list[str | list[str]]:
    return [
        [name.partition("[")[0], name.partition("[")[2][:-1]] if name.endswith("]") else name
        for name in cell.strip("/").split("/")
    ]


def _describe(change: Difference, seen: Veil) -> dict[str, Any]:
    hidden = seen.hides(change.at)
    found: dict[str, Any] = {
        "path": [list(step) if isinstance(step, tuple) else step for step in change.path]
    }
    for name, content in (("old", change.old), ("new", change.new)):
        if content is not None:
            found[name] = None if hidden else content
    return found
