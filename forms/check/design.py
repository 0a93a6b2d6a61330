"""A sheet as its designer thinks of it: questions in order, texts by language, lists with their choices.

Read from the cells alone, so that rules also speak about a sheet that does not compile. What a cell's expression
means is `forms.check.expressions`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from types import MappingProxyType

from forms.check.finding import Spot
from forms.marks import PREFIX
from forms.survey_rows import ALIASES, BEGIN, END
from forms.workbook import Row, Sheet, Workbook, canonical

TRANSLATED = frozenset(
    {"label", "caption", "hint", "guidance_hint", "constraint_message", "required_message", "media"}
)
SELECT = re.compile(
    r"(?:add )?(?P<kind>select[_ ]?one|select1|select[_ ]multiple|select all that apply|rank)"
    r"(?P<source>[_ ]from[_ ]file|[_ ]external)?(?: from| prompt using| question using)?\s+(?P<list>\S+)"
    r"(?P<other>\s+(?:or_other|or specify other|or other))?",
    re.IGNORECASE,
)
KINDS = {"string": "text", "int": "integer", "gps": "geopoint", "location": "geopoint", "photo": "image"}
METADATA = frozenset(
    {"start", "end", "today", "deviceid", "username", "email", "phonenumber", "audit", "start-geopoint"}
    | {"background-audio", "background-geopoint", "subscriberid", "simserial", "uri:deviceid"}
)
UNASKED = METADATA | {"calculate", "hidden", "note", "csv-external", "xml-external"}
LANGUAGE_CODE = re.compile(r"\(([A-Za-z]{2,3})(?:[-_][\w-]*)?\)\s*$")
LANGUAGE_NAMES = {
    **dict.fromkeys(("farsi", "persian", "فارسی"), "fa"),
    **dict.fromkeys(("dari", "دری"), "prs"),
    **dict.fromkeys(("pashto", "pashtu", "پښتو"), "ps"),
    **dict.fromkeys(("arabic", "العربية"), "ar"),
    "english": "en",
    "urdu": "ur",
    "french": "fr",
}
NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Header:
    """What a header means. column: canonical, `relevant` or `chapar::flags`. language: of a translated column."""

    text: str
    column: str
    language: str = ""

    @property
    def is_text(self) -> bool:
        """Whether people read what stands below."""
        return self.column.partition("::")[0] in TRANSLATED


@dataclass(frozen=True, slots=True)
class Entry:
    """One row of survey or choices.

    cells: text by canonical column. texts: column → language → text, of the columns that people read.
    """

    sheet: str
    row: int
    cells: Mapping[str, str]
    texts: Mapping[str, Mapping[str, str]]
    headers: Mapping[str, str] = field(repr=False)

    def __getitem__(self, column: str) -> str:
        return self.cells.get(column, "")

    @property
    def name(self) -> str:
        """The name, "" when there is none."""
        return self.cells.get("name", "")

    def labels(self) -> Mapping[str, str]:
        """The label in every language that has one."""
        return self.texts.get("label", NONE)

    def spot(self, column: str, message: str, fix: str, text: str | None = None) -> Spot:
        """Return a place in this row. column: canonical, with `@` and the language where it has one."""
        shown = self.cells.get(column, "") if text is None else text
        return Spot(message, fix, self.sheet, self.row, self.headers.get(column, column), shown)


@dataclass(frozen=True, slots=True)
class Question:
    """One row of the survey that is no end of a group.

    kind: type in the standard's spelling, `select_one`, `begin_repeat`. list_name: of a select; a file's name for
    `is_file`. order: from 0. repeats: names of the repeats it stands in, outermost first. ends: of a group or
    repeat, the order after its last question.
    """

    entry: Entry
    kind: str
    order: int
    list_name: str = ""
    is_file: bool = False
    or_other: bool = False
    repeats: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The question's name."""
        return self.entry.name

    @property
    def is_leaf(self) -> bool:
        """Whether it holds an answer of its own."""
        return not self.kind.startswith("begin_")

    @property
    def is_select(self) -> bool:
        """Whether it takes its answers from a list."""
        return bool(self.list_name)

    @property
    def is_asked(self) -> bool:
        """Whether a person gives the answer."""
        return self.is_leaf and self.kind not in UNASKED

    @property
    def flags(self) -> frozenset[str]:
        """The letters of `chapar::flags`."""
        return frozenset(re.sub(r"[\s,;]", "", self.entry["chapar::flags"]).upper())


@dataclass(frozen=True)
class Design:
    """A workbook read for checking. choices: by list, in the sheet's order. settings: the first row, by column."""

    book: Workbook
    questions: tuple[Question, ...]
    choices: Mapping[str, tuple[Entry, ...]]
    settings: Entry
    entities: tuple[Entry, ...]

    @cached_property
    def by_name(self) -> Mapping[str, Question]:
        """Questions by name; of several with one name, the first."""
        return {each.name: each for each in reversed(self.questions) if each.name}

    @cached_property
    def texts(self) -> tuple[Entry, ...]:
        """Every row whose texts people read."""
        return (
            *(each.entry for each in self.questions),
            *(choice for chosen in self.choices.values() for choice in chosen),
        )

    @cached_property
    def languages(self) -> tuple[str, ...]:
        """The languages of the sheet in the order of its columns; "" is the one without a name."""
        headers = (each for name in ("survey", "choices") for each in headers_of(self.book.get(name)))
        return tuple(dict.fromkeys(each.language for each in headers if each.is_text))


def read(book: Workbook) -> Design:
    """Return the design in a workbook. Never refuses one: what makes no sense is left out."""
    choices: dict[str, list[Entry]] = {}
    for entry in _entries(book.get("choices")):
        choices.setdefault(entry["list_name"] or entry["list name"], []).append(entry)
    settings = next(_entries(book.get("settings")), Entry("settings", 2, NONE, {}, NONE))
    return Design(
        book,
        tuple(_questions(book.get("survey"))),
        {name: tuple(each) for name, each in choices.items() if name},
        settings,
        tuple(_entries(book.get("entities"))),
    )


@lru_cache(maxsize=256)
def language_code(language: str) -> str:
    """Return `fa` for `Farsi (fa)` and for `Farsi`; "" when it cannot be told."""
    if match := LANGUAGE_CODE.search(language):
        return match[1].lower()
    lowered = language.strip().lower()
    return LANGUAGE_NAMES.get(lowered, lowered if re.fullmatch("[a-z]{2,3}", lowered) else "")


def headers_of(sheet: Sheet | None) -> Iterator[Header]:
    """Yield what each header of a sheet means."""
    names = _OF_CHOICES if sheet and sheet.name.lower() == "choices" else _OF_SURVEY
    for text in sheet.headers if sheet else ():
        if own := PREFIX.fullmatch(text):
            yield Header(text, f"chapar::{own[1].lower()}")
            continue
        parts = [part.strip() for part in re.split(r"::?", text.strip())]
        column = canonical(text)
        if column in {"bind", "control"} and len(parts) > 1:
            yield Header(text, _standard(canonical(parts[-1]), names))
        elif column == "media" or column not in TRANSLATED:
            kind = f"media::{canonical(parts[1])}" if column == "media" and len(parts) > 1 else column
            yield Header(
                text, _standard(kind, names), parts[2] if column == "media" and len(parts) > 2 else ""
            )
        else:
            yield Header(text, _standard(column, names), parts[-1] if len(parts) > 1 else "")


_OF_CHOICES = frozenset({"name", "label"})
"""Other columns of choices are the designer's own: `count` is no repeat_count there."""
_OF_SURVEY = _OF_CHOICES | {
    "type",
    "relevant",
    "constraint_message",
    "repeat_count",
    "readonly",
    "calculation",
}


def _standard(column: str, names: frozenset[str]) -> str:
    return next((name for name in names if column in ALIASES[name]), column)


def _entries(sheet: Sheet | None) -> Iterator[Entry]:
    if sheet is None:
        return
    headers = {each.text: each for each in headers_of(sheet)}
    shown = {
        f"{each.column}@{each.language}" if each.language else each.column: text
        for text, each in headers.items()
    }
    for row in sheet.rows:
        yield _entry(sheet.name, row, headers, shown)


def _entry(sheet: str, row: Row, headers: Mapping[str, Header], shown: Mapping[str, str]) -> Entry:
    cells: dict[str, str] = {}
    texts: dict[str, dict[str, str]] = {}
    for text, cell in row.cells.items():
        header = headers[text]
        if header.is_text:
            texts.setdefault(header.column, {})[header.language] = cell
        cells.setdefault(header.column, cell)
    return Entry(sheet, row.number, cells, texts, shown)


def _questions(survey: Sheet | None) -> Iterator[Question]:
    above: list[tuple[str, str]] = []
    order = 0
    for entry in _entries(survey):
        kind = " ".join(entry["type"].split())
        if not kind or entry["disabled"].lower() in {"yes", "true", "true()"}:
            continue
        if END.fullmatch(kind):
            above = above[:-1]
            continue
        question = _question(entry, kind, order, tuple(name for sort, name in above if sort == "repeat"))
        order += 1
        yield question
        if not question.is_leaf:
            above = [*above, (question.kind.removeprefix("begin_"), question.name)]


def _question(entry: Entry, kind: str, order: int, repeats: tuple[str, ...]) -> Question:
    if begun := BEGIN.fullmatch(kind):
        sort = "repeat" if begun[1] in {"repeat", "loop", "lgroup", "looped group"} else "group"
        return Question(entry, f"begin_{sort}", order, repeats=repeats)
    if chosen := SELECT.fullmatch(kind):
        word = chosen["kind"].lower()
        single = "one" in word or word == "select1"
        kind = "rank" if word == "rank" else "select_one" if single else "select_multiple"
        is_file = bool(chosen["source"]) or chosen["list"].startswith("${")
        return Question(entry, kind, order, chosen["list"], is_file, bool(chosen["other"]), repeats)
    return Question(entry, KINDS.get(kind.lower(), kind), order, repeats=repeats)
