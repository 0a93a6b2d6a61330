"""What no form may ask for without a reason: money, passwords, bank data, biometrics. Such a form is not made.

`chapar::why` in a sheet is the reason; an XForm has no place for one.
"""

from __future__ import annotations

from forms.check import design, privacy, wording
from forms.errors import Fault, FormError
from forms.schema import Field, FormSchema
from forms.workbook import Workbook

CLOSED = frozenset({"select1", "select", "trigger"})


def refuse_sheet(book: Workbook) -> None:
    """Refuse a sheet with such a question. Raises FormError with the place of every one."""
    if faults := [
        Fault(spot.message, spot.fix, spot.sheet, spot.row, spot.column)
        for spot in privacy.refused(design.read(book))
    ]:
        raise FormError(*faults)


def refuse_xform(schema: FormSchema) -> None:
    """Refuse an XForm with such a question. Raises FormError with the path of every one."""
    fix = "Remove the question, or publish the form as a sheet that says in chapar::why why it must be asked."
    if faults := [
        Fault(f"{field.path}: {message}", fix) for field in schema.fields if (message := _refused(field))
    ]:
        raise FormError(*faults)


def _refused(field: Field) -> str:
    if not field.control or field.readonly == "true()":
        return ""
    if field.mediatype.startswith("image") and wording.takes_a_face(field.appearance):
        return wording.FACE
    found = wording.asked_for(wording.REFUSED, field.label, field.name)
    if found is None or (field.control in CLOSED and wording.says_nobody(field.label)):
        return ""
    return wording.not_without_reason(found[0])
