"""The check as a whole: every rule documented, broken by its example and kept by a sound form; bad files; size."""

from __future__ import annotations

import io
import re
import time
from pathlib import Path

import openpyxl
import pytest
from checking import SETTINGS, YN, found, rows, survey

from forms.check.check import RULES, check_form
from forms.check.finding import Severity

DOCS = (Path(__file__).parent.parent / "docs" / "checks.md").read_text(encoding="utf-8")
SHEETS = Path(__file__).parent.parent / "forms" / "sheets"
CHAPTER = re.compile(r"### `([\w-]+)` · (\w+)\n([^\n]+)\n(?:```\n(.*?)```)?", re.DOTALL)
CHAPTERS = CHAPTER.findall(DOCS)
SOUND = """
| survey |
| | type | name | label::English (en) | label::Farsi (fa) | relevant | constraint | calculation | required | appearance | repeat_count | choice_filter | chapar::flags | chapar::key |
| | start | start | | | | | | | | | | M | |
| | select_one town | town | Town | شهر | | | | yes | minimal | | province = 'north' | R | |
| | select_multiple need | needs | Needs | نیازها | | not(selected(., 'none') and count-selected(.) > 1) | | | | | | | |
| | text | head | Name | نام | ${town} = 'a' | | | | | | | P U | |
| | integer | size | Size | اندازه | | . >= 1 and . <= 30 and . >= count(${member}) | | | | | | | |
| | begin_repeat | member | Member | عضو | | | | | | ${size} | | | member_row |
| | calculate | member_row | | | | | once(uuid()) | | | | | | |
| | select_one fear | fear | Are you afraid? | آیا می‌ترسید؟ | | | | yes | | | | S U | |
| | end_repeat | | | | | | | | | | | | |
| | calculate | many | | | | | if(${size} > 9, 1, 0) | | | | | | |
| | note | told | There are ${size} of you. UNHCR | شما ${size} نفر هستید. | | | | | | | | | |
| choices |
| | list_name | name | label::English (en) | label::Farsi (fa) | province |
| | town | a | Harbour | بندر | north |
| | town | b | Hill | تپه | north |
| | need | water | Water | آب | |
| | need | none | None | هیچ | |
| | fear | yes | Yes | بله | |
| | fear | prefer_not | Prefer not to say | ترجیح می‌دهم نگویم | |
| settings |
| | form_title | form_id | version | default_language | instance_name | client_editable |
| | Visit | visit | 7 | English (en) | concat(${town}, ${size}) | yes |
"""


def test_every_rule_is_documented_with_its_severity_and_sentence():
    documented = [(name, severity, sentence) for name, severity, sentence, _ in CHAPTERS]
    assert documented == [(rule.name, rule.severity.value, rule.sentence) for rule in RULES]


@pytest.mark.parametrize(
    ("rule", "example"), [pytest.param(each[0], each[3], id=each[0]) for each in CHAPTERS if each[3]]
)
def test_the_example_of_a_rule_breaks_it_and_the_sound_form_does_not(rule, example):
    [*_, finding] = found(example, rule)
    assert finding.message
    assert finding.fix
    assert finding.row is not None or rule == "duration"
    assert rule == "duration" or found(SOUND, rule) == []


def test_a_sound_form_gives_only_the_estimate_of_its_duration():
    assert [finding.rule for finding in check_form(SOUND.encode(), "visit.md")] == ["duration"]


@pytest.mark.parametrize("sheet", sorted(SHEETS.glob("*.xlsx")), ids=lambda path: path.stem)
def test_the_bundled_sheets_have_no_error(sheet):
    severe = [each for each in check_form(sheet.read_bytes(), sheet.name) if each.severity != Severity.HINT]
    assert {(each.rule, each.text) for each in severe} <= {("repeat-can-shrink", "${hh_size}")}


def test_a_sheet_that_does_not_compile_is_checked_all_the_same():
    sheet = survey("type | name | label", "intger | a | A", "text | b | Full name")
    assert rows(sheet, "compile-error") == [2]
    assert rows(sheet, "personal-data-unflagged") == [3]


def test_one_mistake_is_told_once():
    sheet = survey("type | name | label | relevant", "integer | age | Age |", "text | a | A | ${aeg} > 1")
    errors = [each for each in check_form(sheet.encode(), "x.md") if each.severity == Severity.ERROR]
    assert [(each.rule, each.row, each.column, each.text) for each in errors] == [
        ("unknown-reference", 3, "relevant", "${aeg} > 1")
    ]
    assert errors[0].fix == "Perhaps ${age} is meant."


@pytest.mark.parametrize(
    "data", [b"", b"PK\x03\x04broken", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"<html/>", b"a,b\n\xff\xfe"]
)
@pytest.mark.parametrize("suffix", ["xlsx", "xls", "csv", "md"])
def test_what_is_no_sheet_becomes_a_finding(data, suffix):
    errors = [each for each in check_form(data, f"f.{suffix}") if each.severity == Severity.ERROR]
    assert errors
    assert all(each.message and each.fix for each in errors)


def test_findings_come_in_the_order_of_sheets_and_rows():
    sheet = survey("type | name | label", "text | bB | Name", "text | aA | Phone", more=YN + SETTINGS)
    places = [(each.sheet, each.row) for each in check_form(sheet.encode(), "x.md")]
    assert places == [("survey", 2), ("survey", 2), ("survey", 3), ("survey", 3), ("choices", 2), ("", None)]


def test_without_java_the_missing_validation_is_a_hint(monkeypatch):
    monkeypatch.setenv("PATH", "")
    findings = check_form(SOUND.encode(), "visit.md", validate=True)
    assert [(each.rule, each.severity) for each in findings if each.rule != "duration"] == [
        ("not-validated", Severity.HINT)
    ]


def test_twenty_thousand_choices_are_checked_in_bounded_time_and_to_the_last():
    book = openpyxl.Workbook()
    book.active.title = "survey"
    book.active.append(["type", "name", "label::English (en)", "label::Farsi (fa)"])
    book.active.append(["select_one town", "town", "Town", "شهر"])
    choices = book.create_sheet("choices")
    choices.append(["list_name", "name", "label::English (en)", "label::Farsi (fa)"])
    for number in range(19_998):
        choices.append(["town", f"t{number}", f"Town {number}", f"شهر {number}"])
    choices.append(["town", "t7", "Last", "آخر"])
    file = io.BytesIO()
    book.save(file)
    begun_s = time.process_time()
    findings = check_form(file.getvalue(), "towns.xlsx")
    spent_s = time.process_time() - begun_s
    assert [each.row for each in findings if each.severity == Severity.ERROR] == [20_000]
    assert spent_s < 15  # 3 to 6 on an idle machine
