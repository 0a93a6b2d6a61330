"""Submissions as JSON, in the shape of ODK Central's API."""

from __future__ import annotations

from typing import Any

from server.store.forms import iso
from server.store.submissions import StoredSubmission


def describe(one: StoredSubmission) -> dict[str, Any]:
    """Return what is told of a submission, without its answers."""
    return {
        "instanceId": one.instance_id,
        "submitterId": one.submitter_id,
        "submitter": {"id": one.submitter_id, "displayName": one.submitter_name},
        "deviceId": one.device_id,
        "createdAt": iso(one.created_stamp),
        "updatedAt": iso(one.updated_stamp),
        "reviewState": one.review_state,
        "deleted": one.is_deleted,
        "edits": one.edits,
        "openConflicts": one.open_conflicts,
        "parentMissing": one.parent_missing,
        "attachmentsExpected": one.attachments_expected,
        "attachmentsPresent": one.attachments_present,
        "currentVersion": {
            "instanceId": one.current_id,
            "sha256": one.current_digest,
            "version": one.version,
        },
        "position": one.position,
    }
