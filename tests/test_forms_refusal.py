"""A form that asks for money, passwords, bank data or biometrics is made only from a sheet that says why."""

from __future__ import annotations

import commands
import pytest
from checking import SETTINGS, YN, survey
from conftest import Live

from forms.compile import compile_book, compile_form
from forms.errors import FormError
from forms.workbook import read
from server import publishing

COLUMNS = "type | name | label | chapar::why"
FEE = survey(COLUMNS, "text | a | A |", "integer | fee | What did the driver take? |", more=SETTINGS)
EXPLAINED = FEE.replace("take? |", "take? | Fares are published per route, no person is named. |")


def xform(sheet: str) -> bytes:
    """Return the XForm of a sheet, whatever it asks for."""
    return compile_book(read(sheet.encode(), "visit.md"), "visit").xform


def test_a_sheet_is_refused_at_the_row_of_the_question():
    with pytest.raises(FormError) as refused:
        compile_form(FEE.encode(), "visit.md")
    (fault,) = refused.value.faults
    assert (fault.sheet, fault.row, fault.column) == ("survey", 3, "name")
    assert "chapar::why" in fault.fix


def test_a_reason_in_the_sheet_lets_the_question_pass_and_stays_there():
    done = compile_form(EXPLAINED.encode(), "visit.md")
    assert "/fee" in done.schema.by_path
    assert b"Fares" not in done.xform


@pytest.mark.parametrize(
    "row",
    [
        "integer | x | How much money do you have? |",
        "text | pin | Code |",
        "text | x | IBAN |",
        "image | x | Fingerprint |",
        "select_one yn | x | آیا رشوه دادید؟ |",
    ],
)
def test_an_xform_with_such_a_question_is_not_published(row):
    xml = xform(survey(COLUMNS, row, more=YN + SETTINGS))
    with pytest.raises(FormError) as refused:
        publishing.read_form(xml, "visit.xml")
    assert "/x: " in str(refused.value) or "/pin: " in str(refused.value)


@pytest.mark.parametrize(
    "row",
    [
        "note | x | Nobody may ask for money. |",
        "select_one yn | x | I said that nobody may ask for money |",
        "calculate | fee | | | 1",
        "text | x | Sélectionnez le pays |",
    ],
)
def test_an_xform_without_one_is_read(row):
    sheet = survey(f"{COLUMNS} | calculation", row, more=YN + SETTINGS)
    sheet = sheet.replace("| label |", "| label::French (fr) |") if "pays" in row else sheet
    assert publishing.read_form(xform(sheet), "visit.xml").schema.form_id == "visit"


def test_the_door_and_the_command_refuse_it_alike(live: Live, admin, tmp_path):
    answer = live.client.post(
        f"{live.url}/v1/projects/1/forms",
        content=FEE.encode(),
        auth=admin,
        headers={"Content-Type": "text/markdown"},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, 400.8)
    assert [fault["row"] for fault in answer.json()["details"]["faults"]] == [3]

    sheet = tmp_path / "visit.md"
    sheet.write_text(FEE, encoding="utf-8")
    publish = ["forms", "publish", str(sheet), "--data", str(tmp_path / "data")]
    done = commands.run(*publish)
    assert done.returncode == 1
    assert "sheet “survey”, row 3, column “name”: The question asks about money" in done.stderr
    sheet.write_text(EXPLAINED, encoding="utf-8")
    assert commands.run(*publish).returncode == 0
