"""The duplicate key of a record: a hash of the answers that a form's designer flagged `D`.

The key stands where answers do not: in an index, beside other keys. A hash of few possible answers can be guessed by
whoever may read the index; they may read the answers too.
"""

from __future__ import annotations

import hashlib

import orjson

from forms import values
from forms.document import Document
from forms.schema import Field, FormSchema

SOFT_NAME = "soft_key"
SOFT = "soft:"
"""Begins a key that is only a hint: records that share it are shown side by side, and may well be two."""


def duplicate_key(answers: Document, schema: FormSchema) -> str | None:
    """Return the key of a record; None when the form has none, or an answer of it is blank.

    What a calculation composes of blanks is only separators, and blank too.
    """
    fields = schema.key_fields
    said = [_said(answers, field) for field in fields]
    if not said or not all(any(map(str.isalnum, text)) for text in said):
        return None
    is_soft = any(field.name == SOFT_NAME for field in fields)
    return (SOFT if is_soft else "") + hashlib.sha256(orjson.dumps(said)).hexdigest()


def _said(document: Document, field: Field) -> str:
    node: object = document
    for name in field.path.split("/")[1:]:
        node = node.get(name) if isinstance(node, dict) else None
    if not isinstance(node, str):
        return ""
    try:
        return values.canonical(field.type, node, values.read(field.type, field, node))
    except values.WrongTypeError:
        return node.strip()
