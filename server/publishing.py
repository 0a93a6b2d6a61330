"""Publishing: a sheet or an XForm becomes a form version that tablets see, with the files it reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
from sqlalchemy import Connection

from forms import xform
from forms.compile import CompiledForm
from forms.errors import Fault, FormError
from forms.evolve_rules import Change, Effect
from server import intake
from server.beside import find_media
from server.compiling import compile_apart
from server.evolution import NO_CONSENT, Consent, Judgement, is_overtaken, judge
from server.intake import Arrival, Sender, StoredFile
from server.node import Node
from server.problems import Problem
from server.store import forms, journal, quarantine
from server.store.engine import reading, writing
from sync.clock import to_datetime
from sync.journal import Draft, Kind

ITEMSETS = "itemsets.csv"
ID_BYTES_MAX = 255
"""With an instanceID and a file name it still fits PostgreSQL's 2,704 bytes for one index entry."""
BUNDLED = Path(__file__).parent.parent / "forms" / "sheets"


@dataclass(frozen=True, slots=True)
class Publication:
    """What publishing did. is_new: False when this very version was there already. released: taken from quarantine.

    missing: files that the form names and nobody has given yet. changes: from the version before.
    """

    form_id: str
    version: str
    name: str
    is_new: bool
    warnings: tuple[Fault, ...]
    missing: tuple[str, ...]
    released: int
    changes: tuple[Change, ...] = ()


def publish(
    node: Node,
    project_id: int,
    data: bytes,
    file_name: str,
    media: Mapping[str, bytes],
    consent: Consent = NO_CONSENT,
) -> Publication:
    """Publish a form from a sheet (xlsx, xls, csv, md) or an XForm (xml), with those of `media` that it reads.

    Raises FormError for a faulty sheet, Problem 409.6 when the version is published with other content, 409.31 when
    it breaks what is collected and `consent` does not say so. To publish a version again changes nothing.
    """
    compiled = read_form(data, file_name)
    schema = compiled.schema
    published = _find(node, project_id, schema.form_id, schema.version)
    if published and published.sha256 != hashlib.sha256(compiled.xform).hexdigest():
        raise Problem(
            409.6,
            f"Version “{schema.version}” of {schema.form_id} is already published with other content. "
            "Give the sheet a new version in its settings.",
        )
    judgement = None
    drafts: list[Draft] = []
    if published is None:
        with reading(node.engine) as connection:
            judgement = judge(connection, node, project_id, compiled, consent)
        drafts = [_form_draft(node, project_id, compiled, data, file_name, judgement)]
    given = {name: media[name] for name in schema.media if name in media}
    if compiled.itemsets:
        given[ITEMSETS] = compiled.itemsets
    with reading(node.engine) as connection:
        known = {file.name: file.sha256 for file in forms.list_media(connection, project_id, schema.form_id)}
    for name, content in given.items():
        if known.get(name) != hashlib.sha256(content).hexdigest():
            drafts.append(_media_draft(node, project_id, schema.form_id, name, content))
    _append(node, drafts, judgement)
    return Publication(
        form_id=schema.form_id,
        version=schema.version,
        name=schema.title,
        is_new=published is None,
        warnings=compiled.warnings,
        missing=tuple(name for name in schema.media if name not in known and name not in given),
        released=_release(node, project_id, schema.form_id),
        changes=judgement.changes if judgement else (),
    )


def publish_file(node: Node, project_id: int, path: Path, consent: Consent = NO_CONSENT) -> Publication:
    """Publish the sheet at `path` with the files it names, from beside it or from its `media` folder.

    Raises FormError, Problem, OSError.
    """
    return publish(node, project_id, path.read_bytes(), path.name, find_media(path), consent)


def set_media(node: Node, project_id: int, form_id: str, name: str, content: bytes) -> None:
    """Give a form one of the files it reads; no new version, tablets fetch it at their next check."""
    _append(node, [_media_draft(node, project_id, form_id, name, content)])


def release_waiting(node: Node, project_id: int) -> int:
    """Take up what waits in quarantine for forms that are published; return how many records.

    For the arrival that was examined just before its form was published and set aside just after.
    """
    with reading(node.engine) as connection:
        published = forms.list_current(connection, project_id)
    return sum(_release(node, project_id, one.form_id) for one in published)


def read_form(data: bytes, file_name: str) -> CompiledForm:
    """Return the form of a sheet or, when the name ends in `.xml`, of an XForm. Raises FormError."""
    if file_name.casefold().endswith(".xml"):
        schema = xform.read(data)
        if any(len(text.encode()) > ID_BYTES_MAX for text in (schema.form_id, schema.version)):
            fix = f"Use at most {ID_BYTES_MAX} bytes for each."
            raise FormError(Fault("The form's id or version is too long.", fix))
        return CompiledForm(data, schema, xform.NO_MARKS, ())
    return compile_apart(data, file_name)


def _find(node: Node, project_id: int, form_id: str, version: str) -> forms.PublishedForm | None:
    node.catch_up()
    with reading(node.engine) as connection:
        return forms.find_version(connection, project_id, form_id, version)


def _append(node: Node, drafts: list[Draft], judgement: Judgement | None = None) -> None:
    """Commit the facts. judgement: of the new version that is the first of them.

    Raises Problem 409.32 when another version came in since it was judged: that one must be looked at first.
    """
    if drafts:
        with writing(node.engine) as connection:
            places = journal.append(connection, drafts)
            if judgement and (places[0] is None or is_overtaken(connection, judgement)):
                raise Problem(
                    409.32, "Somebody else published a version of this form meanwhile. Publish again."
                )
    node.catch_up()


def _form_draft(
    node: Node, project_id: int, compiled: CompiledForm, data: bytes, file_name: str, judgement: Judgement
) -> Draft:
    schema = compiled.schema
    marks = compiled.marks
    detail = {
        "form_id": schema.form_id,
        "version": schema.version,
        "name": schema.title,
        "marks": {"flags": dict(marks.flags), "merges": dict(marks.merges), "keys": dict(marks.keys)},
        "sheet_sha256": node.blobs.put(data),
        "sheet_name": Path(file_name).name,
        "renames": dict(judgement.renames),
        "accepted": [change.key for change in judgement.changes if change.effect is Effect.BREAKING],
    }
    key = hashlib.sha256(orjson.dumps([Kind.FORM, project_id, schema.form_id, schema.version])).digest()
    return Draft(Kind.FORM, project_id, key, orjson.dumps(detail), compiled.xform)


def _media_draft(node: Node, project_id: int, form_id: str, name: str, content: bytes) -> Draft:
    detail = {
        "form_id": form_id,
        "name": name,
        "sha256": node.blobs.put(content),
        "md5": hashlib.md5(content, usedforsecurity=False).hexdigest(),
        "size": len(content),
    }
    return Draft(Kind.FORM_MEDIA, project_id, None, orjson.dumps(detail))


def _release(node: Node, project_id: int, form_id: str) -> int:
    """Take up what waited in quarantine for this form, with the times and senders of its first arrival."""
    with reading(node.engine) as connection:
        waiting = quarantine.list_quarantined(connection, project_id, form_id)
        arrivals = [arrival for one in waiting if (arrival := _released(connection, one.position))]
    if arrivals:
        intake.record(node.engine, arrivals)
        node.catch_up()
    return len(arrivals)


def _released(connection: Connection, position: int) -> Arrival | None:
    entry = journal.read_entry(connection, position)
    detail = orjson.loads(entry.detail)
    if detail["oversize"] or not entry.body:
        return None
    sender = Sender(detail["submitter_id"], detail["submitter_name"], detail["device_id"], detail["door"])
    files = [StoredFile(**file) for file in detail["files"]]
    arrival = intake.examine(entry.project_id, entry.body, files, sender, lambda *_: True)
    return replace(arrival, released_from=position, received_at=to_datetime(entry.stamp))
