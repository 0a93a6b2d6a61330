"""Publishing: a sheet or an XForm becomes a form version that tablets see, with the files it reads."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
from sqlalchemy import Connection

from forms import refusal, xform
from forms.compile import CompiledForm
from forms.errors import Fault, FormError
from forms.evolve_rules import Change, Effect
from server import entity_lists, intake, receiving
from server.beside import find_media
from server.compiling import compile_apart
from server.evolution import NO_CONSENT, Consent, Judgement, is_overtaken, judge
from server.node import Node
from server.problems import Problem
from server.receiving import Arrival, Sender, StoredFile
from server.store import datasets, form_states, forms, journal, posts, quarantine
from server.store.engine import reading, writing
from server.store.form_states import FormState
from server.store.forms import Media
from sync.clock import to_datetime
from sync.fact_keys import key_of
from sync.journal import Fact, Kind

ITEMSETS = "itemsets.csv"
XFORM = ".xml"
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


@dataclass(frozen=True, slots=True)
class Edition:
    """A form version as compiled, and the sheet (or XForm) that it was made from, which is among the blobs."""

    form: CompiledForm
    sheet_sha256: str
    sheet_name: str


def publish(
    node: Node,
    project_id: int,
    data: bytes,
    file_name: str,
    media: Mapping[str, bytes],
    consent: Consent = NO_CONSENT,
) -> Publication:
    """Publish a form from a sheet (xlsx, xls, csv, md) or an XForm (xml), with those of `media` that it reads.

    Raises FormError for a faulty sheet, and the problems of `publish_edition`.
    """
    edition = read_edition(node, data, file_name)
    return publish_edition(node, project_id, edition, keep_read(node, edition.form, media), consent)


def publish_edition(
    node: Node,
    project_id: int,
    edition: Edition,
    media: Sequence[Media],
    consent: Consent = NO_CONSENT,
    also: Callable[[Connection], None] = lambda _: None,
) -> Publication:
    """Publish a version with its files; one without a digest is taken from the form.

    Raises Problem 409.6 when the version is published with other content, 409.31 when it breaks what is collected and
    `consent` does not say so. To publish a version again changes nothing. also: what else is to be committed with it.
    """
    schema = edition.form.schema
    published = _find(node, project_id, schema.form_id, schema.version)
    if published and _differs(node, published, edition):
        raise Problem(
            409.6,
            f"Version “{schema.version}” of {schema.form_id} is already published with other content. "
            "Give the sheet a new version in its settings.",
        )
    judgement = None
    facts: list[Fact] = []
    with reading(node.engine) as connection:
        if published is None:
            judgement = judge(connection, node, project_id, edition.form, consent)
            facts = [_form_fact(project_id, edition, judgement)]
        known = {file.name: file.sha256 for file in forms.list_media(connection, project_id, schema.form_id)}
    for file in media:
        if known.get(file.name) != file.sha256:
            facts.append(_media_fact(project_id, schema.form_id, file))
    _append(node, facts, judgement, also)
    here = known | {file.name: file.sha256 for file in media}
    made = _made_here(node, project_id)
    return Publication(
        form_id=schema.form_id,
        version=schema.version,
        name=schema.title,
        is_new=published is None,
        warnings=edition.form.warnings,
        missing=tuple(name for name in schema.media if here.get(name) is None and name not in made),
        released=_release(node, project_id, schema.form_id),
        changes=judgement.changes if judgement else (),
    )


def _made_here(node: Node, project_id: int) -> set[str]:
    """The files that nobody has to give: the server makes them of its entities."""
    with reading(node.engine) as connection:
        return {entity_lists.file_name(one) for one in datasets.list_datasets(connection, project_id)}


def publish_file(node: Node, project_id: int, path: Path, consent: Consent = NO_CONSENT) -> Publication:
    """Publish the sheet at `path` with the files it names, from beside it or from its `media` folder.

    Raises FormError, Problem, OSError.
    """
    return publish(node, project_id, path.read_bytes(), path.name, find_media(path), consent)


def set_media(node: Node, project_id: int, form_id: str, name: str, content: bytes) -> None:
    """Give a form one of the files it reads; no new version, tablets fetch it at their next check."""
    _append(node, [_media_fact(project_id, form_id, keep(node, name, content))])


def set_state(node: Node, project_id: int, form_id: str, state: FormState) -> int:
    """Open, close or half-close a form; return how many records that waited for it to open were taken up."""
    detail = orjson.dumps({"form_id": form_id, "state": state})
    _append(node, [Fact(Kind.FORM_STATE, project_id, None, detail)])
    _append(node, [])  # after whoever still saw the form as it was
    return _release(node, project_id, form_id)


def keep(node: Node, name: str, content: bytes) -> Media:
    """Store a file durably among the blobs, for a form that reads it."""
    md5 = hashlib.md5(content, usedforsecurity=False).hexdigest()
    return Media(name, node.blobs.put(content), md5, len(content))


def keep_read(node: Node, form: CompiledForm, media: Mapping[str, bytes]) -> list[Media]:
    """Store those files that the form reads, and the choices that were compiled apart from it."""
    given = {name: media[name] for name in form.schema.media if name in media}
    if form.itemsets:
        given[ITEMSETS] = form.itemsets
    return [keep(node, name, content) for name, content in given.items()]


def read_edition(node: Node, data: bytes, file_name: str) -> Edition:
    """Compile a sheet and store it durably. Raises FormError."""
    return Edition(read_form(data, file_name), node.blobs.put(data), Path(file_name).name)


def release_waiting(node: Node) -> int:
    """Take up what waits in quarantine for forms that are published; return how many records.

    For what was examined just before its form was published and set aside just after, and for forms that come by relay.
    """
    node.catch_up()
    with reading(node.engine) as connection:
        published = [
            one
            for project_id, _ in forms.list_projects(connection)
            for one in forms.list_current(connection, project_id)
        ]
    return sum(_release(node, one.project_id, one.form_id) for one in published)


def read_form(data: bytes, file_name: str) -> CompiledForm:
    """Return the form of a sheet or, when the name ends in `.xml`, of an XForm. Raises FormError."""
    if file_name.casefold().endswith(XFORM):
        schema = xform.read(data)
        if any(len(text.encode()) > ID_BYTES_MAX for text in (schema.form_id, schema.version)):
            fix = f"Use at most {ID_BYTES_MAX} bytes for each."
            raise FormError(Fault("The form's id or version is too long.", fix))
        refusal.refuse_xform(schema)
        return CompiledForm(data, schema, xform.NO_MARKS, ())
    return compile_apart(data, file_name)


def _find(node: Node, project_id: int, form_id: str, version: str) -> forms.PublishedForm | None:
    node.catch_up()
    with reading(node.engine) as connection:
        return forms.find_version(connection, project_id, form_id, version)


def _differs(node: Node, published: forms.PublishedForm, edition: Edition) -> bool:
    """Whether it says something else than what is published: in its XForm or, being a sheet, in its `chapar::` marks."""
    if published.sha256 != hashlib.sha256(edition.form.xform).hexdigest():
        return True
    if edition.sheet_name.casefold().endswith(XFORM):
        return False  # an XForm carries no marks
    with reading(node.engine) as connection:
        return forms.read_schema(connection, published) != edition.form.schema


def _append(
    node: Node,
    facts: list[Fact],
    judgement: Judgement | None = None,
    also: Callable[[Connection], None] = lambda _: None,
) -> None:
    """Commit the facts. judgement: of the new version that is the first of them.

    Raises Problem 409.32 when another version came in since it was judged: that one must be looked at first; 409.35 at
    a post, whose tablets must have the same forms as all others.
    """
    with writing(node.engine) as connection:
        if facts and (centre := posts.find_centre(connection)):
            raise Problem(
                409.35, f"This is {centre.name}, a post. Publish at its centre: the form comes by relay."
            )
        places = journal.append(connection, facts)
        if judgement and (places[0] is None or is_overtaken(connection, judgement)):
            raise Problem(409.32, "Somebody else published a version of this form meanwhile. Publish again.")
        also(connection)
    node.catch_up()


def _form_fact(project_id: int, edition: Edition, judgement: Judgement) -> Fact:
    schema, marks = edition.form.schema, edition.form.marks
    detail = {
        "form_id": schema.form_id,
        "version": schema.version,
        "name": schema.title,
        "marks": {
            "flags": dict(marks.flags),
            "merges": dict(marks.merges),
            "keys": dict(marks.keys),
            **({"checks": list(marks.checks)} if marks.checks else {}),
        },
        "sheet_sha256": edition.sheet_sha256,
        "sheet_name": edition.sheet_name,
        "renames": dict(judgement.renames),
        "accepted": [change.key for change in judgement.changes if change.effect is Effect.BREAKING],
    }
    return Fact(
        Kind.FORM, project_id, key_of(Kind.FORM, project_id, detail), orjson.dumps(detail), edition.form.xform
    )


def _media_fact(project_id: int, form_id: str, file: Media) -> Fact:
    detail = {
        "form_id": form_id,
        "name": file.name,
        "sha256": file.sha256,
        "md5": file.md5,
        "size": file.size,
    }
    return Fact(Kind.FORM_MEDIA, project_id, None, orjson.dumps(detail))


def _release(node: Node, project_id: int, form_id: str) -> int:
    """Take up what waited in quarantine for this form, with the times and senders of its first arrival."""
    with reading(node.engine) as connection:
        if form_states.find_state(connection, project_id, form_id) is FormState.CLOSED:
            return 0
        waiting = quarantine.list_quarantined(connection, project_id, form_id)
        arrivals = [arrival for one in waiting if (arrival := _released(connection, one.position))]
    if arrivals:
        intake.record(node.engine, arrivals)
        node.catch_up()
    return len(arrivals)


def _released(connection: Connection, position: int) -> Arrival | None:
    entry = journal.read_entry(connection, position)
    detail = orjson.loads(entry.detail or b"{}")
    if entry.kind is not Kind.QUARANTINE or not entry.body or detail["oversize"]:
        return None
    sender = Sender(detail["submitter_id"], detail["submitter_name"], detail["device_id"], detail["door"])
    files = [StoredFile(**file) for file in detail["files"]]
    arrival = receiving.examine(entry.project_id, entry.body, files, sender, lambda *_: True)
    return replace(arrival, released_from=position, received_at=to_datetime(entry.stamp))
