"""XForm XML to FormSchema: the typed schema that every later reading of a form starts from.

Reads what pyxform makes and, as far as they follow the ODK XForms specification, the XForms of other tools.
Texts are in `forms.itext`, choices in `forms.lists`; compiling a sheet is `forms.compile`. Nothing is evaluated.
Source: https://getodk.github.io/xforms-spec/
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from lxml import etree

from forms import entities, xml
from forms.errors import Fault, FormError
from forms.itext import Texts, media_of
from forms.lists import EXTERNAL_ITEMSETS, Lists, file_name, searched_file
from forms.schema import Check, ChoiceList, Field, FieldType, Flag, FormSchema, Group, Node, Repeat

ELEMENTS_MAX = 5_000_000
"""The choice lists of a country (40,000 settlements, four languages) stay below a million tags."""

XFORMS = "http://www.w3.org/2002/xforms"
JR = "{http://openrosa.org/javarosa}"
ORX = "{http://openrosa.org/xforms}"
ODK = "{http://www.opendatakit.org/xforms}"
ENTITIES = "{http://www.opendatakit.org/xforms/entities}"
EVENTS = "{http://www.w3.org/2001/xml-events}"
AT_THE_START = frozenset({"odk-instance-first-load", "odk-new-repeat", "odk-instance-load", "xforms-ready"})
CONTROLS = frozenset({"input", "secret", "select1", "select", "rank", "upload", "trigger", "range"})
TYPES = {kind.value: kind for kind in FieldType} | {
    "integer": FieldType.INT,
    "long": FieldType.INT,
    "select1": FieldType.SELECT_ONE,
    "select": FieldType.SELECT_MULTIPLE,
}
CONTROL_TYPES = {
    "select1": FieldType.SELECT_ONE,
    "select": FieldType.SELECT_MULTIPLE,
    "odk:rank": FieldType.RANK,
    "upload": FieldType.BINARY,
}


@dataclass(frozen=True, slots=True)
class SheetMarks:
    """What a sheet says that its XForm cannot carry; stored beside it as JSON and read with `SheetMarks(**loaded)`.

    flags: path → letters (`RP`). merges: path → policy. keys: path of a repeat → name of the child that is its key.
    checks: rows of the sheet `checks`, as `Check` has them.
    """

    flags: Mapping[str, str] = field(default_factory=dict)
    merges: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    checks: Sequence[Mapping[str, Any]] = ()


NO_MARKS = SheetMarks()


def read(data: bytes, marks: SheetMarks = NO_MARKS) -> FormSchema:
    """Return the schema of an XForm, with the sheet's marks on it.

    Raises FormError when the bytes are no XForm, or when a mark names a path or a letter that does not exist.
    """
    form = _Form(_parse(data), marks)
    entities.check_version(form.model.get(f"{ENTITIES}entities-version", ""))
    schema = FormSchema(
        form_id=form.form_id,
        version=form.root.get("version") or form.root.get(f"{ORX}version") or "",
        title=form.title,
        children=form.children(form.root, ""),
        root=xml.local_name(form.root.tag),
        languages=form.texts.languages,
        media=tuple(dict.fromkeys(form.media())),
        encrypted=any(part.get("base64RsaPublicKey") for part in form.model.iterchildren("{*}submission")),
    )
    _check(marks, schema)
    checks = tuple(Check(**{**one, "columns": tuple(one["columns"])}) for one in marks.checks)
    return replace(schema, entities=entities.declared(form.root, schema), checks=checks)


def with_version(data: bytes, version: str) -> bytes:
    """Return the XForm under another version. Raises FormError when the bytes are no XForm."""
    document = _parse(data)
    root = _Form(document, NO_MARKS).root
    root.attrib.pop(f"{ORX}version", "")
    root.set("version", version)
    return etree.tostring(document, encoding="UTF-8", xml_declaration=True)


def parse_flags(letters: str) -> frozenset[Flag]:
    """Return the flags of `RPD`, `R P` or `r,p`. Raises ValueError naming the first letter that is no flag."""
    return frozenset(Flag(letter) for letter in re.sub(r"[\s,;]", "", letters).upper())


def _parse(data: bytes) -> etree._Element:
    try:
        return xml.parse(data, elements_max=ELEMENTS_MAX)
    except FormError as error:
        raise _no_xform(error.faults[0].message) from None


def _no_xform(reason: str) -> FormError:
    return FormError(
        Fault(f"This is no XForm: {reason}", "Upload an XLSForm, or a complete XForm as exported.")
    )


class _Form:
    """One XForm with its binds, controls and defaults indexed by path."""

    def __init__(self, document: etree._Element, marks: SheetMarks) -> None:
        self.document = document
        self.marks = marks
        self.model = _first(document, "model", "it has no model.")
        instance = self.model.find("{*}instance")
        root = next(iter(instance), None) if instance is not None else None
        if root is None:
            raise _no_xform("its model has no instance.")
        self.root = root
        namespace = etree.QName(root).namespace or ""
        self.form_id = root.get("id") or ("" if namespace == XFORMS else namespace)
        if not self.form_id:
            raise _no_xform("its instance has no id.")
        title = next(document.iter("{*}title"), None)
        self.title = ("" if title is None else "".join(map(str, title.itertext())).strip()) or self.form_id
        self.texts = Texts(self.model)
        self.lists = Lists(self.model, self.texts)
        self._index()

    def _index(self) -> None:
        binds = list(self.model.iterchildren("{*}bind"))
        self.binds = {self.path(_target(bind)): bind for bind in binds}
        self.named = {name: self.path(_target(bind)) for bind in binds if (name := bind.get("id"))}
        self.controls: dict[str, etree._Element] = {}
        self.groups: dict[str, etree._Element] = {}
        self.repeats: dict[str, etree._Element] = {}
        self._index_body(_first(self.document, "body", "it has no body."), "")
        self.defaults = {
            self.path(_target(action)): action
            for action in self.document.iter("{*}setvalue")
            if AT_THE_START & set((action.get("event") or action.get(f"{EVENTS}event") or "").split())
        }

    def _index_body(self, parent: etree._Element, context: str) -> None:
        for element in parent:
            name = xml.local_name(element.tag)
            path = self.named.get(element.get("bind", "")) or self.path(_target(element), context)
            if name in CONTROLS:
                self.controls.setdefault(path, element)
                continue
            if name in {"group", "repeat"} and path != context:
                (self.groups if name == "group" else self.repeats)[path] = element
            elif name == "repeat":
                self.repeats[path] = element
            self._index_body(element, path)

    def path(self, ref: str, context: str = "") -> str:
        """Return `/slot/direction` of `/data/slot/direction`, of a relative reference, or of one with prefixes."""
        plain = re.sub(r"(?<=/)[\w.-]+:|^[\w.-]+:", "", ref.strip())
        if not plain.startswith("/"):
            return posixpath.normpath(f"{context}/{plain}").rstrip("/") if plain else context
        return plain.removeprefix(f"/{xml.local_name(self.root.tag)}")

    def children(self, element: etree._Element, path: str) -> tuple[Node, ...]:
        """Return the nodes below an element; of a repeat's rows the template counts, else the first."""
        kept: dict[str, etree._Element] = {}
        for child in element:
            name = xml.local_name(child.tag)
            if name not in kept or child.get(f"{JR}template") is not None:
                kept[name] = child
        return tuple(self._node(name, child, f"{path}/{name}") for name, child in kept.items())

    def _node(self, name: str, element: etree._Element, path: str) -> Node:
        if path in self.repeats or element.get(f"{JR}template") is not None:
            return self._repeat(name, element, path)
        if len(element) or path in self.groups or element.get("dataset"):
            shell = self.groups.get(path)
            return Group(
                name,
                path,
                self.children(element, path),
                self._label(shell),
                _get(shell, "appearance"),
                self._relevant(path),
            )
        return self._field(name, element, path)

    def _repeat(self, name: str, element: etree._Element, path: str) -> Repeat:
        shell, repeat = self.groups.get(path), self.repeats.get(path)
        return Repeat(
            name=name,
            path=path,
            children=self.children(element, path),
            label=self._label(shell) or self._label(repeat),
            appearance=_get(repeat, "appearance") or _get(shell, "appearance"),
            relevant=self._relevant(path),
            count=_get(repeat, f"{JR}count"),
            row_key=self.marks.keys.get(path, ""),
        )

    def _field(self, name: str, element: etree._Element, path: str) -> Field:
        bind, control = self.binds.get(path), self.controls.get(path)
        choices = self.lists.of(control)
        return Field(
            name=name,
            path=path,
            type=_type(bind, control, choices),
            control=_control_name(control),
            label=self._label(control),
            hint=self.texts.of(None if control is None else control.find("{*}hint")),
            appearance=_get(control, "appearance"),
            relevant=_get(bind, "relevant"),
            required=_get(bind, "required"),
            constraint=_get(bind, "constraint"),
            constraint_message=self.texts.message(_get(bind, f"{JR}constraintMsg")),
            calculate=_get(bind, "calculate"),
            readonly=_get(bind, "readonly"),
            default=element.text if element.text and element.text.strip() else "",
            default_expression=_value(self.defaults.get(path)),
            preload=":".join(filter(None, (_get(bind, f"{JR}preload"), _get(bind, f"{JR}preloadParams")))),
            mediatype=_get(control, "mediatype"),
            save_to=_get(bind, f"{ENTITIES}saveto"),
            choices=choices,
            flags=_flags(self.marks.flags.get(path, ""), path),
            merge=self.marks.merges.get(path, ""),
        )

    def _label(self, control: etree._Element | None) -> Mapping[str, str]:
        return self.texts.of(None if control is None else control.find("{*}label"))

    def _relevant(self, path: str) -> str:
        return _get(self.binds.get(path), "relevant")

    def media(self) -> Iterator[str]:
        """Yield the names of attached files in the order the XForm names them; names may repeat."""
        for element in self.document.iter("{*}value", "{*}instance", "{*}input", "{*}select1", "{*}select"):
            match xml.local_name(element.tag):
                case "value":
                    name = file_name(media_of(element) or "")
                case "instance":
                    name = file_name(element.get("src", ""))
                case "input":
                    name = EXTERNAL_ITEMSETS if element.get("query") else None
                case _:
                    name = searched_file(element)
            if name:
                yield name
        for leaf in self.root.iter():
            if name := file_name(leaf.text or ""):
                yield name


def _first(document: etree._Element, name: str, otherwise: str) -> etree._Element:
    found = next(document.iter(f"{{*}}{name}"), None)
    if found is None:
        raise _no_xform(otherwise)
    return found


def _target(element: etree._Element) -> str:
    return element.get("nodeset") or element.get("ref") or ""


def _get(element: etree._Element | None, attribute: str) -> str:
    return "" if element is None else element.get(attribute, "")


def _type(
    bind: etree._Element | None, control: etree._Element | None, choices: ChoiceList | None
) -> FieldType:
    if choices is not None and _control_name(control) == "input":
        return FieldType.SELECT_ONE
    declared = TYPES.get(_get(bind, "type").rpartition(":")[2], FieldType.STRING)
    return CONTROL_TYPES.get(_control_name(control), declared)


def _control_name(control: etree._Element | None) -> str:
    if control is None:
        return ""
    name = xml.local_name(control.tag)
    return "odk:rank" if name == "rank" else name


def _value(action: etree._Element | None) -> str:
    """Return what a `setvalue` sets, as an expression: its `value`, or its text as a literal."""
    if action is None:
        return ""
    text = (action.text or "").strip()
    return action.get("value") or (f"'{text}'" if text else "")


def _flags(letters: str, path: str) -> frozenset[Flag]:
    try:
        return parse_flags(letters)
    except ValueError:
        raise FormError(
            Fault(
                f"“{letters}” at {path} are not all flags.",
                f"Use {''.join(Flag)} only.",
                column="chapar::flags",
            )
        ) from None


def _check(marks: SheetMarks, schema: FormSchema) -> None:
    fields = {leaf.path for leaf in schema.fields}
    keys = {f"{repeat}/{key}" for repeat, key in marks.keys.items()}
    rows = {repeat.path for repeat in schema.repeats}
    strange = ({*marks.flags, *marks.merges} | keys) - fields | marks.keys.keys() - rows
    if strange:
        raise FormError(
            *(
                Fault(f"The form has no “{path}” to mark.", "Publish the sheet again.")
                for path in sorted(strange)
            )
        )
