"""Keys of facts: 32 bytes that are equal for the same fact, so that an exact repeat is known whichever way it comes."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from sync.journal import Kind


def key_of(kind: Kind, project_id: int, detail: Mapping[str, Any]) -> bytes | None:
    """Return the key of a submission, an attachment or a form version from its detail, None for other kinds."""
    match kind:
        case Kind.SUBMISSION | Kind.ATTACHMENT:
            parts = [kind, str(project_id), detail["form_id"], detail["instance_id"] or "", detail["digest"]]
            if kind is Kind.ATTACHMENT:
                parts += [detail["name"], detail["sha256"]]
            return digest(*parts)
        case Kind.FORM:
            return digest(kind, project_id, detail["form_id"], detail["version"])
    return None


def digest(*parts: object) -> bytes:
    """Return 32 bytes that are equal for equal parts; no part can run into the next."""
    return hashlib.sha256(orjson.dumps(parts)).digest()
