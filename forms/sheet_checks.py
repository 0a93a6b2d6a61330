"""What a compiled sheet must have beyond what pyxform asks: a usable form id, a version, readable expressions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from forms import survey_rows, xpath, xpath_parser
from forms.errors import Fault, FormError
from forms.schema import Field, FormSchema, Node, Repeat
from forms.workbook import Workbook, canonical

FORM_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
ATTRIBUTE_COLUMN = re.compile(r"(bind|control|body|instance|attribute)\s*(::?|$)", re.IGNORECASE)
ATTRIBUTE = re.compile(r"\w+\s*::?\s*(?:([\w.-]+)::?(?!:))?[^\W\d][\w.-]*\s*($|::)")
OUR_ATTRIBUTE = re.compile(r"(?:bind|control|body|instance)\s*::?\s*(tag|toParseString)\s*", re.IGNORECASE)
"""Words of the function that writes pyxform's elements: it takes them for its own."""
TRANSLATED = re.compile(
    r"(label|hint|guidance[_ ]hint|constraint[_ ]message|required[_ ]message)\s*::", re.IGNORECASE
)
NAMING = frozenset({"type", "name", "list_name", "save_to"})
INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]"
    "|(?<![\u0620-\u06ff])[\u200c\u200d]|[\u200c\u200d](?![\u0620-\u06ff])"
)
"""Characters that nobody sees; between Arabic letters a joiner is seen."""
PREFIXES = frozenset({"jr", "odk", "orx", "entities", "ev", "xsd"})
EXPRESSIONS = {
    "relevant": "relevant",
    "constraint": "constraint",
    "calculate": "calculation",
    "required": "required",
    "readonly": "readonly",
    "default_expression": "default",
}


def check_questions(book: Workbook) -> None:
    """Refuse a sheet of questions that has none. Raises FormError."""
    if (survey := book.get("survey")) and not survey.rows:
        raise FormError(
            Fault("The sheet has no question.", "Add rows with type, name and label.", survey.name, 2)
        )


def check_headers(book: Workbook) -> None:
    """Refuse headers for which pyxform has no message. Raises FormError."""
    settings = book.get("settings")
    own = " ".join(survey_rows.cell(settings, row, "namespaces") for row in settings.rows) if settings else ""
    declared = PREFIXES.union(re.findall(r"([\w.-]+)\s*=", own))
    faults = [
        Fault(*wrong, sheet.name, sheet.header_row, header)
        for sheet in book.values()
        for header in sheet.headers
        if (wrong := _wrong_header(header, declared))
    ]
    if faults:
        raise FormError(*faults)


def _wrong_header(header: str, declared: frozenset[str]) -> tuple[str, str] | None:
    if ATTRIBUTE_COLUMN.match(header) and not _is_attribute(header, declared):
        return "The column names no property that a form can have.", "Correct it."
    if match := OUR_ATTRIBUTE.fullmatch(header):
        return f"pyxform cannot write an attribute named “{match[1]}”.", "Remove or rename the column."
    if TRANSLATED.match(header) and header.count("::") > 1:
        return "The column names two languages.", "Make a column for each, such as label::Farsi (fa)."
    return None


def check_names(book: Workbook) -> None:
    """Refuse names with a character that nobody sees: another name looks the same. Raises FormError."""
    faults = [
        Fault(
            f"The cell holds the invisible character U+{ord(found[0]):04X}.",
            "Type it again, or let `chapar forms check --fix` remove it.",
            sheet.name,
            row.number,
            header,
        )
        for sheet in book.values()
        for header in sheet.headers
        if canonical(header) in NAMING
        for row in sheet.rows
        if (found := INVISIBLE.search(row.cells.get(header, "")))
    ]
    if faults:
        raise FormError(*faults)


def _is_attribute(header: str, declared: frozenset[str]) -> bool:
    match = ATTRIBUTE.match(header)
    return match is not None and (not match[1] or match[1] in declared)


def check_form_id(schema: FormSchema, book: Workbook) -> None:
    """Refuse an id that no URL or file name can carry. Raises FormError."""
    if not FORM_ID.fullmatch(schema.form_id):
        example = form_id_of(schema.form_id)
        fix = "Use at most 100 of a-z, A-Z, 0-9, _, - and the point; start with a letter or digit."
        fix += f" For example “{example}”." if example else ""
        raise FormError(_setting(book, "form_id", f"“{schema.form_id}” cannot be a form's id.", fix))


def form_id_of(name: str) -> str:
    """Return an id that can be used and looks like this name, "" when nothing of it can be used."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "_", name).strip("_.-")[:100]


def check_expressions(schema: FormSchema, book: Workbook) -> None:
    """Refuse expressions that no tablet can read, all at once. Raises FormError."""
    faults = []
    for node, column, expression in _expressions(schema):
        try:
            xpath_parser.parse(expression)
        except (xpath_parser.XPathError, RecursionError) as error:
            message = error.faults[0].message if isinstance(error, FormError) else "Too deeply nested."
            faults.append(_at(book, node, column, f"The expression cannot be read. {message}"))
    if faults:
        raise FormError(*faults)


def warnings(schema: FormSchema, book: Workbook) -> Iterator[Fault]:
    """Yield what a designer should know although the form works."""
    if not schema.version:
        fix = "Add the column “version” with a number such as 2026050101, and raise it with every change."
        yield _setting(book, "version", "The form has no version: tablets will not notice a change.", fix)
    settings = book.get("settings")
    if not survey_rows.header(settings, "form_id"):
        fix = "Add the column “form_id”: under another file name this would be another form."
        yield _setting(book, "form_id", f"The file's name gives the form its id, “{schema.form_id}”.", fix)
    if not survey_rows.header(settings, "form_title"):
        yield _setting(book, "form_title", "The form has no title.", "Add the column “form_title”.")
    for node, column, expression in _expressions(schema):
        try:
            xpath.compile_expression(expression)
        except xpath_parser.XPathError as error:
            yield _at(book, node, column, error.faults[0].message)


def _expressions(schema: FormSchema) -> Iterator[tuple[Node, str, str]]:
    for node in schema.walk():
        for attribute, column in EXPRESSIONS.items():
            if expression := getattr(node, attribute, ""):
                yield node, column, expression
        if isinstance(node, Repeat) and node.count:
            yield node, "repeat_count", node.count
        if isinstance(node, Field) and node.choices and node.choices.nodeset:
            yield node, "choice_filter", node.choices.nodeset


def _setting(book: Workbook, column: str, message: str, fix: str) -> Fault:
    settings = book.get("settings")
    row = settings.rows[0].number if settings and settings.rows else 2
    shown = survey_rows.header(settings, column) or column
    return Fault(message, fix, settings.name if settings else "settings", row, shown)


def _at(book: Workbook, node: Node, column: str, message: str) -> Fault:
    survey = book["survey"]
    row = survey_rows.by_path(survey).get(node.path)
    shown = survey_rows.header(survey, column) or column
    return Fault(message, "Correct the expression.", survey.name, row.number if row else None, shown)
