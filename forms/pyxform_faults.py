"""What pyxform 4.5 says, as faults that name sheet, row and column.

pyxform numbers rows by their place in what it was given, names columns by its own words, and of some mistakes
tells no place at all: then the row that it was reading, or the name it quotes, gives the place.
Reads pyxform's messages and tracebacks; never imports it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from traceback import walk_tb
from types import TracebackType

from forms import survey_rows
from forms.errors import Fault
from forms.workbook import Row, Sheet, Workbook

ROW = re.compile(r"\[row : (\d+)\]\s*")
SHEET = re.compile(
    r"On the '(\w+)' sheet, (?:the '([^']*)' value(?: '[^']*')? is (?:invalid|problematic)"
    r"|the entity declaration is invalid|one or more column names are invalid)\.\s*"
)
HEADERS_OF = re.compile(r"Invalid headers provided for sheet: '(\w+)'\.\s*")
MISSING_OF = re.compile(r"is missing the (survey|choices) column")
VALIDATE_NOISE = re.compile(
    r"^(ODK Validate \w+:|>> Something broke the parser\.|The following files failed validation:|\S*form\S*\.xml"
    r"|Result: \w+|[\w.]+Exception: |\s*$)",
    re.MULTILINE,
)
VALIDATE_REPEATS = re.compile(r"\n(Caused by: |\t\.\.\. ).*", re.DOTALL)
VALIDATE_FIELD = re.compile(r"Error evaluating field '[^']*' \([^)]*\): ")
FUNCTION = re.compile(r"cannot handle function '([^']+)'")
UNKNOWN_TYPE = re.compile(r"Unknown question type '([^']*)'")
OTHER_ROW = re.compile(r"(?<=row ')(\d+)(?=')")
LEARN_MORE = re.compile(r"\s*Learn more: \S+")
ADVICE = re.compile(
    r"(?<=[.)'\"\]]) (?=(?:Please|Either|If this is|To use|Rename|Names must|For XLSForms)\b)"
)
QUOTED = re.compile(r"\$\{([^}]+)\}|'([^']+)'|\[([^\]]+)\]|“([^”]+)”|named (\w+)\.")
PATH = re.compile(r"(?:/[\w.-]+){2,}")
CELL_CHARS_MAX = 80

CODES = {
    "PYREF_001": "A reference must be written as ${name}.",
    "PYREF_002": "Only one reference ${name} fits here, or several with commas between them.",
    "SURVEY_003": "The parameter “incremental” of a geoshape or geotrace must be “true” or left out.",
}
"""Errors that pyxform raises without their text."""

FIXES: tuple[tuple[str, str, str], ...] = (
    # a part of the message, its column, what to do
    ("max-pixels", "parameters", "Write max-pixels=1024 into the column “parameters”."),
    ("Question with no type", "type", "Write its type, such as text, integer or select_one yes_no."),
    ("Unknown question type", "type", "Use a type of the XLSForm standard."),
    ("has not been included", "type", "Copy the rows of that form here: “include” is not supported."),
    ("with no name", "name", "Write a name: a letter first, then letters, digits or _."),
    ("Names must begin with", "name", "Change it, also where ${…} refers to it."),
    ("must be unique within", "name", "Give one of the questions another name."),
    ("Repeat names must", "name", "Give the repeat another name."),
    ("case-insensitive match", "name", "Give one of the two another name."),
    ("reserved for form metadata", "name", "Choose another name than “meta”."),
    ("two underscores", "", "Choose a name that does not begin with two underscores."),
    ("contain a period", "", "Choose a name without a point."),
    ("must not be 'name' or 'label'", "", "Choose another name."),
    ("must not have any duplicate", "", "Give one of the lists another name."),
    ("Entity lists must have a name", "", "Write the list's name."),
    ("add an entities sheet", "", "Add a sheet “entities” with list_name and label."),
    ("comma between each", "", "Write a comma between the references."),
    ("missing header row", "", "Name every column in the sheet's first row."),
    ("Internal error", "", "Report this sheet to whoever keeps the server."),
    ("Choices must have a name", "name", "Write a name for the choice."),
    ("Choices should have a label", "label", "Write a label for the choice."),
    ("Choice names must be unique", "name", "Rename one of the choices, or remove it."),
    ("Choice names with spaces", "name", "Replace the blanks in the choice's name by _."),
    ("Column headers must not", "", "Rename the column without blanks, or remove it."),
    ("required column", "", "Add the column."),
    ("same column were found", "", "Rename or remove one of the columns."),
    ("Unmatched 'end_", "type", "Remove this row, or add the row that begins it."),
    ("Unmatched 'begin_", "type", "Add the row that ends it after its last question."),
    ("Missing calculation", "calculation", "Write the expression in the column “calculation”."),
    ("List name not in", "type", "Correct the list's name, or add the list to the sheet “choices”."),
    ("There should be a choices sheet", "type", "Add a sheet “choices” with list_name, name and label."),
    (
        "There should be an external_choices",
        "type",
        "Add a sheet “external_choices” with list_name and name.",
    ),
    ("Could not find the name", "", "Correct the name in ${…}, or add the question."),
    ("There is no survey element", "", "Correct the name in ${…}, or add the question."),
    ("appears more than once", "", "Give the questions of this name different names."),
    ("multiple survey elements", "", "Give the questions of this name different names."),
    ("must be written as ${name}", "", "Close every ${name} and use a question's name in it."),
    ("Reference variables must start", "", "Close every ${name} and use a question's name in it."),
    ("no label or hint", "label", "Write a label, or make it a calculate or hidden question."),
    ("has no label", "label", "Write a label, or leave it when the group shall have no heading."),
    ("or_other", "type", "Remove or_other and add a choice “other” with a text question behind it."),
    ("parameter", "parameters", "Correct the parameters of this question."),
    ("must have an integer value", "parameters", "Write a whole number."),
    ("set to true or false", "parameters", "Write true or false."),
    ("Audits must always", "name", "Leave the name of the audit row blank."),
    (
        "search()",
        "appearance",
        "Use search() for all questions with this list, or give this one a list of its own.",
    ),
    ("same instance id", "", "Give the list or file another name."),
    ("Instance names must be unique", "", "Give the lists or files different names."),
    ("calculation trigger", "trigger", "Name a question that the enumerator sees."),
    ("sheet named 'survey'", "", "Name the sheet with the questions “survey”."),
    ("omit instanceID", "omit_instanceID", "Remove the column omit_instanceID."),
    ("Expected ", "", "Correct the cell."),
    ("cannot handle function", "", "Use a function that ODK forms have, with the arguments that it takes."),
    ("Calculate expression", "calculation", "Correct the expression."),
    ("Constraint expression", "constraint", "Correct the expression."),
    ("Condition expression", "relevant", "Correct the expression."),
    (
        "sheets with similar names",
        "",
        "Correct the sheet's name, or start it with _ when it is no part of the form.",
    ),
    ("is missing the", "", "Add the missing columns, so that the text stands in every language."),
    ("machine-readable codes", "", "Write languages as “Farsi (fa)”."),
    ("being skipped", "type", "Fill in the row, or remove it."),
    ("is no longer supported", "type", "Remove the row."),
    ("'disabled' column", "disabled", "Use the column “relevant”."),
)
TYPES = (
    *("text", "integer", "decimal", "date", "time", "dateTime", "note", "calculate", "hidden", "barcode"),
    *("geopoint", "geotrace", "geoshape", "image", "audio", "video", "file", "range", "acknowledge"),
    *("start", "end", "today", "deviceid", "username", "phonenumber", "email", "audit"),
    *("select_one", "select_multiple", "rank", "begin_group", "end_group", "begin_repeat", "end_repeat"),
)
MEANT = {
    **dict.fromkeys(("number", "numeric", "num", "whole number"), "integer or decimal"),
    **dict.fromkeys(("float", "double", "real"), "decimal"),
    **dict.fromkeys(("tel", "phone", "phone number", "textarea", "paragraph", "multiline", "url"), "text"),
    **dict.fromkeys(("picture", "signature", "drawing", "camera"), "image"),
    **dict.fromkeys(("dropdown", "radio", "choice", "single choice"), "select_one and the name of a list"),
    **dict.fromkeys(("checkbox", "checkboxes", "multiple choice"), "select_multiple and the name of a list"),
    **dict.fromkeys(("label", "text only", "instruction", "html"), "note"),
    **dict.fromkeys(("formula", "calculation"), "calculate"),
    **dict.fromkeys(("gps", "location", "map"), "geopoint"),
}
"""Types of other tools."""
OTHER_FIX = "Correct this and upload the sheet again."


def of_error(error: BaseException, book: Workbook) -> tuple[Fault, ...]:
    """Return the faults that an exception of pyxform means, at least one."""
    code = getattr(getattr(error, "code", None), "name", "")
    text = CODES.get(code, "") if not getattr(error, "context", None) else ""
    text = text or (str(error) if type(error).__name__ in SPEAKING else _unspoken(error))
    parts = re.split(r"\n(?=\[row : |Instance names)", text)
    hint = next(_at_work(error.__traceback__, book), None)
    return tuple(of_message(part, book, hint) for part in parts)


SPEAKING = {"PyXFormError", "PyXFormReadError", "ValidationError"}
Place = tuple[Sheet, "Row | None"]


def of_message(text: str, book: Workbook, hint: Place | None = None) -> Fault:
    """Return one message of pyxform as a fault. hint: where it was reading, for a message that names no place."""
    if text.startswith("ODK Validate"):
        text = VALIDATE_FIELD.sub("", VALIDATE_REPEATS.sub("", VALIDATE_NOISE.sub("", text)))
    rest, number = _cut(ROW, re.sub(r"\n\s*\n+", "\n", text).strip())
    rest, sheet_name, column = _cut_sheet(rest, "survey" if number else "")
    message, _, advice = (ADVICE.sub("\0", LEARN_MORE.sub("", rest.split("\n{")[0])).strip()).partition("\0")
    known = next(((col, fix) for part, col, fix in FIXES if part.lower() in rest.lower()), ("", ""))
    column, fix = column or known[0], known[1] or advice or OTHER_FIX
    if wrong := UNKNOWN_TYPE.search(rest):
        fix = _type_fix(wrong[1].strip().lower()) or fix
    place: Place | None = hint
    if sheet_name in book:
        sheet = book[sheet_name]
        place = (sheet, _row(sheet, number))
    elif not number:
        place = _quoted(rest, book, column) or hint
    if (called := FUNCTION.search(rest)) and "survey" in book:
        place, column = _calling(called[1], book["survey"], place) or (place, column)
    return _fault(_renumbered(message, place), fix, place, column, number)


def _type_fix(wrong: str) -> str:
    """Return what to write for a type that pyxform does not know, "" when it cannot be guessed."""
    if wrong.startswith("select"):
        several = re.search("mult|all", wrong) is not None
        return (
            f"Write {'select_multiple' if several else 'select_one'} and the name of a list, such as yes_no."
        )
    known = {each.lower(): each for each in TYPES}
    meant = MEANT.get(wrong) or next((known[each] for each in get_close_matches(wrong, known, 1)), "")
    return f"Perhaps {meant} is meant." if meant else ""


def _unspoken(error: BaseException) -> str:
    return f"pyxform could not read the form ({type(error).__name__}: {str(error)[:200]})."


def _cut(pattern: re.Pattern[str], text: str) -> tuple[str, int]:
    match = pattern.search(text)
    return (text[: match.start()] + text[match.end() :], int(match[1])) if match else (text, 0)


def _cut_sheet(text: str, otherwise: str) -> tuple[str, str, str]:
    if match := SHEET.search(text):
        return text[: match.start()] + text[match.end() :], match[1], match[2] or ""
    if match := HEADERS_OF.search(text):
        return text[match.end() :], match[1], ""
    if match := MISSING_OF.search(text):
        return text, match[1], ""
    if "omit instanceID" in text:
        return text, "settings", ""
    return text, otherwise, ""


def _row(sheet: Sheet, number: int) -> Row | None:
    """Return pyxform's row: its 2 is our first row, whatever number that has. Settings have one row."""
    number = 2 if sheet.name.lower() == "settings" else number
    return sheet.rows[number - 2] if 2 <= number < len(sheet.rows) + 2 else None


def _quoted(text: str, book: Workbook, column: str) -> Place | None:
    """Return the first place of a name that the message quotes: the row named so, else a cell that holds it."""
    names = ["".join(groups) for groups in QUOTED.findall(text)]
    names += [path.rpartition("/")[2] for path in PATH.findall(text)]
    sheets = [
        book[name]
        for name in (("choices", "survey") if "Choice names" in text else ("survey",))
        if name in book
    ]
    for name in names:
        for sheet in sheets:
            if (row := survey_rows.by_name(sheet, name)) and column != "type":
                return sheet, row
        for sheet, row, _ in survey_rows.holding(book, name):
            return sheet, row
    return None


def _calling(function: str, survey: Sheet, place: Place | None) -> tuple[Place, str] | None:
    """Return the first cell that calls a function, in the row that is known or in any."""
    rows = [place[1]] if place and place[1] else survey.rows
    calls = re.compile(rf"(?<![\w-]){re.escape(function)}\s*\(")
    found = ((row, column) for row in rows for column, cell in row.cells.items() if calls.search(cell))
    return next((((survey, row), column) for row, column in found), None)


def _at_work(traceback: TracebackType | None, book: Workbook) -> Iterator[Place]:
    """Yield the rows that pyxform was at, the innermost first."""
    for frame, _ in reversed(list(walk_tb(traceback))):
        known = frame.f_locals
        sheet = book.get(str(known.get("sheet_name", "survey")))
        if sheet is None:
            continue
        if isinstance(number := known.get("row_number"), int) and (row := _row(sheet, number)):
            yield sheet, row
        for held in map(known.get, ("self", "element", "survey_element", "question", "d", "kwargs")):
            name = held.get("name") if isinstance(held, dict) else getattr(held, "name", None)
            if isinstance(name, str) and (row := survey_rows.by_name(sheet, name)):
                yield sheet, row


def _renumbered(message: str, place: Place | None) -> str:
    if place is None:
        return message

    def own(match: re.Match[str]) -> str:
        row = _row(place[0], int(match[1]))
        return str(row.number) if row else match[1]

    return OTHER_ROW.sub(own, message)


def _fault(message: str, fix: str, place: Place | None, column: str, number: int) -> Fault:
    if place is None:
        return Fault(message, fix, row=number or None)
    sheet, row = place
    shown = survey_rows.header(sheet, column) if column else ""
    text = row.cells.get(shown, "") if row and shown else ""
    message = message if message.endswith((".", "!", "?")) else f"{message}."
    if text and text not in message:
        message = f"“{text[:CELL_CHARS_MAX]}”: {message}"
    return Fault(message, fix, sheet.name, row.number if row else sheet.header_row, shown or column)
