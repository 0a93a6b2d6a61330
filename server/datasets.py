"""What the versions of a form say about entity lists: their properties, and which of them tablets never get.

An entity list is downloaded by every tablet whose form reads it, so nothing flagged P, S or G may be in it: not the
answer itself, not a calculation made of it, not a label. Pure; `server.store.datasets` keeps what comes out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from forms.lineage import Version, trace
from forms.schema import Field, FormSchema
from server.exports.layout import withheld


@dataclass(frozen=True, slots=True)
class Declared:
    """What one form declares of one entity list. withheld: of each property, in order, whether tablets never get it."""

    withheld: Mapping[str, bool]
    label_withheld: bool


def declared(versions: Sequence[Version]) -> dict[str, Declared]:
    """Return what a form declares, by entity list. versions: all that were published, oldest first.

    A property is never taken away by a version, and stays withheld once a version's flags said so.
    """
    schemas = [version.schema for version in versions]
    traced = trace(versions)
    hidden = withheld(schemas, traced)
    found: dict[str, Declared] = {}
    for schema, questions in zip(schemas, traced, strict=True):
        restricted = _restricted(
            schema, {field.path for field in schema.fields if questions[field.path] in hidden}
        )
        mentions = _mentions(restricted)
        for one in schema.entities:
            before = found.get(one.dataset, Declared({}, label_withheld=False))
            properties = dict(before.withheld)
            for name, path in one.properties.items():
                properties[name] = properties.get(name, False) or path in restricted
            is_withheld = before.label_withheld or mentions.search(one.label) is not None
            found[one.dataset] = Declared(properties, is_withheld)
    return found


def _restricted(schema: FormSchema, hidden: set[str]) -> set[str]:
    """The paths of the hidden fields, and of calculations made of them that carry no flags of their own.

    Whoever writes flags at a calculation says what it tells (`n_child`: how many, not who).
    """
    found = set(hidden)
    unflagged = [field for field in schema.fields if field.calculate and not field.flags]
    while further := _made_of(unflagged, found):
        found |= further
    return found


def _made_of(fields: Sequence[Field], restricted: set[str]) -> set[str]:
    mentions = _mentions(restricted)
    return {
        field.path for field in fields if field.path not in restricted and mentions.search(field.calculate)
    }


def _mentions(paths: set[str]) -> re.Pattern[str]:
    """What finds one of these fields in an expression, by the last step of its path."""
    names = "|".join(sorted(re.escape(path.rpartition("/")[2]) for path in paths))
    return re.compile(rf"/\s*(?:{names})(?![\w.-])" if names else r"(?!)")
