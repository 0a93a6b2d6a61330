"""The rows that arrivals make: of each revision and file one, of a submission what its revisions come to."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from forms import instance
from forms.duplicate_key import duplicate_key
from forms.instance import Tree
from forms.schema import FormSchema
from server import merging
from server.merging import Merged
from server.store.journal import Record
from server.store.submissions import FormKey
from sync.history import history
from sync.review import Review, review_state
from sync.revision import Revision, RevisionKind

Members = Mapping[str, Mapping[str, Any]]
"""Rows of `revision` by digest."""


@dataclass(frozen=True, slots=True)
class NewRevision:
    """A revision just read from its entry.

    answers, problems: JSON. media: the file names that the answers mention. schema: what the answers were read with;
    None when nobody here can read them, and for decisions. duplicate_key: see `submission`. cells: JSON of what a
    decision gives. entity_writes: rows of that table.
    """

    record: Record
    detail: Mapping[str, Any]
    revision: Revision
    schema: FormSchema | None = None
    duplicate_key: str | None = None
    answers: bytes = b"{}"
    problems: str = "[]"
    media: frozenset[str] = frozenset()
    encrypted: bool = False
    cells: str = "{}"
    entity_writes: Sequence[Mapping[str, Any]] = ()

    @property
    def tree(self) -> Tree | None:
        """The typed answers; made anew each time, as most revisions never need them."""
        return instance.from_json(orjson.loads(self.answers), self.schema) if self.schema else None

    @property
    def form(self) -> FormKey:
        return (self.record.project_id, self.detail["form_id"])

    @property
    def row(self) -> dict[str, Any]:
        """The columns of `revision`, but for root_id."""
        return {
            "project_id": self.record.project_id,
            "form_id": self.detail["form_id"],
            "instance_id": self.revision.instance_id,
            "digest": self.revision.digest,
            "deprecated_id": self.revision.deprecated_id,
            "version": self.detail["version"],
            "position": self.record.position,
            "stamp": self.record.stamp,
            "origin": self.record.origin,
            "submitter_id": self.detail["submitter_id"],
            "submitter_name": self.detail["submitter_name"],
            "device_id": self.detail["device_id"],
            "kind": self.revision.kind.value,
            "parents": orjson.dumps(self.revision.parents).decode(),
            "cells": self.cells,
            "reason": self.detail.get("reason", ""),
            "batch": self.detail.get("batch", ""),
            "encrypted": self.encrypted,
        }


@dataclass(frozen=True, slots=True)
class Files:
    """The files that are here: name → SHA-256 by the digest of the revision that they came with, and by instanceID.

    Of two with one name it is the later.
    """

    of_instance: dict[str, dict[str, str]] = field(default_factory=dict)
    of_revision: dict[str, dict[str, str]] = field(default_factory=dict)

    def of(self, one: Revision) -> Mapping[str, str]:
        """Its own files, and of those that it did not bring what others of its instanceID brought."""
        return self.of_instance.get(one.instance_id, {}) | self.of_revision.get(one.digest, {})


def single(
    only: NewRevision, members: Members, files: Files, said: Collection[Review]
) -> tuple[str, dict[str, Any]]:
    """The submission of one revision: its own answers, without a look at the cells."""
    past = only.revision
    missing = past.deprecated_id if past.deprecated_id != past.instance_id else None
    root = missing or past.instance_id
    shown = {name: sha256 for name, sha256 in files.of(past).items() if name in only.media}
    return root, _about(list(members.values())) | {
        "instance_id": root,
        "current_id": past.instance_id,
        "current_digest": past.digest,
        "version": only.detail["version"],
        "edits": 0,
        "open_conflicts": 0,
        "parent_missing": missing is not None,
        "attachments_expected": len(only.media),
        "attachments_present": len(shown),
        "review_state": review_state(said, history([past]), 1, 0) if said else None,
        "duplicate_key": only.duplicate_key,
        "encrypted": only.encrypted,
        "is_merged": False,
        "is_joined": False,
        "is_deleted": False,
        "files": orjson.dumps(shown, option=orjson.OPT_SORT_KEYS).decode(),
        "problems": only.problems,
        "answers": only.answers,
    }


def joined(
    merged: Merged, members: Members, read: Callable[[str], NewRevision], said: Collection[Review]
) -> dict[str, Any] | None:
    """The submission of several revisions; None while there are only decisions about it."""
    seen, current = merged.view, merged.current
    if current is None:
        return None
    shown = read(current.digest)
    is_own = shown.encrypted or merged.is_single
    answers, version, problems = shown.answers, shown.detail["version"], orjson.loads(shown.problems)
    if not is_own:
        answers, version = orjson.dumps(merged.document), merged.schema.version
        problems = merging.problems(merged)
    edits = [row for row in members.values() if row["kind"] == RevisionKind.EDIT]
    return _about(edits) | {
        "instance_id": seen.history.instance_id,
        "current_id": current.instance_id,
        "current_digest": current.digest,
        "version": version,
        "edits": seen.edits,
        "open_conflicts": len(seen.conflicts),
        "parent_missing": seen.history.parent_missing,
        "attachments_expected": len(merged.named),
        "attachments_present": len(merged.files),
        "review_state": review_state(said, seen.history, seen.said, seen.edits),
        "duplicate_key": duplicate_key(merged.document, merged.schema),
        "encrypted": shown.encrypted,
        "is_merged": not is_own,
        "is_joined": seen.is_joined,
        "is_deleted": seen.is_deleted,
        "files": orjson.dumps(merged.files, option=orjson.OPT_SORT_KEYS).decode(),
        "problems": orjson.dumps(problems + merged.misfits).decode(),
        "answers": answers,
    }


def _about(edits: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What does not depend on the answers: when it came, from whom. At least one edit."""
    first = min(edits, key=lambda row: (row["stamp"], row["digest"]))
    return {name: first[name] for name in ("project_id", "form_id", *SENDER)} | {
        "position": min(row["position"] for row in edits),
        "created_stamp": first["stamp"],
        "updated_stamp": max(row["stamp"] for row in edits),
    }


SENDER = ("submitter_id", "submitter_name", "device_id")


def attachment_row(record: Record, detail: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `attachment` for an entry."""
    names = ("form_id", "instance_id", "digest", "name", "sha256", "size", "content_type")
    return {name: detail[name] for name in names} | {
        "project_id": record.project_id,
        "position": record.position,
        "stamp": record.stamp,
    }
