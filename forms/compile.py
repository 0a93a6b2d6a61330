"""XLSForm to XForm: the sheet as its designer saved it becomes the form that tablets load, and its typed schema.

The only module that calls pyxform (half a second to import, so it is imported at the first use). Every refusal
names sheet, row, column and what to do. The same sheet gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from forms import check_sheet, marks, odk_validate, pyxform_faults, refusal, sheet_checks, workbook, xform
from forms.errors import Fault, FormError
from forms.schema import FormSchema
from forms.workbook import Workbook
from forms.xform import SheetMarks


@dataclass(frozen=True)
class CompiledForm:
    """A sheet compiled.

    xform: UTF-8. schema: with the marks on it. marks: to store beside the XForm, for `forms.xform.read`.
    itemsets: the file `itemsets.csv` to attach, of a sheet with external choices; empty otherwise.
    """

    xform: bytes
    schema: FormSchema
    marks: SheetMarks
    warnings: tuple[Fault, ...] = ()
    itemsets: bytes = b""


def compile_form(data: bytes, file_name: str, *, validate: bool = False) -> CompiledForm:
    """Return the form of an XLSForm file (.xlsx, .xls, .csv, .md). Raises FormError, and nothing else.

    A form that asks for money, passwords, bank data or biometrics without a reason is refused.
    The form's id comes from its settings, else from the file's name.
    validate: also ask ODK Validate, which needs Java and a second or two; without Java it is left out with a warning.
    """
    book = workbook.read(data, file_name)
    compiled = compile_book(book, PurePath(file_name).stem, validate=validate)
    refusal.refuse_sheet(book)
    return compiled


def compile_book(book: Workbook, stem: str, *, validate: bool = False) -> CompiledForm:
    """Return the form of a workbook already read, whatever it asks for.

    stem: the form's id when the settings name none, as far as an id can be made of it.
    """
    stem = sheet_checks.form_id_of(stem) or stem
    plain = marks.removed(book)
    sheet_checks.check_questions(plain)
    sheet_checks.check_headers(plain)
    sheet_checks.check_names(plain)
    converted, said = _convert(plain, stem)
    xml = converted.xform.encode()
    schema = _read(xml)
    sheet_checks.check_form_id(schema, book)
    sheet_checks.check_expressions(schema, book)
    found = marks.collect(book, schema)
    warnings = [pyxform_faults.of_message(text, plain) for text in said]
    warnings += sheet_checks.warnings(schema, book)
    warnings += _validated(xml, plain) if validate else ()
    itemsets = (converted.itemsets or "").encode()
    return CompiledForm(xml, xform.read(xml, found), found, tuple(warnings), itemsets)


def _convert(book: Workbook, stem: str) -> tuple[Any, list[str]]:
    from pyxform.xls2xform import convert

    said: list[str] = []
    try:
        return convert(_definition(book, stem), warnings=said), said
    except RecursionError:
        raise FormError(
            Fault("Groups are nested too deeply.", "Use fewer groups inside one another.")
        ) from None
    except Exception as error:  # noqa: BLE001 (pyxform raises KeyError, TypeError, … for sheets it did not expect)
        raise FormError(*pyxform_faults.of_error(error, book)) from None


def _definition(book: Workbook, stem: str) -> dict[str, Any]:
    """Return the workbook as pyxform takes it in memory."""
    definition: dict[str, Any] = {
        "sheet_names": [sheet.name for name, sheet in book.items() if name != check_sheet.SHEET],
        "fallback_form_name": stem,
    }
    for name in workbook.SHEETS:
        if name != check_sheet.SHEET and (sheet := book.get(name)):
            definition[name] = [dict(row.cells) for row in sheet.rows]
            definition[f"{name}_header"] = [dict.fromkeys(sheet.headers)] if sheet.headers else []
    return definition


def _read(xml: bytes) -> FormSchema:
    try:
        return xform.read(xml)
    except FormError as error:
        faults = (
            replace(fault, message=f"pyxform made no readable form. {fault.message}")
            for fault in error.faults
        )
        raise FormError(*faults) from None


def _validated(xml: bytes, book: Workbook) -> list[Fault]:
    """Return what ODK Validate remarks. Raises FormError for what it refuses."""
    try:
        said = odk_validate.validate(xml)
    except odk_validate.Refused as error:
        raise FormError(pyxform_faults.of_message(f"ODK Validate Errors:\n{error}", book)) from None
    except TimeoutError:
        return [Fault("ODK Validate took too long.", "Make the form smaller, or test it on a tablet.")]
    except OSError:
        return [
            Fault("ODK Validate did not run: Java is missing.", "Install Java, or test the form on a tablet.")
        ]
    return [pyxform_faults.of_message(f"ODK Validate Warnings:\n{said}", book)] if said else []
