"""What one export is about: a form in the shape that the options ask for, up to a cut-off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection

from server import projection
from server.exports.conditions import condition
from server.exports.disclosure import pseudonym, read_bands, recipient_key
from server.exports.layout import Layout, Table, VersionPath, closed_places, layout
from server.exports.names import safe_name
from server.exports.options import Format, Options
from server.node import Node
from server.problems import Problem
from server.store import forms, journal
from server.store.engine import reading
from server.store.forms import Schemas


@dataclass(frozen=True, slots=True)
class Scope:
    """What is exported: a form as it stood when the journal had come to `cut_off`.

    versions: name and SHA-256 of each that was published, oldest first. languages: of any of them. language: that of labels.
    key: of a recipient's pseudonyms, b"" when names stay. closed: paths that were flagged since.
    """

    project_id: int
    form_id: str
    options: Options
    layout: Layout
    versions: tuple[tuple[str, str], ...]
    languages: tuple[str, ...]
    language: str
    cut_off: int
    schemas: Schemas
    key: bytes = field(default=b"", repr=False)
    closed: frozenset[str] = frozenset()

    def name_of(self, kind: str, text: str) -> str:
        """Return what stands for the name of a record, device or person: another for each recipient."""
        return pseudonym(self.key, kind, text) if self.key else text

    @property
    def tables(self) -> tuple[Table, ...]:
        """The form's own first."""
        return self.layout.tables

    def name(self, table: Table) -> str:
        """`FORM`, `FORM-repeat`: what a table's file is called, without its ending."""
        return safe_name(self.form_id) + (safe_name(table.suffix) if table.suffix else "")


def open_scope(
    connection: Connection, node: Node, project_id: int, form_id: str, options: Options, *, now: Node
) -> Scope:
    """Return what there is to export. now: this node as it is, where `node` is as it was.

    Raises Problem 404.1 for a form that was never published, 400.1 for options that cannot be, and those of a filter.
    """
    if options.recipient and options.personal:
        raise Problem(400.1, "An export for a recipient holds no personal answers.")
    bands = read_bands(options.bands)
    if options.hxl and options.format not in (Format.CSV, Format.XLSX):
        raise Problem(400.1, "A row of HXL tags is for csv and xlsx: other formats have types.")
    if options.filter:
        condition(options.filter)
    versions = forms.read_versions(connection, node.schemas, project_id, form_id)
    if not versions:
        raise Problem(404.1, "There is no such form in this project.")
    closed: frozenset[VersionPath] = frozenset()
    if now is not node:
        with reading(now.engine) as present:
            closed = closed_places(forms.read_versions(present, now.schemas, project_id, form_id), options)
    found = layout(versions, options, closed)
    asked = {one.asked[0].name for table in found.tables for one in table.columns}
    if unknown := bands.keys() - asked:
        raise Problem(400.1, f"The export has no question {', '.join(sorted(unknown))} to tell as bands.")
    published = forms.list_versions(connection, project_id, form_id)
    names = tuple((one.version, one.sha256) for one in published)
    languages = tuple({name: None for one in reversed(versions) for name in one.schema.languages})
    language = _language(languages, options.labels)
    key = recipient_key(node.secret, project_id, options.recipient) if options.recipient else b""
    cut_off = journal.cursor(connection, projection.CURSOR)
    return Scope(
        project_id,
        form_id,
        options,
        found,
        names,
        languages,
        language,
        cut_off,
        node.schemas,
        key,
        frozenset(path for _, path in closed),
    )


def _language(languages: Sequence[str], wanted: str) -> str:
    """Return the language that a name or code means: `Farsi (fa)` for `fa`. Raises Problem 400.1."""
    if not wanted:
        return languages[0]
    for name in languages:
        if wanted.casefold() in (name.casefold(), name.rpartition("(")[2].rstrip(")").casefold()):
            return name
    raise Problem(400.1, f"The form has no labels in that language, but in: {', '.join(languages)}.")
