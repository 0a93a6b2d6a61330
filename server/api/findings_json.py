"""What the checks of a form found as JSON, for the API and for `--json`."""

from __future__ import annotations

from typing import Any

import orjson

from server.cleaning.entering import open_current
from server.cleaning.places import NoPlaceError, Questions, locate
from server.disclosure import Veil, veil
from server.merging import FormLine
from server.node import Node
from server.store import findings, submissions
from server.store.engine import reading
from server.store.findings import StoredFinding
from server.store.forms import iso
from server.store.submissions import FormKey, StoredSubmission
from sync.cleaning import text_of

Place = tuple[int, str, str, str]


def describe_findings(
    node: Node, form: FormKey, *, after: Place | None, limit: int, check_id: str = "", personal: bool
) -> dict[str, Any]:
    """Return the checks of a form with how many findings each has, and a page of findings.

    A finding is decided when the log has an entry about its record that names its check and is not taken back.
    """
    with reading(node.engine) as connection:
        cleaner = open_current(connection, node, form)
        counts = findings.count_findings(connection, form)
        page = findings.list_findings(connection, form, after=after, limit=limit, check_id=check_id)
        abouts = {
            name: submissions.find_submission(connection, *form, name)
            for name in {one.instance_id for one in page}
        }
        cleaned = cleaner.clean(connection, [one for one in abouts.values() if one])
    line = cleaner.line
    checks = line.versions[-1].schema.checks if line.versions else ()
    columns = {check.id: check.columns for check in checks}
    shown, questions = veil(line, personal=personal), Questions(line)
    return {
        "checks": [
            {
                "checkId": check.id,
                "description": check.description,
                "check": check.expression,
                "columns": check.columns,
                "count": counts.get(check.id, 0),
            }
            for check in checks
        ],
        "findings": [
            {
                "instanceId": one.instance_id,
                "checkId": one.check_id,
                "cell": one.cell,
                "state": "decided"
                if (done := cleaned.get(one.instance_id)) and done.decides(one.check_id)
                else "open",
                "receivedAt": iso(one.stamp),
                "answers": _answers(one, about, columns.get(one.check_id, ()), line, questions, shown),
                "position": orjson.dumps([one.stamp, one.instance_id, one.check_id, one.cell]).decode(),
            }
            for one in page
            if (about := abouts[one.instance_id]) is not None
        ],
    }


def _answers(
    one: StoredFinding,
    about: StoredSubmission,
    columns: tuple[str, ...],
    line: FormLine,
    questions: Questions,
    shown: Veil,
) -> dict[str, str | None]:
    """The merged answers to the questions to clean, by cell."""
    at = line.place(about.version)
    schema, document = line.versions[at].schema, orjson.loads(about.answers)
    found: dict[str, str | None] = {}
    for name in columns:
        try:
            path = questions.find(at, name).path
            inside = any(path.startswith(f"{repeat.path}/") for repeat in schema.repeats)
            cell = locate(document, schema, path, one.cell if inside else "")
        except NoPlaceError:
            continue
        found[cell] = None if shown.hides_cell(cell) else text_of(document, schema, cell)
    return found
