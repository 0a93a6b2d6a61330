"""A form on the tablet: its schema with the lists, attributes and actions that filling it needs.

Made once per form version and used for any number of fillings; nothing in it changes.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import takewhile

from lxml import etree

from forms import xml
from forms.errors import Fault, FormError
from forms.schema import FormSchema

ELEMENTS_MAX = 5_000_000
NAME = re.compile(r"[^\W\d][\w.-]*")
"""Columns of other names cannot be written in an expression."""
VALUE_CHANGED = "xforms-value-changed"


@dataclass(frozen=True)
class TabletForm:
    """A form version ready to be filled. Paths leave the root element out, as in the schema.

    namespaces, attributes: of the instance's root element. leaf_attributes: path → attribute → default (entities).
    instances: secondary instances by id. choice_labels: path → answer → label in the default language.
    attribute_calculations, attribute_defaults: (path, attribute) → expression.
    triggers: path → (path, expression) of every action when its answer changes; triggered: the same by what is set.
    ranges: path → start, end, step.
    """

    schema: FormSchema
    namespaces: Mapping[str, str]
    attributes: Mapping[str, str]
    leaf_attributes: Mapping[str, Mapping[str, str]]
    instances: Mapping[str, etree._Element]
    choice_labels: Mapping[str, Mapping[str, str]]
    attribute_calculations: Mapping[tuple[str, str], str]
    attribute_defaults: Mapping[tuple[str, str], str]
    triggers: Mapping[str, tuple[tuple[str, str], ...]]
    triggered: Mapping[str, tuple[tuple[str, str], ...]]
    ranges: Mapping[str, tuple[float, float, float]]
    asks_user: bool


def prepare(schema: FormSchema, xform: bytes, media: Mapping[str, bytes]) -> TabletForm:
    """Return the form ready to be filled.

    xform: the bytes that `schema` was read from. media: attached files by name; a list that is missing is empty.
    Raises FormError when an attached list cannot be read.
    """
    document = xml.parse(xform, elements_max=ELEMENTS_MAX)
    model = next(document.iter("{*}model"))
    root = next(model.iter("{*}instance"))[0]
    instances = {
        name: _secondary(instance, media)
        for instance in model.iterchildren("{*}instance")
        if (name := instance.get("id"))
    }
    triggers = _triggers(document, schema.root)
    return TabletForm(
        schema=schema,
        namespaces={prefix: uri for prefix, uri in root.nsmap.items() if prefix},
        attributes={str(name): str(value) for name, value in root.attrib.items()},
        leaf_attributes={
            _path(leaf, root): {str(name): str(value) for name, value in leaf.attrib.items()}
            for leaf in root.iterdescendants()
            if leaf.attrib and not any("template" in str(name) for name in leaf.attrib)
        },
        instances=instances,
        choice_labels=_labels(schema, instances),
        attribute_calculations=_on_attributes(model.iterchildren("{*}bind"), "nodeset", "calculate"),
        attribute_defaults=_on_attributes(document.iter("{*}setvalue"), "ref", "value"),
        triggers=triggers,
        triggered={
            target: tuple(
                (source, does) for source, acts in triggers.items() for to, does in acts if to == target
            )
            for acts in triggers.values()
            for target, _ in acts
        },
        ranges=_ranges(document, schema.root),
        asks_user=any("identify-user" in str(name) for bind in model.iter("{*}bind") for name in bind.attrib),
    )


def _path(leaf: etree._Element, root: etree._Element) -> str:
    above = takewhile(lambda node: node is not root, (leaf, *leaf.iterancestors()))
    return "/" + "/".join(reversed([xml.local_name(node.tag) for node in above]))


def _without_root(ref: str, root: str) -> str:
    return ref.strip().removeprefix(f"/{root}")


def _on_attributes(elements: Iterable[etree._Element], target: str, value: str) -> dict[tuple[str, str], str]:
    """Return what is bound to attributes: `/data/meta/entity/@id`."""
    found: dict[tuple[str, str], str] = {}
    for element in elements:
        path, at, attribute = element.get(target, "").strip().partition("/@")
        if at and (expression := element.get(value)):
            found["/" + path.split("/", 2)[2], attribute] = expression
    return found


def _triggers(document: etree._Element, root: str) -> dict[str, tuple[tuple[str, str], ...]]:
    found: dict[str, tuple[tuple[str, str], ...]] = {}
    for action in document.iter("{*}setvalue"):
        control = action.getparent()
        if VALUE_CHANGED not in action.get("event", "") or control is None or not control.get("ref"):
            continue
        source = _without_root(control.get("ref", ""), root)
        expression = action.get("value") or repr(action.text or "")
        found[source] = (*found.get(source, ()), (_without_root(action.get("ref", ""), root), expression))
    return found


def _ranges(document: etree._Element, root: str) -> dict[str, tuple[float, float, float]]:
    return {
        _without_root(control.get("ref", ""), root): (
            float(control.get("start", "0")),
            float(control.get("end", "10")),
            float(control.get("step", "1")),
        )
        for control in document.iter("{*}range")
    }


def _labels(schema: FormSchema, instances: Mapping[str, etree._Element]) -> dict[str, dict[str, str]]:
    """Return the labels that `jr:choice-name` shows: the list's own, or the attached file's column."""
    found: dict[str, dict[str, str]] = {}
    for field in schema.fields:
        if field.choices is None:
            continue
        language = schema.languages[0]
        labels = {
            choice.name: next(filter(None, (choice.label.get(language), *choice.label.values())), choice.name)
            for choice in field.choices.choices
        }
        instance = instances.get(field.choices.file.rpartition(".")[0]) if field.choices.file else None
        for item in () if instance is None else instance.iterdescendants("{*}item"):
            name = item.findtext("{*}" + field.choices.value_ref) or ""
            labels[name] = item.findtext("{*}" + field.choices.label_ref) or name
        found[field.path] = labels
    return found


def _secondary(instance: etree._Element, media: Mapping[str, bytes]) -> etree._Element:
    source = instance.get("src")
    if not source:
        return instance
    holder = etree.Element("instance")
    name = source.rpartition("/")[2]
    data = media.get(name, b"")
    if name.endswith(".xml") and data:
        holder.append(xml.parse(data, elements_max=ELEMENTS_MAX))
        return holder
    root = etree.SubElement(holder, "root")
    for row in _rows(name, data):
        item = etree.SubElement(root, "item")
        for column, text in row.items():
            if NAME.fullmatch(column):
                etree.SubElement(item, column).text = text
    return holder


def _rows(name: str, data: bytes) -> list[dict[str, str]]:
    try:
        if name.endswith(".geojson"):
            return [_feature(feature) for feature in json.loads(data or b'{"features": []}')["features"]]
        reader = csv.DictReader(io.StringIO(data.decode("utf-8-sig")))
        return [{column.strip(): text or "" for column, text in row.items() if column} for row in reader]
    except (ValueError, KeyError, TypeError, csv.Error):
        raise FormError(
            Fault(f"The attached list {name} cannot be read.", "Attach it as UTF-8 CSV.")
        ) from None


def _feature(feature: Mapping[str, object]) -> dict[str, str]:
    properties = feature.get("properties") or {}
    assert isinstance(properties, Mapping)
    identity = {"id": str(feature["id"])} if "id" in feature else {}
    return identity | {str(name): str(value) for name, value in properties.items()}
