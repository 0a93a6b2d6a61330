"""The bundled questionnaires: the sheets, their translations, choices and lists, as a form author must have them.

Source of the rules: docs/sheets.md.
"""

from __future__ import annotations

import csv
import re
import shutil
from collections import Counter
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest
from openpyxl import load_workbook
from pyxform.xls2xform import convert

from server.publishing import BUNDLED

SHEETS = Path(__file__).parents[1] / "forms" / "sheets"
FORMS = (
    "flow_monitoring_registry",
    "flow_monitoring_survey",
    "protection_needs_assessment",
    "referral_follow_up",
)
MEDIA = ("admin1", "crossings", "enumerators", "nationalities", "services")
LANGUAGES = ("English (en)", "Farsi (fa)", "Dari (prs)", "Pashto (ps)")
TEXT_COLUMNS = ("label", "hint", "constraint_message", "required_message")
UNLABELLED = {
    "start",
    "end",
    "today",
    "deviceid",
    "username",
    "audit",
    "calculate",
    "end_group",
    "end_repeat",
}
SILENT = UNLABELLED | {"note", "begin_group", "begin_repeat"}
"""Rows that nobody answers."""

ARABIC_ONLY = set("يىكة٠١٢٣٤٥٦٧٨٩")
PASHTO_ONLY = set("ټډړږښګڼېۍځڅ")

CODES = {
    name: codes.split()
    for name, codes in (
        line.split(": ")
        for line in """\
age_basis: document stated estimated
asset_left: deposit wages bank vehicle_tools household property none prefer_not
assist_from: iom unhcr other_un red_crescent government ngo community dont_know
care_status: parents relative unrelated_adult alone prefer_not
case_status: open on_hold transferred closed
choice_degree: no_choice very_little some free prefer_not
close_reason: needs_met left_area lost_contact withdrew transferred deceased duplicate
closure: open partly_closed closed
confidence: high medium low
consent: yes no later
contact_way: phone message relative visit no_contact
coping: borrow sell less_food skip_care child_work beg none prefer_not
ct_sign: deceived docs_kept no_pay debt not_free forced_work threats hours no_contact none prefer_not
direction: leaving_iran entering_iran
doc_loss: never_had confiscated lost expired left_behind dont_know prefer_not
doc_type: e_tazkira paper_tazkira passport amayesh headcount residence birth_cert marriage_cert exit_paper por_acc none other prefer_not
education: none religious primary secondary vocational university prefer_not
feel: calm tired anxious distressed
fu_result: interviewed proxy provider_report not_reached refused
incident: detention violence theft extortion docs_taken wages_unpaid assets_lost separated threat kidnap denied_care harsh none prefer_not
intend_stay: lt_1w w1_m3 m3_12 gt_1y permanent dont_know prefer_not
intent: stay move_inside return_iran third undecided prefer_not
ki_type: border_official transport_worker aid_worker trader traveller other
lang: fa prs ps bal ur ar ku az_tr uz_tk en other
legal_status: amayesh passport_visa residence work_permit headcount expired none national dont_know prefer_not
marital: single married widowed divorced prefer_not
method: observation key_informant official_record mixed
need: food water hygiene shelter nfi clothes health medicine mhpss cash transport documents legal family_link child_safe women_space safety disability phone information education livelihood none other
party: alone family group part_family
present: nobody family children authority others controller
reason: deportation spontaneous_return assisted_return legal_status work seasonal_work trade family_visit family_reunion health education pilgrimage tourism unsafe disaster transit other dont_know prefer_not
ref_status: consented sent accepted in_progress completed declined_person declined_provider unreachable cancelled
refuse_why: no_time no_trust no_benefit unwell language other
relation: head spouse child parent sibling grandchild in_law other_relative unrelated
return_type: deported coerced spontaneous assisted not_return dont_know prefer_not
satisf: very_useful useful little not_useful prefer_not
sector_work: construction industry farm services domestic waste transport other prefer_not
sep_reason: deported_apart detained hospital legal_stay work_wages lost own_choice dont_know prefer_not
service: registration meal overnight med_screen emerg_health mhpss child_case family_trace gbv_service ct_assist legal_doc asylum cash cash_protection nfi_kit hygiene_kit onward shelter_help disability_help substance_help education livelihood helpline other
sex: female male not_stated
share_with: none_outside service_provider un_partners
shift: morning afternoon night
site: crossing reception transit vehicle household phone
stay_len: lt_1m m1_6 m6_12 y1_5 y5_20 gt_20y born dont_know prefer_not
target_group: returnee migrant transit stranded refugee idp host
transport: on_foot authority_bus bus minibus_van car_taxi truck_pickup motorcycle train ferry_ship small_boat plane other
urgency: immediate h72 d14 d30
vuln: UMC SEPC CHH SP FHH SF PLW MC CI PD UAE MH DA DF PF FSEP NODOC STL TIP SUR RNR SC none
wg: no_diff some_diff lot_diff cannot prefer_not
work_status: casual regular own unpaid looking student home unable prefer_not
yn: yes no
yndp: yes no dont_know prefer_not""".splitlines()
    )
}

Row = dict[str, str]
"""One row of a sheet by its headers, empty cells as ""; `row` is the number the spreadsheet shows."""


@cache
def rows(form: str, sheet: str) -> tuple[Row, ...]:
    """Return the rows of one sheet that are not empty."""
    lines = load_workbook(SHEETS / f"{form}.xlsx")[sheet].iter_rows(values_only=True)
    headers = [str(header) for header in next(lines)]
    return tuple(
        dict(zip(headers, ("" if cell is None else str(cell) for cell in line), strict=True))
        for line in lines
        if any(line)
    )


@cache
def media(name: str) -> tuple[Row, ...]:
    """Return the rows of one list that tablets download."""
    with (SHEETS / "media" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))


def list_columns(name: str) -> set[str]:
    """Return the columns of a list that tablets download; `cases` is made of what the assessment saves."""
    if name == "cases":
        return {"name", "label"} | {row["save_to"] for row in rows("protection_needs_assessment", "survey")}
    return set(media(name)[0])


def kind(row: Row) -> str:
    return row["type"].split()[0]


def texts(form: str, language: str) -> list[str]:
    """Return every text of one language, each `${name}` as an ellipsis."""
    cells = [
        text
        for sheet in ("survey", "choices")
        for row in rows(form, sheet)
        for column, text in row.items()
        if column.endswith(f"::{language}") and text
    ]
    return [re.sub(r"\$\{\w+\}", "…", text) for text in cells]


def by_name(form: str) -> dict[str, Row]:
    return {row["name"]: row for row in rows(form, "survey")}


def answers(form: str, question: str) -> set[str]:
    """Return the codes that a select may hold."""
    _, source, *_ = by_name(form)[question]["type"].split()
    if source.endswith(".csv"):
        return {row["name"] for row in media(source.removesuffix(".csv"))}
    return set(CODES[source])


every_form = pytest.mark.parametrize("form", FORMS)


@every_form
def test_sheet_compiles_without_a_warning_and_its_own_columns_stay_out(form: str) -> None:
    warnings: list[str] = []
    xform = convert(SHEETS / f"{form}.xlsx", warnings=warnings).xform
    assert warnings == []
    assert "chapar" not in xform
    assert f'id="{form}"' in xform
    assert 'version="2026112201"' in xform


@every_form
@pytest.mark.skipif(shutil.which("java") is None, reason="ODK Validate is a Java program")
def test_sheet_passes_odk_validate(form: str) -> None:
    warnings: list[str] = []
    convert(SHEETS / f"{form}.xlsx", warnings=warnings, validate=True)
    assert warnings == []


def test_counts_may_be_corrected_on_the_tablet_and_interviews_may_not() -> None:
    editable = [form for form in FORMS if "client-editable" in convert(SHEETS / f"{form}.xlsx").xform]
    assert editable == ["flow_monitoring_registry"]


@every_form
def test_names_are_unique_and_short_enough_for_every_statistics_program(form: str) -> None:
    names = Counter(row["name"] for row in rows(form, "survey"))
    assert [name for name, times in names.items() if times > 1] == []
    assert [name for name in names if not re.fullmatch(r"[a-z][a-z0-9_]{0,31}", name)] == []


@every_form
def test_whatever_a_person_reads_is_there_in_four_languages(form: str) -> None:
    missing = []
    for row in rows(form, "survey"):
        shown = {"label"} if kind(row) not in UNLABELLED else set()
        shown |= {column.split("::")[0] for column, text in row.items() if "::" in column and text}
        for column in shown & set(TEXT_COLUMNS):
            missing += [(row["name"], column, lang) for lang in LANGUAGES if not row[f"{column}::{lang}"]]
    for row in rows(form, "choices"):
        missing += [(row["list_name"], row["name"], lang) for lang in LANGUAGES if not row[f"label::{lang}"]]
    assert missing == []


@every_form
def test_every_constraint_says_what_is_wanted(form: str) -> None:
    mute = [
        row["name"]
        for row in rows(form, "survey")
        if bool(row["constraint"]) != bool(row["constraint_message::English (en)"])
    ]
    assert mute == []


@every_form
@pytest.mark.parametrize("language", ["Farsi (fa)", "Dari (prs)"])
def test_farsi_and_dari_use_persian_letters_and_digits(form: str, language: str) -> None:
    wrong = [text for text in texts(form, language) if set(text) & (ARABIC_ONLY | PASHTO_ONLY)]
    assert wrong == []


@every_form
def test_pashto_uses_pashto_letters_and_no_arabic_kaf_or_persian_gaf(form: str) -> None:
    pashto = texts(form, "Pashto (ps)")
    assert [text for text in pashto if set(text) & set("كىةگ٠١٢٣٤٥٦٧٨٩")] == []
    with_pashto_letters = [text for text in pashto if set(text) & PASHTO_ONLY]
    assert len(with_pashto_letters) > len(pashto) / 2


@every_form
@pytest.mark.parametrize("language", LANGUAGES[1:])
def test_no_translation_is_left_in_latin_letters_or_digits(form: str, language: str) -> None:
    latin = [text for text in texts(form, language) if not re.search(r"[\u0620-\u06ff]", text)]
    assert latin == []
    assert [text for text in texts(form, language) if re.search(r"[0-9]", text)] == []
    assert [text for text in texts(form, language) if re.search(r"\s\u200c|\u200c\s|  ", text)] == []


@every_form
def test_translations_insert_the_same_answers_as_the_english(form: str) -> None:
    different = []
    for row in rows(form, "survey"):
        for column in TEXT_COLUMNS:
            inserted = [
                Counter(re.findall(r"\$\{\w+\}", row.get(f"{column}::{lang}", ""))) for lang in LANGUAGES
            ]
            different += [(row["name"], column)] * any(one != inserted[0] for one in inserted)
    assert different == []


@every_form
def test_flags_are_known_letters_and_required_follows_them(form: str) -> None:
    for row in rows(form, "survey"):
        flags = row["chapar::flags"].split()
        assert set(flags) <= set("RMHQPSGDU"), row["name"]
        assert len(flags) == len(set(flags)), row["name"]
        asked = kind(row) not in SILENT
        assert (row["required"] == "yes") == (asked and "R" in flags), row["name"]


@every_form
def test_every_repeat_names_its_row_with_a_key_made_once(form: str) -> None:
    survey = rows(form, "survey")
    for row, first in pairwise(survey):
        if kind(row) != "begin_repeat":
            assert row["chapar::key"] == "", row["name"]
            continue
        assert row["chapar::key"] == first["name"] == f"{row['name']}_row"
        assert (first["type"], first["calculation"]) == ("calculate", "once(uuid())")


@every_form
def test_choice_lists_hold_exactly_the_agreed_codes(form: str) -> None:
    held: dict[str, list[str]] = {}
    for row in rows(form, "choices"):
        held.setdefault(row["list_name"], []).append(row["name"])
    used = {
        row["type"].split()[1]
        for row in rows(form, "survey")
        if kind(row) in ("select_one", "select_multiple")
    }
    assert held == {name: CODES[name] for name in used}


@every_form
def test_every_code_in_an_expression_is_an_answer_of_its_question(form: str) -> None:
    compared = re.compile(r"\$\{(\w+)\}\s*(?:!?=|,)\s*'(\w+)'")
    pairs = {pair for row in rows(form, "survey") for cell in row.values() for pair in compared.findall(cell)}
    selects = {pair for pair in pairs if kind(by_name(form)[pair[0]]).startswith("select")}
    assert len(selects) > 10
    assert [(name, code) for name, code in sorted(selects) if code not in answers(form, name)] == []


@every_form
def test_every_list_filter_names_a_column_of_its_file(form: str) -> None:
    for row in rows(form, "survey"):
        if kind(row) != "select_one_from_file":
            continue
        file = row["type"].split()[1].removesuffix(".csv")
        columns = re.findall(r"(?<![${\w])([a-z_]+)\s*!?=", row["choice_filter"])
        assert set(columns) <= list_columns(file), row["name"]


def test_times_are_compared_as_numbers() -> None:
    """JavaRosa compares two times by their dates: always equal, so that `. > ${slot_start}` refuses every end."""
    form = "flow_monitoring_registry"
    times = [row["name"] for row in rows(form, "survey") if row["type"] == "time"]
    assert times == ["slot_start", "slot_end"]
    assert by_name(form)["slot_end"]["constraint"].startswith("decimal-time(.) > decimal-time(${slot_start})")
    cells = [cell for row in rows(form, "survey") for cell in row.values()]
    bare = [cell for cell in cells if re.search(r"(?<!decimal-time\()\$\{slot_(start|end)\}(?! = '')", cell)]
    assert bare == []


@pytest.mark.parametrize("form", ["protection_needs_assessment", "referral_follow_up"])
def test_what_every_tablet_downloads_of_a_case_is_never_personal_sensitive_or_gbv(form: str) -> None:
    saved = {
        row["save_to"]: set(row["chapar::flags"].split()) for row in rows(form, "survey") if row["save_to"]
    }
    assert {"urgency", "need_1", "status", "next_on"} <= set(saved)
    assert {name for name, flags in saved.items() if flags & set("PSG")} == set()
    (entity,) = rows(form, "entities")
    shown = re.findall(r"\$\{(\w+)\}", entity.get("label", ""))
    assert [name for name in shown if set(by_name(form)[name]["chapar::flags"].split()) & set("PSG")] == []


@every_form
def test_the_name_of_a_record_tells_nothing_about_a_person(form: str) -> None:
    (settings,) = rows(form, "settings")
    named = re.findall(r"\$\{(\w+)\}", settings["instance_name"])
    assert named
    flags = [flag for name in named for flag in by_name(form)[name]["chapar::flags"].split()]
    assert set(flags) & set("PQSG") == set()


def inside(form: str, group: str) -> list[str]:
    """Return the names of the rows from a group's first to its last."""
    names = [row["name"] for row in rows(form, "survey")]
    return names[names.index(group) : names.index(f"{group}_end") + 1]


@pytest.mark.parametrize(
    ("form", "group", "consent", "observed"),
    [
        ("protection_needs_assessment", "pna", "${p_consent}='yes'", set()),
        (
            "flow_monitoring_survey",
            "main",
            "${eligible}=1 and ${consent}='yes'",
            {"resp_sex", "resp_age"},
        ),
    ],
)
def test_without_consent_nothing_about_a_person_is_asked(
    form: str, group: str, consent: str, observed: set[str]
) -> None:
    assert by_name(form)[group]["relevant"] == consent
    outside = set(by_name(form)) - set(inside(form, group))
    telling = {name for name in outside if set(by_name(form)[name]["chapar::flags"].split()) & set("PSGQ")}
    assert telling == observed


def test_survey_asks_of_violence_only_adults_in_private_and_of_detention_never_before_authorities() -> None:
    survey = by_name("flow_monitoring_survey")
    assert survey["safe"]["relevant"] == "selected(${who_hears},'nobody') and ${resp_age} >= 18"
    assert {"incidents", "ct_signs"} <= set(inside("flow_monitoring_survey", "safe"))
    for listener in ("authority", "controller"):
        assert f"selected(${{who_hears}},'{listener}')" in survey["detained"]["relevant"]
    assert survey["detained_days"]["relevant"] == "${detained}='yes'"


def test_survey_is_anonymous_and_its_link_to_a_case_is_never_exported_by_default() -> None:
    flags = {
        name: set(row["chapar::flags"].split()) for name, row in by_name("flow_monitoring_survey").items()
    }
    assert [name for name, letters in flags.items() if "P" in letters] == []
    assert "S" in flags["card_code"]
    assert "Q" in flags["soft_key"]


def test_follow_up_asks_about_services_only_with_consent_or_from_the_provider() -> None:
    relevant = by_name("referral_follow_up")["rfu"]["relevant"]
    assert relevant == "${fu_consent}='yes' or ${fu_result}='provider_report'"


def test_all_four_are_published_at_the_first_start() -> None:
    assert sorted(path.stem for path in BUNDLED.glob("*.xlsx")) == sorted(FORMS)


@pytest.mark.parametrize("name", MEDIA)
def test_list_for_tablets_has_unique_names_and_labels_in_two_scripts(name: str) -> None:
    text = (SHEETS / "media" / f"{name}.csv").read_bytes().decode("utf-8")
    assert not text.startswith("\ufeff")
    names = Counter(row["name"] for row in media(name))
    assert set(names.values()) == {1}
    assert [
        row["name"]
        for row in media(name)
        if not re.fullmatch(r".*[A-Za-z].* · .*[\u0620-\u06ff].*", row["label"])
    ] == []
    assert [row["name"] for row in media(name) if set(row["label"]) & ARABIC_ONLY] == []


def test_lists_for_tablets_refer_only_to_rows_that_exist() -> None:
    countries = {row["name"] for row in media("nationalities")}
    provinces = {row["name"] for row in media("admin1")}
    assert {row["country"] for row in media("admin1")} == {"IRN", "AFG"} <= countries
    assert {row["country"] for row in media("crossings")} - {""} <= countries
    assert {row["province_pcode"] for row in media("crossings")} <= provinces
    assert {row["service"] for row in media("services")} == set(CODES["service"]) - {"other"}


def test_every_crossing_has_four_badges_so_that_the_forms_can_be_filled_there() -> None:
    badges = Counter(row["crossing_id"] for row in media("enumerators"))
    assert set(badges) == {row["name"] for row in media("crossings")}
    assert min(badges.values()) >= 4


@every_form
def test_workbook_opens_with_header_frozen_and_persian_running_right_to_left(form: str) -> None:
    book = load_workbook(SHEETS / f"{form}.xlsx")
    assert "DRAFT" in str(book["README"]["A2"].value)
    for sheet in (book["survey"], book["choices"]):
        assert sheet.freeze_panes == "C2"
        for header in sheet[1]:
            alignment = sheet.cell(8, header.column).alignment
            right_to_left = str(header.value).endswith(("(fa)", "(prs)", "(ps)"))
            assert (alignment.readingOrder == 2) == right_to_left, header.value
            assert alignment.wrap_text
