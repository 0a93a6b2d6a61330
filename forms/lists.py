"""The answers that a select of an XForm allows: inline items, instances in the form, attached files."""

from __future__ import annotations

import re
from types import MappingProxyType

from lxml import etree

from forms.itext import Texts, flatten
from forms.schema import NO_TEXT, Choice, ChoiceList, Text
from forms.xml import local_name

INSTANCE = re.compile(r"\s*(?:randomize\s*\(\s*)?instance\(\s*['\"]([^'\"]+)['\"]\s*\)")
ITEXT_COLUMN = re.compile(r"\s*jr:itext\(\s*([^'\"()]+?)\s*\)\s*")
SEARCH = re.compile(r"\bsearch\s*\(\s*(['\"])(.+?)\1")
FILE = re.compile(r"jr://(?!instance/)[\w-]+/(.+)")
EXTERNAL_ITEMSETS = "itemsets.csv"


class Lists:
    """The choice lists of one form; a list that several questions share is read once."""

    def __init__(self, model: etree._Element, texts: Texts) -> None:
        self._texts = texts
        self._instances = {
            instance.get("id", ""): instance
            for instance in model.iterchildren("{*}instance")
            if instance.get("id")
        }
        self._read: dict[tuple[str, str, str], tuple[Choice, ...]] = {}

    def of(self, control: etree._Element | None) -> ChoiceList | None:
        """Return the list that a control draws from, None when it is no select."""
        if control is None:
            return None
        if (query := control.get("query")) is not None:
            return ChoiceList(nodeset=query, file=EXTERNAL_ITEMSETS)
        itemset = control.find("{*}itemset")
        if itemset is not None:
            return self._itemset(itemset)
        items = control.findall("{*}item")
        if not items:
            return None
        searched = searched_file(control)
        return self._searched(items, searched) if searched is not None else ChoiceList(self._inline(items))

    def _itemset(self, itemset: etree._Element) -> ChoiceList:
        nodeset = itemset.get("nodeset", "")
        value_ref, label_ref = _ref(itemset, "value", "name"), _ref(itemset, "label", "label")
        match = INSTANCE.match(nodeset)
        instance = self._instances.get(match[1]) if match else None
        column = ITEXT_COLUMN.fullmatch(label_ref)
        shown_ref = "label" if column else label_ref
        if instance is None:
            return ChoiceList(nodeset=nodeset, value_ref=value_ref, label_ref=shown_ref)
        if src := instance.get("src"):
            return ChoiceList(
                nodeset=nodeset, file=file_name(src) or "", value_ref=value_ref, label_ref=shown_ref
            )
        return ChoiceList(self._secondary(instance, value_ref, label_ref), nodeset, "", value_ref, shown_ref)

    def _secondary(self, instance: etree._Element, value_ref: str, label_ref: str) -> tuple[Choice, ...]:
        key = (instance.get("id", ""), value_ref, label_ref)
        if key not in self._read:
            root = next(iter(instance), instance)
            self._read[key] = tuple(
                choice for item in root if (choice := self._choice(item, value_ref, label_ref)).name
            )
        return self._read[key]

    def _choice(self, item: etree._Element, value_ref: str, label_ref: str) -> Choice:
        columns = {local_name(child.tag): child for child in item}
        texts = {name: (child.text or "").strip() for name, child in columns.items()}
        itext = ITEXT_COLUMN.fullmatch(label_ref)
        label_column = itext[1] if itext else label_ref
        label = self._label(columns.get(label_column), by_id=itext is not None)
        extra = {name: text for name, text in texts.items() if name not in {value_ref, label_column}}
        return Choice(texts.get(value_ref, ""), label, MappingProxyType(extra))

    def _label(self, column: etree._Element | None, *, by_id: bool) -> Text:
        if column is None:
            return NO_TEXT
        return (
            self._texts.by_id((column.text or "").strip()) if by_id else self._texts.literal(flatten(column))
        )

    def _inline(self, items: list[etree._Element]) -> tuple[Choice, ...]:
        return tuple(
            Choice(name, self._texts.of(item.find("{*}label"))) for item in items if (name := _value(item))
        )

    def _searched(self, items: list[etree._Element], file: str) -> ChoiceList:
        """Of `search('crossings')` the item names columns of the file; numbered items are choices of their own."""
        columns = next((item for item in items if not _value(item).lstrip("-").isdigit()), items[0])
        labels = self._texts.of(columns.find("{*}label"))
        label_ref = labels.get(self._texts.languages[0], "label")
        return ChoiceList(file=file, value_ref=_value(columns), label_ref=label_ref)


def file_name(uri: str) -> str | None:
    """Return the attachment that `jr://file-csv/crossings.csv` names, None when it names none."""
    match = FILE.fullmatch(uri.strip())
    return match[1] if match else None


def searched_file(control: etree._Element) -> str | None:
    """Return the CSV that an appearance such as `search('crossings')` reads, "" when an expression names it."""
    appearance = control.get("appearance", "")
    if not re.search(r"\bsearch\s*\(", appearance):
        return None
    match = SEARCH.search(appearance)
    if match is None:
        return ""
    return match[2] if match[2].endswith(".csv") else f"{match[2]}.csv"


def _ref(itemset: etree._Element, name: str, default: str) -> str:
    element = itemset.find(f"{{*}}{name}")
    return default if element is None else element.get("ref") or default


def _value(item: etree._Element) -> str:
    value = item.find("{*}value")
    return "" if value is None else (value.text or "").strip()
