"""Forms, drafts, their fields and files as JSON, in the shape of ODK Central's API and with its names."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Iterable
from typing import Any

from forms.errors import Fault
from forms.schema import Field, FieldType, FormSchema, Node, Repeat
from server.store.drafts import FormDraft
from server.store.form_states import FormState
from server.store.forms import Media, PublishedForm, iso

TYPES = {
    FieldType.SELECT_ONE: "string",
    FieldType.SELECT_MULTIPLE: "string",
    FieldType.RANK: "odk:rank",
}
"""As pyxform writes them into the XForm, which is what Central shows."""
BINARY = frozenset({"/meta/audit"})


def form_json(one: PublishedForm, state: FormState, created_stamp: int) -> dict[str, Any]:
    """A published version of a form."""
    return _version_json(one, state) | {
        "createdAt": iso(created_stamp),
        "updatedAt": iso(one.stamp),
        "publishedAt": iso(one.stamp),
        "draftToken": None,
    }


def draft_json(draft: FormDraft, state: FormState = FormState.OPEN) -> dict[str, Any]:
    """A draft; its token is for whoever may publish it."""
    return _version_json(draft, state) | {
        "createdAt": iso(draft.created_stamp),
        "updatedAt": iso(draft.updated_stamp),
        "publishedAt": None,
        "draftToken": draft.token,
    }


def media_json(schema: FormSchema, media: Iterable[Media]) -> list[dict[str, Any]]:
    """The files that a form reads, given or not, in its order."""
    given = {file.name: file for file in media}
    return [file_json(given.get(name, Media(name))) for name in schema.media]


def file_json(file: Media) -> dict[str, Any]:
    """A file that a form reads."""
    kind = (mimetypes.guess_type(file.name)[0] or "").partition("/")[0]
    exists = file.sha256 is not None
    return {
        "name": file.name,
        "type": kind if kind in {"image", "audio", "video"} else "file",
        "exists": exists,
        "blobExists": exists,
        "datasetExists": False,
        "hash": file.md5,
        "updatedAt": iso(file.stamp) if file.stamp else None,
    }


def fields_json(schema: FormSchema, *, odata: bool) -> list[dict[str, Any]]:
    """Every node of a form, parents before children. odata: names and paths as OData allows them."""
    return [_field_json(node, odata) for node in schema.walk()]


def fault_json(fault: Fault) -> dict[str, Any]:
    """A fault of a sheet, for machines."""
    return {name: getattr(fault, name) for name in ("sheet", "row", "column", "message", "fix")}


def _version_json(one: PublishedForm | FormDraft, state: FormState) -> dict[str, Any]:
    return {
        "projectId": one.project_id,
        "xmlFormId": one.form_id,
        "name": one.name,
        "version": one.version,
        "hash": one.md5,
        "sha256": one.sha256,
        "state": state,
        "keyId": None,
        "enketoId": None,
    }


def _field_json(node: Node, odata: bool) -> dict[str, Any]:
    kind = _type(node)
    is_multiple = isinstance(node, Field) and node.type is FieldType.SELECT_MULTIPLE
    return {
        "path": "/".join(map(_odata_name, node.path.split("/"))) if odata else node.path,
        "name": _odata_name(node.name) if odata else node.name,
        "type": kind,
        "binary": True if kind == "binary" or node.path in BINARY else None,
        "selectMultiple": is_multiple or None,
    }


def _type(node: Node) -> str:
    if isinstance(node, Field):
        return TYPES.get(node.type, node.type.value)
    return "repeat" if isinstance(node, Repeat) else "structure"


def _odata_name(name: str) -> str:
    """Source: central-backend `sanitizeOdataIdentifier`."""
    return re.sub(r"[^A-Za-z0-9_]+", "_", re.sub(r"^(?=[^A-Za-z_])", "_", name))
