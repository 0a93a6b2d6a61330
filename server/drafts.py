"""Drafts: the next version of a form, tested before it is published.

A draft and what is sent to test it are no facts: they stay at this node, outside the journal, and go when the draft
is published, replaced or dropped. `server.rehearsal` shows what the tests would look like as real submissions.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import orjson
from sqlalchemy import Connection

from forms import xform
from forms.compile import CompiledForm
from forms.evolve import Change, compare
from forms.schema import FormSchema
from server import intake, publishing, receiving
from server.auth import new_token
from server.evolution import NO_CONSENT, Comparison, Consent, compare_versions
from server.intake import Outcome
from server.node import Node
from server.permissions import Actor
from server.problems import Problem
from server.publishing import Edition, Publication
from server.receiving import Arrival
from server.store import drafts, forms
from server.store.drafts import FormDraft
from server.store.engine import reading, writing
from server.store.forms import Media
from sync.clock import tick

DRAFTS_READ = 16
"""Tablets that test ask often; more designers than this do not work at once."""


@dataclass(frozen=True, slots=True)
class Drafted:
    """What making a draft did. changes: from the newest published version. missing: files that nobody has given."""

    draft: FormDraft
    changes: tuple[Change, ...]
    missing: tuple[str, ...]


def make(node: Node, project_id: int, edition: Edition, media: Sequence[Media] = ()) -> Drafted:
    """Make the draft of a form, or put it in place of the one before, whose tests go.

    The address for tests stays. Files given to the draft before, or else those of the form, stay where it reads them.
    """
    schema, now = edition.form.schema, tick(0, _now_ms())
    with writing(node.engine) as connection:
        before = drafts.find_draft(connection, project_id, schema.form_id, lock=True)
        draft = FormDraft(
            project_id=project_id,
            form_id=schema.form_id,
            id=secrets.token_hex(16),
            token=before.token if before else new_token(),
            version=schema.version,
            name=schema.title,
            md5=hashlib.md5(edition.form.xform, usedforsecurity=False).hexdigest(),
            sha256=hashlib.sha256(edition.form.xform).hexdigest(),
            marks=orjson.dumps(edition.form.marks).decode(),
            sheet_sha256=edition.sheet_sha256,
            sheet_name=edition.sheet_name,
            created_stamp=before.created_stamp if before else now,
            updated_stamp=now,
            xform=edition.form.xform,
        )
        drafts.put_draft(connection, draft, schema.media)
        drafts.set_media(connection, draft, media)
        changes = _changes(connection, node, project_id, schema)
    sweep(node)
    return Drafted(draft, changes, tuple(file.name for file in list_media(node, draft) if not file.sha256))


def copy_published(node: Node, project_id: int, form_id: str) -> Edition:
    """Return the newest published version, to go on from. Raises Problem 404.1."""
    with reading(node.engine) as connection:
        current = forms.find_current(connection, project_id, form_id)
        if current is None:
            raise Problem(404.1, "The form has no published version to copy. Send a sheet.")
        marks = forms.read_marks(connection, current)
        content = forms.read_xform(connection, current)
    return Edition(_compiled(content, marks), current.sheet_sha256, current.sheet_name)


def compare_published(node: Node, project_id: int, form: CompiledForm) -> Comparison | None:
    """Return what a form would change in the newest published version, None when there is none."""
    with reading(node.engine) as connection:
        current = forms.find_current(connection, project_id, form.schema.form_id)
        if current is None:
            return None
        return compare_versions(connection, node, project_id, forms.read_schema(connection, current), form)


def get(node: Node, project_id: int, form_id: str) -> FormDraft:
    """Return the draft of a form. Raises Problem 404.1."""
    with reading(node.engine) as connection:
        found = drafts.find_draft(connection, project_id, form_id)
    if found is None:
        raise Problem(404.1, "This form has no draft.")
    return found


def read_schema(draft: FormDraft) -> FormSchema:
    """Return the schema of a draft."""
    return _read(draft).schema


def edition_of(draft: FormDraft, version: str | None = None) -> Edition:
    """Return a draft as it would be published, under another version if one is given. Raises Problem 400.1."""
    form = _read(draft)
    if version is not None:
        if len(version.encode()) > publishing.ID_BYTES_MAX or not version.isprintable():
            raise Problem(400.1, f"A version is one line of at most {publishing.ID_BYTES_MAX} bytes.")
        form = _compiled(xform.with_version(form.xform, version), form.marks)
    return Edition(form, draft.sheet_sha256, draft.sheet_name)


def list_media(node: Node, draft: FormDraft) -> list[Media]:
    """Return the files that a draft reads: its own, else the form's; without a digest when neither has it."""
    with reading(node.engine) as connection:
        known = {file.name: file for file in forms.list_media(connection, draft.project_id, draft.form_id)}
        known |= {file.name: file for file in drafts.list_own_media(connection, draft)}
    return [known.get(name, Media(name)) for name in read_schema(draft).media]


def set_media(node: Node, draft: FormDraft, name: str, content: bytes | None) -> Media:
    """Give a draft a file, or (None) take it away. It becomes the form's when the draft is published.

    Raises Problem 404.1 when the draft reads no such file, or has none to take away.
    """
    has = {file.name: file.sha256 for file in list_media(node, draft)}
    if name not in has or (content is None and has[name] is None):
        raise Problem(404.1, "The draft reads no file of this name, or has none.")
    file = Media(name) if content is None else publishing.keep(node, name, content)
    file = replace(file, stamp=tick(0, _now_ms()))
    with writing(node.engine) as connection:
        drafts.set_media(connection, draft, [file])
    return file


def publish(
    node: Node, project_id: int, form_id: str, version: str | None = None, consent: Consent = NO_CONSENT
) -> Publication:
    """Publish the draft of a form with the files given to it; the draft and its tests go.

    Raises Problem 404.1, those of `publishing.publish_edition`, and 409.32 when somebody else published, replaced or
    dropped the draft meanwhile.
    """
    draft = get(node, project_id, form_id)
    with reading(node.engine) as connection:
        own = drafts.list_own_media(connection, draft)
    edition = edition_of(draft, version)
    take_away = partial(_take_away, draft=draft)
    done = publishing.publish_edition(node, project_id, edition, own, consent, take_away)
    sweep(node)
    return done


def drop(node: Node, project_id: int, form_id: str) -> None:
    """Drop the draft of a form and its tests. Raises Problem 404.1."""
    draft = get(node, project_id, form_id)
    with writing(node.engine) as connection:
        drafts.drop_draft(connection, draft)
    sweep(node)


def admit(node: Node, project_id: int, form_id: str, token: str) -> tuple[FormDraft, Actor]:
    """Return the draft that this token tests, and who its bearer is. Raises Problem 404.4."""
    with reading(node.engine) as connection:
        draft = drafts.find_draft(connection, project_id, form_id)
    if draft is None or not secrets.compare_digest(draft.token.encode(), token.encode()):
        raise Problem(404.4, "This draft was published or dropped, or the address is wrong.")
    return draft, Actor(0, "", None, project_id, draft_of=form_id)


def keep_test(node: Node, draft: FormDraft, arrival: Arrival) -> Outcome:
    """Store what came in for a draft; durable when this returns. Raises Problem 404.4 when the draft is gone."""
    with writing(node.engine) as connection:
        held = drafts.find_draft(connection, draft.project_id, draft.form_id, lock=True)
        if held is None or held.id != draft.id:
            raise Problem(404.4, "This draft was published, replaced or dropped meanwhile.")
        new = drafts.add_tests(connection, draft, receiving.facts_of(arrival), _now_ms())
    return intake.outcome_of(arrival, is_new=new > 0)


def sweep(node: Node) -> None:
    """Delete the files of tests whose draft is gone, also of those that a power cut left behind."""
    parts = node.test_blobs().list_parts()  # before the drafts: one made meanwhile is not among them
    with reading(node.engine) as connection:
        living = drafts.list_ids(connection)
    for draft_id in set(parts) - living:
        node.test_blobs(draft_id).drop()


def _changes(connection: Connection, node: Node, project_id: int, schema: FormSchema) -> tuple[Change, ...]:
    versions = forms.read_versions(connection, node.schemas, project_id, schema.form_id)
    return compare(versions[-1].schema, schema) if versions else ()


def _take_away(connection: Connection, draft: FormDraft) -> None:
    if not drafts.drop_draft(connection, draft):
        raise Problem(409.32, "Somebody else published or replaced this draft meanwhile. Look at it again.")


def _read(draft: FormDraft) -> CompiledForm:
    return _read_again(draft.xform, draft.marks)


@lru_cache(DRAFTS_READ)
def _read_again(content: bytes, marks: str) -> CompiledForm:
    return _compiled(content, xform.SheetMarks(**orjson.loads(marks)))


def _compiled(content: bytes, marks: xform.SheetMarks) -> CompiledForm:
    return CompiledForm(content, xform.read(content, marks), marks)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
