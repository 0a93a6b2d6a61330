"""What a door received, and the facts that it is. Nothing is stored here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from forms import instance
from forms.errors import InstanceError
from forms.header import Header, read_header
from sync import fact_keys
from sync.fact_keys import key_of
from sync.journal import Fact, Kind


@dataclass(frozen=True, slots=True)
class Sender:
    """Who brought it: the account (None when none is known), its name, the tablet, and the door."""

    submitter_id: int | None
    submitter_name: str
    device_id: str
    door: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file that came along and is already durable among the blobs."""

    name: str
    sha256: str
    size: int
    content_type: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request's worth of a submission. reason: why it goes to quarantine, "" when it does not.

    xml: exactly as received; empty when it was too large and lies among the blobs as `oversize`.
    released_from: the position of the quarantine entry that this arrival takes up again.
    """

    project_id: int
    header: Header
    xml: bytes
    files: tuple[StoredFile, ...]
    sender: Sender
    received_at: datetime
    reason: str = ""
    oversize: StoredFile | None = None
    released_from: int | None = None


def examine(
    project_id: int,
    xml: bytes,
    files: Sequence[StoredFile],
    sender: Sender,
    is_known: Callable[[int, str], bool],
    form_id: str | None = None,
) -> Arrival:
    """Return the arrival for these bytes: for the journal, or for quarantine with the reason.

    is_known: whether a form of that project was ever published. form_id: the only form this door takes, or None.
    """
    received_at = datetime.now(UTC)
    try:
        header = read_header(xml)
    except InstanceError as error:
        return Arrival(
            project_id, Header("", "", None), xml, tuple(files), sender, received_at, reason=str(error)
        )
    reason = ""
    if not is_known(project_id, header.form_id):
        reason = "No form with this ID was ever published here. Publish it, and the record is taken up."
    elif form_id is not None and header.form_id != form_id:
        reason = "The XML names another form than the address it was sent to."
    if header.instance_id is None:
        header = Header(
            header.form_id,
            header.version,
            instance.stable_instance_id(xml),
            header.deprecated_id,
            header.encrypted,
        )
    return Arrival(project_id, header, xml, tuple(files), sender, received_at, reason)


def oversize(project_id: int, whole: StoredFile, files: Sequence[StoredFile], sender: Sender) -> Arrival:
    """Return the arrival for an instance too large to read, already among the blobs as `whole`."""
    reason = f"The XML has {whole.size} bytes, more than this server reads."
    header = Header("", "", None)
    return Arrival(project_id, header, b"", tuple(files), sender, datetime.now(UTC), reason, oversize=whole)


def facts_of(arrival: Arrival) -> list[Fact]:
    """Return the facts that an arrival is: the record first, then each file."""
    digest = arrival.oversize.sha256 if arrival.oversize else hashlib.sha256(arrival.xml).hexdigest()
    header = arrival.header
    common = {
        "form_id": header.form_id,
        "instance_id": header.instance_id,
        "digest": digest,
        "submitter_id": arrival.sender.submitter_id,
        "submitter_name": arrival.sender.submitter_name,
        "device_id": arrival.sender.device_id,
        "door": arrival.sender.door,
        "received_at": arrival.received_at.isoformat(timespec="milliseconds"),
    }
    if arrival.reason:
        detail = common | {
            "version": header.version,
            "reason": arrival.reason,
            "oversize": arrival.oversize and _file(arrival.oversize),
            "files": [_file(file) for file in arrival.files],
        }
        place = (str(arrival.project_id), header.form_id, header.instance_id or "", digest)
        files = (f"{file.name}:{file.sha256}" for file in arrival.files)
        key = fact_keys.digest(Kind.QUARANTINE, *place, *files)
        return [Fact(Kind.QUARANTINE, arrival.project_id, key, orjson.dumps(detail), arrival.xml)]
    submission = common | {"version": header.version, "deprecated_id": header.deprecated_id}
    if arrival.released_from is not None:
        submission["released_from"] = arrival.released_from
    return [
        Fact(
            Kind.SUBMISSION,
            arrival.project_id,
            key_of(Kind.SUBMISSION, arrival.project_id, submission),
            orjson.dumps(submission),
            arrival.xml,
            header.form_id,
        ),
        *(_attachment(arrival.project_id, common | _file(file)) for file in arrival.files),
    ]


def _attachment(project_id: int, detail: Mapping[str, Any]) -> Fact:
    key = key_of(Kind.ATTACHMENT, project_id, detail)
    return Fact(Kind.ATTACHMENT, project_id, key, orjson.dumps(detail))


def _file(file: StoredFile) -> dict[str, str | int]:
    return {
        "name": file.name,
        "sha256": file.sha256,
        "size": file.size,
        "content_type": file.content_type,
    }
