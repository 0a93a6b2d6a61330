"""A new form version held against the one before it and against what is stored: what would break, and for whom."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from forms.compile import CompiledForm
from forms.errors import Fault, FormError
from forms.evolve import Change, compare
from forms.evolve_renames import read_renames
from forms.evolve_rules import Effect
from forms.lineage import Renames, Version, renames_between
from forms.schema import FormSchema
from forms.xform import NO_MARKS
from server import affected, projection
from server.node import Node
from server.problems import Problem
from server.store import forms, journal, submissions


@dataclass(frozen=True, slots=True)
class Consent:
    """What a designer said about a new version. accept: keys of changes. renames: `OLD=NEW` texts."""

    accept: frozenset[str] = frozenset()
    renames: tuple[str, ...] = ()


NO_CONSENT = Consent()


@dataclass(frozen=True)
class Comparison:
    """Two versions of a form. records: stored records that a change concerns, by its key; None: not counted.

    devices: how many were last seen on the older version or one before it; None when the form is not in the store.
    """

    old: str
    new: str
    changes: tuple[Change, ...]
    records: dict[str, int | None]
    devices: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The document that the API and `--json` give."""
        return {
            "old": self.old,
            "new": self.new,
            "devices": self.devices,
            "effects": Counter(change.effect.value for change in self.changes),
            "changes": [
                change_json(change) | {"records": self.records.get(change.key)} for change in self.changes
            ],
        }


@dataclass(frozen=True, slots=True)
class Judgement:
    """A new version that may be published. seen: how far in the journal it was judged."""

    project_id: int
    form_id: str
    changes: tuple[Change, ...]
    renames: Renames
    seen: int


def judge(
    connection: Connection, node: Node, project_id: int, form: CompiledForm, consent: Consent
) -> Judgement:
    """Return what a new version changes.

    Raises Problem 409.31 when it breaks something unaccepted, FormError for a rename that cannot be followed.
    """
    seen = journal.cursor(connection, projection.CURSOR)
    key = (project_id, form.schema.form_id)
    versions = forms.read_versions(connection, node.schemas, *key)
    if not versions:
        if consent.renames:
            raise FormError(Fault("The form has no older version.", "Leave the rename out."))
        return Judgement(*key, (), {}, seen)
    renames = read_renames(consent.renames, versions[-1].schema, form.schema)
    changes = compare(versions[-1].schema, form.schema, renames)
    breaking = [change for change in changes if change.effect is Effect.BREAKING]
    if refused := [change.key for change in breaking if change.key not in consent.accept]:
        chain = (*versions, Version(form.schema, renames))
        found = examine(connection, node, project_id, chain, len(versions) - 1, form.xform)
        raise Problem(
            409.31,
            f"Version “{form.schema.version}” of {form.schema.form_id} would break what is collected. "
            f"Change the sheet, or say a rename or accept for each of: {', '.join(refused)}.",
            extra=found.as_json(),
        )
    return Judgement(*key, changes, renames, seen)


def is_overtaken(connection: Connection, judgement: Judgement) -> bool:
    """Whether another version came in since, beside the one that was judged and stands in the journal now."""
    form = (judgement.project_id, judgement.form_id)
    return forms.published_since(connection, *form, judgement.seen) > 1


def compare_versions(
    connection: Connection,
    node: Node,
    project_id: int,
    old: FormSchema,
    new: CompiledForm,
    renames: Sequence[str] = (),
) -> Comparison:
    """Compare two versions, each from the store or not. renames: `OLD=NEW`, beside those told when publishing."""
    stored = forms.read_versions(connection, node.schemas, project_id, old.form_id)
    schemas = [version.schema for version in stored]
    before = schemas.index(old) if old in schemas else None
    after = schemas.index(new.schema) if new.schema in schemas else None
    if before is not None and after is not None and before < after and not renames:
        return examine(connection, node, project_id, stored[: after + 1], before, new.xform)
    chain = stored[: before + 1] if before is not None else (*stored, Version(old))
    newest = Version(new.schema, read_renames(renames, old, new.schema))
    return examine(connection, node, project_id, (*chain, newest), len(chain) - 1, new.xform)


def read_stored(connection: Connection, project_id: int, form_id: str, version: str) -> CompiledForm:
    """Return a published version. Raises Problem 404.1."""
    published = forms.find_version(connection, project_id, form_id, version)
    if published is None:
        raise Problem(404.1, f"There is no version “{version}” of {form_id} in this project.")
    xform = forms.read_xform(connection, published)
    return CompiledForm(xform, forms.read_schema(connection, published), NO_MARKS)


def examine(
    connection: Connection, node: Node, project_id: int, versions: Sequence[Version], old: int, xform: bytes
) -> Comparison:
    """Compare the version at `old` with the last one, and count what is stored of the form.

    versions: oldest first, the stored ones before `old` too. xform: of the last one.
    """
    before, after = versions[old].schema, versions[-1].schema
    changes = compare(before, after, renames_between(versions, old))
    form = (project_id, before.form_id)
    records: dict[str, int | None] = {}
    devices = None
    if forms.is_published(connection, *form):
        records = affected.count(connection, node, form, versions, old, changes, xform)
        behind = {version.schema.version for version in versions[: old + 1]}
        last = submissions.last_versions(connection, *form)
        devices = sum(version in behind for version in last.values())
    return Comparison(before.version, after.version, changes, records, devices)


def change_json(change: Change) -> dict[str, Any]:
    """A change, for machines. accept: what to accept it by."""
    return {
        "rule": change.rule,
        "effect": change.effect.value,
        "path": change.path,
        "to": change.new_path,
        "message": change.message,
        "fix": change.fix,
        "choices": list(change.names),
        "accept": change.key,
    }
