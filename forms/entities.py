"""Entities: what a form declares in `meta/entity`, and what an instance asks to be done.

Nothing an instance says is dropped: what cannot be done comes back as an action with a fault.
Source: ODK Entities 2025.1, https://getodk.github.io/xforms-spec/entities
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from forms import xml
from forms.document import Document
from forms.errors import Fault, FormError
from forms.header import ID_CHARS_MAX
from forms.schema import Deed, EntityDeclaration, Field, FormSchema, Repeat

NEWEST = (2025, 1)
UUID = re.compile(r"(?:uuid:)?([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)
YES = frozenset({"1", "true"})
VERSION_MAX = 999_999_999


@dataclass(frozen=True, slots=True)
class EntityAction:
    """One `meta/entity` of an instance.

    deed: CREATE, UPDATE, or NONE for the reason in `fault`. uuid: in small letters, "" when there is none. base: the version that the tablet saw, 0 for none. trunk: the
    newest that it had from a server, None when it says none. branch: names a chain of updates on one tablet.
    label: "" for none. properties: texts as sent; what was not relevant is absent. fault: a sentence without answers.
    """

    dataset: str
    deed: Deed
    uuid: str = ""
    base: int = 0
    trunk: int | None = None
    branch: str = ""
    label: str = ""
    properties: Mapping[str, str] | None = None
    fault: str = ""


def check_version(declared: str) -> None:
    """Raise FormError for a form made for a newer specification than this."""
    found = re.match(r"(\d+)\.(\d+)", declared)
    if found and (int(found[1]), int(found[2])) > NEWEST:
        newest = ".".join(map(str, NEWEST))
        raise FormError(
            Fault(
                f"The form follows version {declared} of the entities specification.",
                f"Make it with a tool that writes version {newest} or older, or update Chapar.",
            )
        )


def declared(root: etree._Element, schema: FormSchema) -> tuple[EntityDeclaration, ...]:
    """Return the declarations of a form, read from its primary instance and the schema's `save_to`.

    Raises FormError when a field of a repeat is saved to an entity outside it.
    """
    found = dict(_entity_elements(root))
    properties: dict[str, dict[str, str]] = {path: {} for path in found}
    for field in schema.fields:
        if field.save_to:
            owner = _owner(field, found)
            if owner is not None:
                _check_row(field, owner, schema)
                properties[owner][field.save_to] = field.path
    return tuple(
        EntityDeclaration(
            dataset=element.get("dataset", ""),
            path=path,
            creates="create" in element.attrib,
            updates="update" in element.attrib,
            label=_calculation(schema, f"{path}/meta/entity/label"),
            properties=properties[path],
        )
        for path, element in found.items()
    )


def read_actions(answers: Document, schema: FormSchema) -> list[EntityAction]:
    """Return what an instance (read by `forms.document`) asks for, in the order of the declarations and, in a repeat, of the rows."""
    return [
        action
        for declaration in schema.entities
        for container in _containers(answers, declaration.path.split("/")[1:])
        if (action := _action(container, declaration)) is not None
    ]


def canonical_uuid(text: str) -> str:
    """Return a UUID in small letters without `uuid:`, "" when the text is none."""
    found = UUID.fullmatch(text.strip())
    return str(uuid.UUID(found[1])) if found else ""


def _entity_elements(root: etree._Element) -> Iterator[tuple[str, etree._Element]]:
    """Yield each container's `meta/entity` by the container's path, a template before its rows."""
    waiting = [("", root)]
    seen: set[str] = set()
    while waiting:
        path, element = waiting.pop(0)
        for child in element.iterchildren():
            name = xml.local_name(child.tag)
            entity = child.find("{*}entity") if name == "meta" else None
            if entity is not None and path not in seen:
                seen.add(path)
                yield path, entity
            elif name != "meta":
                waiting.append((f"{path}/{name}", child))


def _owner(field: Field, paths: Mapping[str, object]) -> str | None:
    """The nearest container around a field that declares an entity."""
    path = field.path
    while path:
        path = path.rpartition("/")[0]
        if path in paths:
            return path
    return None


def _check_row(field: Field, owner: str, schema: FormSchema) -> None:
    path = field.path.rpartition("/")[0]
    while path != owner:
        if isinstance(schema.by_path[path], Repeat):
            raise FormError(
                Fault(
                    f"“{field.path}” is saved to one entity, but stands in the repeat “{path}”.",
                    "Declare an entity for the rows of the repeat, or save another field.",
                    column="save_to",
                )
            )
        path = path.rpartition("/")[0]


def _calculation(schema: FormSchema, path: str) -> str:
    node = schema.by_path.get(path)
    return node.calculate if isinstance(node, Field) else ""


def _containers(document: Document, names: Sequence[str]) -> Iterator[Document]:
    """Yield each group or row at a path."""
    if not names:
        yield document
        return
    found = document.get(names[0], [])
    for node in found if isinstance(found, list) else [found]:
        if isinstance(node, dict):
            yield from _containers(node, names[1:])


def _action(container: Document, declaration: EntityDeclaration) -> EntityAction | None:
    meta = container.get("meta")
    entity = meta.get("entity") if isinstance(meta, dict) else None
    if not isinstance(entity, dict):
        return None
    creates, updates = (_text(entity, f"@{verb}").strip() in YES for verb in ("create", "update"))
    if not creates and not updates:
        return None
    base = _version(_text(entity, "@baseVersion"))
    deed = Deed.UPDATE if updates and (base or not creates) else Deed.CREATE
    name = canonical_uuid(_text(entity, "@id"))
    label = _text(entity, "label").strip()
    fault = _fault(entity, deed, declaration, name)
    return EntityAction(
        dataset=declaration.dataset,
        deed=Deed.NONE if fault else deed,
        uuid="" if fault else name,
        base=base,
        trunk=_version(_text(entity, "@trunkVersion")) or None,
        branch=_text(entity, "@branchId").strip().lower()[:ID_CHARS_MAX],
        label=label,
        properties=dict(_properties(container, declaration)),
        fault=fault or ("The new entity has no label." if deed is Deed.CREATE and not label else ""),
    )


def _fault(entity: Document, deed: Deed, declaration: EntityDeclaration, name: str) -> str:
    """Why nothing can be done, "" when something can."""
    if _text(entity, "@dataset") != declaration.dataset:
        return "The record names another entity list than its form."
    if not (declaration.creates if deed is Deed.CREATE else declaration.updates):
        return f"The record would {deed} an entity, which its form does not."
    return "" if name else "The entity's ID is no UUID."


def _properties(container: Document, declaration: EntityDeclaration) -> Iterator[tuple[str, str]]:
    for name, path in declaration.properties.items():
        *groups, leaf = path.removeprefix(declaration.path).split("/")[1:]
        for group in _containers(container, groups):
            answer = group.get(leaf)
            if isinstance(answer, str):
                yield name, answer


def _text(document: Document, name: str) -> str:
    text = document.get(name)
    return text if isinstance(text, str) else ""


def _version(text: str) -> int:
    """A version as a number; whatever is none counts as 0, as the specification says."""
    digits = text.strip()
    return min(int(digits), VERSION_MAX) if re.fullmatch(r"[0-9]{1,18}", digits) else 0
