"""The texts of an XForm in all its languages: labels, hints and messages, literal or in `itext`.

A text that the form leaves out in one language (pyxform writes `-`) is absent there. A value shown inside a text
stands as the sheet writes it: `${name}` for a plain reference, `${expression}` otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from types import MappingProxyType

from lxml import etree

from forms.schema import NO_TEXT, Text
from forms.xml import local_name

ITEXT = re.compile(r"\s*jr:itext\(\s*(['\"])(.*)\1\s*\)\s*")
PLAIN_PATH = re.compile(r"[\w./:-]*/([\w.:-]+)")
MISSING = "-"


class Texts:
    """Every text of one form; `languages` has the default language first."""

    def __init__(self, model: etree._Element) -> None:
        translations = sorted(model.findall("{*}itext/{*}translation"), key=_is_other)
        self.languages = tuple(dict.fromkeys(map(_language, translations))) or ("default",)
        self._by_id: dict[str, dict[str, str]] = {}
        for translation in translations:
            for text in translation.iterchildren("{*}text"):
                for value in _spoken(text):
                    self._by_id.setdefault(text.get("id", ""), {})[_language(translation)] = value

    def of(self, element: etree._Element | None) -> Text:
        """Return the text of a `label` or `hint` element, which holds it or refers to it."""
        if element is None:
            return NO_TEXT
        ref = element.get("ref")
        if not ref:
            return self.literal(flatten(element))
        return self.message(ref) if ITEXT.fullmatch(ref) else self.literal(_shown(ref))

    def message(self, attribute: str | None) -> Text:
        """Return the text of an attribute such as `jr:constraintMsg`: a literal, or a reference to itext."""
        match = ITEXT.fullmatch(attribute or "")
        return self.by_id(match[2]) if match else self.literal(attribute or "")

    def by_id(self, text_id: str) -> Text:
        """Return the text with this itext id, empty if there is none."""
        found = self._by_id.get(text_id)
        return MappingProxyType(found) if found else NO_TEXT

    def literal(self, text: str) -> Text:
        """Return a text that stands in one language only: it counts as the default one's."""
        return MappingProxyType({self.languages[0]: text}) if text else NO_TEXT


def flatten(element: etree._Element) -> str:
    """Return the element's text, with `${…}` for each `output`."""
    parts = [element.text or ""]
    for child in element:
        shown = child.get("value") or child.get("ref")
        parts += [_shown(shown) if shown else flatten(child), child.tail or ""]
    return "".join(parts).strip()


def _shown(expression: str) -> str:
    plain = PLAIN_PATH.fullmatch(expression.strip())
    return f"${{{plain[1] if plain else expression.strip()}}}"


def _language(translation: etree._Element) -> str:
    return translation.get("lang") or "default"


def _is_other(translation: etree._Element) -> bool:
    return translation.get("default") not in {"true()", "", "true"}


def _spoken(text: etree._Element) -> Iterator[str]:
    """Yield at most one text: the `value` without a form, else the long or short one."""
    values = {value.get("form", ""): value for value in text.iterchildren("{*}value")}
    for form in ("", "long", "short"):
        spoken = flatten(values[form]) if form in values else ""
        if spoken not in {"", MISSING}:
            yield spoken
            return


def media_of(value: etree._Element) -> str | None:
    """Return the address in an itext `value` that is an image, a sound or a film, None for a text."""
    is_text = value.get("form", "") in {"", "long", "short", "guidance"} or local_name(value.tag) != "value"
    return None if is_text else (value.text or "").strip()
