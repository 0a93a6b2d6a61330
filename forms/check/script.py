"""Rules about letters, digits and direction in texts that read from right to left.

Sources: Unicode 16 UAX #9 (isolates and embeddings); ISIRI 6219 (ی and ک of Persian, its digits); Dari follows it,
Pashto has ي beside ی.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from forms.check.design import Design, Entry, language_code
from forms.check.expressions import REFERENCE
from forms.check.finding import Rule, Severity, Spot

RIGHT_TO_LEFT = frozenset({"fa", "prs", "ps", "ar", "ur", "ckb", "he", "sd", "ug", "bal"})
PERSIAN_DIGITS = frozenset({"fa", "prs", "ps"})
LATIN = frozenset({"en", "fr", "de", "es", "it", "pt", "tr", "az", "kmr", "uz", "nl", "so", "sw"})
ARABIC_LETTERS: Mapping[str, Mapping[str, str]] = {
    "fa": {"ي": "ی", "ك": "ک", "ى": "ی"},
    "prs": {"ي": "ی", "ك": "ک", "ى": "ی"},
    "ps": {"ك": "ک", "ى": "ی"},
}
ARABIC_DIGITS = re.compile("[٠-٩]")
ARABIC = re.compile(
    r"[\u0620-\u064a\u066e-\u06d3\u06ee-\u06ef\u06fa-\u06ff\u0750-\u077f\u08a0-\u08c9\ufb50-\ufdff\ufe70-\ufefc]"
)
LATIN_LETTER = re.compile(r"[A-Za-z\u00c0-\u024f]")
CODE = re.compile(r"[A-Z0-9][A-Z0-9_./+-]*")
WORD = re.compile(r"[^\s(),;:!?،؛؟]+")
NO_WORDS = re.compile(r"\$\{[^}]*\}|<[^>]*>|https?://\S+|\S+@\S+|&\w+;")
OPENS, CLOSES = (
    {"\u202a": "\u202c", "\u202b": "\u202c", "\u202d": "\u202c", "\u202e": "\u202c"},
    "\u202c\u2069",
)
ISOLATES = dict.fromkeys("\u2066\u2067\u2068", "\u2069")
MARKS = "\u200e\u200f\u2066\u2067\u2068\u2069"
AT_EDGE = re.compile(r"^\s*\$\{[^}]+\}|\$\{[^}]+\}\s*$")


def arabic_letters(design: Design) -> Iterator[Spot]:
    """Yield texts with Arabic letters that Persian, Dari or Pashto does not use."""
    for entry, column, code, text in _translated(design):
        wrong = {letter: right for letter, right in ARABIC_LETTERS.get(code, {}).items() if letter in text}
        if wrong:
            found = " ".join(
                f"“{letter}” (U+{ord(letter):04X}) for “{right}”" for letter, right in wrong.items()
            )
            yield entry.spot(column, f"The text has {found}.", "Type it with a Persian keyboard.", text)


def arabic_digits(design: Design) -> Iterator[Spot]:
    """Yield texts with the digits of Arabic, alone or mixed with Persian ones."""
    for entry, column, code, text in _translated(design):
        if code in PERSIAN_DIGITS and (found := ARABIC_DIGITS.search(text)):
            right = chr(ord(found[0]) - 0x660 + 0x6F0)
            message = f"“{found[0]}” (U+{ord(found[0]):04X}) is an Arabic digit; here it is “{right}”."
            yield entry.spot(column, message, "Use the digits ۰ to ۹.", text)


def wrong_script(design: Design) -> Iterator[Spot]:
    """Yield texts without a letter of their language's script, unless they are codes such as UNHCR."""
    for entry, column, code, text in _translated(design):
        if message := _wrong_script(code, text):
            yield entry.spot(column, message, "Write the translation, or move the text to its column.", text)


def _wrong_script(code: str, text: str) -> str:
    own, other = (ARABIC, LATIN_LETTER) if code in RIGHT_TO_LEFT else (LATIN_LETTER, ARABIC)
    if code not in RIGHT_TO_LEFT | LATIN or (own.search(text) and not NO_WORDS.search(text)):
        return ""
    words = NO_WORDS.sub(" ", text)
    if own.search(words) or not other.search(words):
        return ""
    if own is LATIN_LETTER:
        return "The text is in Arabic script, in a language that is not written so."
    is_code = all(CODE.fullmatch(word) for word in WORD.findall(words))
    return "" if is_code else "The text has Latin letters only, in a language that is not written with them."


def unbalanced_marks(design: Design) -> Iterator[Spot]:
    """Yield texts whose invisible direction marks do not close one another."""
    for entry, column, _, text in _translated(design):
        if not _is_balanced(text):
            message = "An invisible direction mark is opened and not closed, or closed and not opened."
            yield entry.spot(column, message, "Delete the text and type it again.", text)


def _is_balanced(text: str) -> bool:
    waiting: list[str] = []
    for letter in text:
        if closing := OPENS.get(letter) or ISOLATES.get(letter):
            waiting.append(closing)
        elif letter in CLOSES and (not waiting or waiting.pop() != letter):
            return False
    return not waiting


def insertion_at_edge(design: Design) -> Iterator[Spot]:
    """Yield right-to-left texts that begin or end with an inserted answer, which can pull its neighbours over."""
    for entry, column, code, text in _translated(design):
        bare = REFERENCE.sub("", text).strip()
        if (
            code in RIGHT_TO_LEFT
            and bare
            and AT_EDGE.search(text)
            and not any(mark in text for mark in MARKS)
        ):
            message = "An inserted answer stands at the edge of a right-to-left text: a Latin one may jump."
            yield entry.spot(column, message, "Put a word before and after ${…}, or U+2068 and U+2069.", text)


def _translated(design: Design) -> Iterator[tuple[Entry, str, str, str]]:
    for entry in design.texts:
        for column, texts in entry.texts.items():
            if column.startswith("media"):
                continue
            for language, text in texts.items():
                yield entry, f"{column}@{language}" if language else column, language_code(language), text


RULES = (
    Rule(
        "arabic-letters",
        Severity.WARNING,
        "Persian, Dari and Pashto texts use ی and ک, not the Arabic ي and ك.",
        arabic_letters,
    ),
    Rule("arabic-digits", Severity.WARNING, "Persian, Dari and Pashto texts use ۰ to ۹.", arabic_digits),
    Rule("wrong-script", Severity.WARNING, "A translation is in the script of its language.", wrong_script),
    Rule("direction-marks", Severity.WARNING, "Invisible direction marks come in pairs.", unbalanced_marks),
    Rule(
        "insertion-at-edge",
        Severity.HINT,
        "An answer inserted into a right-to-left text has a word on each side.",
        insertion_at_edge,
    ),
)
