"""Rules about people's data and about the languages they read."""

from __future__ import annotations

import pytest
from checking import YN, found, rows, survey

LANGUAGES = "type | name | label::English (en) | label::Farsi (fa) | label::Dari (prs) | label::Pashto (ps)"


def question(kind: str, name: str, label: str, more: str = "", column: str = "label") -> str:
    return survey(
        f"type | name | {column} | chapar::flags | chapar::why", f"{kind} | {name} | {label} | {more}"
    )


@pytest.mark.parametrize(
    "label",
    [
        "Full name",
        "Mother's name",
        "نام و نام خانوادگی",
        "نام\u200cهای اعضا",
        "د کورنۍ نوم",
        "تخلص",
        "Phone",
        "شماره تماس",
        "د ټلیفون شمېره",
        "Passport number",
        "Number of the best document (optional)",
        "نمبر تذکره",
        "د تذکرې شمېره",
        "E-mail",
        "ایمیل",
        "Home address",
        "آدرس",
        "پته",
    ],
)
def test_words_for_personal_data_are_known_in_four_languages(label):
    sheet = question("text", "q", label)
    assert rows(sheet, "personal-data-unflagged") == [2]
    assert rows(question("text", "q", label, "P |"), "personal-data-unflagged") == []
    assert rows(question("text", "q", label, "| It is a shop's."), "personal-data-unflagged") == []


@pytest.mark.parametrize(
    "label",
    [
        "Comment (no names)",
        "Name of the village",
        "نام روستا",
        "د کلي نوم",
        "ثبت\u200cنام",
        "Number of people with documents",
        "Why did you choose this town?",
        "How do you address the problem?",
    ],
)
def test_words_that_name_no_person_are_left_alone(label):
    assert rows(question("text", "q", label), "personal-data-unflagged") == []


@pytest.mark.parametrize("name", ["phone_no", "full_name", "doc_no", "passport", "email"])
def test_a_name_tells_what_its_label_hides(name):
    [finding] = found(question("text", name, "Please write"), "personal-data-unflagged")
    assert (finding.column, finding.text) == ("name", name)


def test_a_position_is_personal_and_a_choice_is_not():
    assert rows(question("geopoint", "place", "Here"), "personal-data-unflagged") == [2]
    sheet = survey("type | name | label", "select_one yn | phone | Do you have a phone?", more=YN)
    assert rows(sheet, "personal-data-unflagged") == []


@pytest.mark.parametrize(
    "label",
    [
        "How much money do you carry?",
        "پول",
        "Did you pay?",
        "PIN",
        "Your password?",
        "رمز عبور",
        "Bank account number",
        "شماره حساب",
        "Take a fingerprint",
        "اثر انگشت",
        "بیومتریک",
        "Photo of the person",
    ],
)
def test_what_may_not_be_asked_is_refused_unless_the_sheet_says_why(label):
    assert rows(question("text", "q", label), "question-refused") == [2]
    assert rows(question("text", "q", label, "| Cash assistance, agreed."), "question-refused") == []
    assert rows(question("note", "q", label), "question-refused") == []


def test_a_promise_may_be_confirmed_but_not_asked_for():
    label = "I said that nobody may ask for money"
    sheet = survey("type | name | label", f"select_one yn | told | {label}", f"text | q | {label}", more=YN)
    assert rows(sheet, "question-refused") == [3]
    assert rows(question("text", "q", "Do they pay attention?"), "question-refused") == []


def test_the_reason_never_reaches_the_form():
    from forms.compile import compile_form

    done = compile_form(question("text", "q", "Bank", "| agreed with the donor").encode(), "x.md")
    assert b"agreed" not in done.xform


def test_a_calculation_hands_names_on_to_entities_and_record_names():
    sheet = survey(
        "type | name | label | calculation | chapar::flags | save_to",
        "text | head | Head | | P |",
        "calculate | title | | concat('x', ${head}) | |",
        "calculate | shown | | if(1 > 0, ${title}, '') | | title",
        "calculate | length | | string-length(${head}) | | length",
        more="| settings |\n| | instance_name |\n| | ${shown} |\n| entities |\n| | list_name | label |\n| | c | ${title} |\n",
    )
    assert rows(sheet, "personal-data-copied") == [3, 4]
    assert [(each.sheet, each.row) for each in found(sheet, "entity-restricted")] == [
        ("survey", 4),
        ("entities", 2),
    ]
    assert rows(sheet, "record-name-restricted") == [2]


def test_missing_translations_are_counted_with_their_rows():
    sheet = survey(LANGUAGES, "text | a | A | آ | آ | آ", "text | b | B | | ب |", "text | c | C | | ج | ج")
    assert [(each.column, each.message) for each in found(sheet, "translation-missing")] == [
        ("label::Farsi (fa)", "2 of 3 texts have no Farsi (fa): row 3, 4."),
        ("label::Pashto (ps)", "1 of 3 texts have no Pashto (ps): row 3."),
    ]


def test_hints_and_messages_are_translated_too():
    sheet = survey(
        "type | name | label::English (en) | label::Farsi (fa) | hint::English (en)",
        "text | a | A | آ | Hint",
    )
    assert [each.column for each in found(sheet, "translation-missing")] == ["hint::Farsi (fa)"]


def test_a_form_in_one_language_misses_nothing():
    assert rows(survey("type | name | label | hint", "text | a | A |"), "translation-missing") == []


def test_pashto_has_the_arabic_ye_and_the_others_do_not():
    sheet = survey(LANGUAGES, "text | a | A | علي | علی | علي")
    assert [each.column for each in found(sheet, "arabic-letters")] == ["label::Farsi (fa)"]
    assert "U+064A" in found(sheet, "arabic-letters")[0].message


def test_arabic_digits_are_found_beside_persian_ones():
    sheet = survey(LANGUAGES, "text | a | 4 | روز ۴ | روز ۴ تا ٤ | ۴ ورځې")
    assert [each.column for each in found(sheet, "arabic-digits")] == ["label::Dari (prs)"]


@pytest.mark.parametrize("text", ["UNHCR", "SMS", "۱۲", "${a}", "GPS (WGS 84)", "کارت UNHCR", "a@b.org"])
def test_codes_numbers_and_mixed_texts_have_no_wrong_script(text):
    assert rows(survey(LANGUAGES, f"text | a | A | {text} | آ | آ"), "wrong-script") == []


def test_a_translation_in_the_column_of_another_language_is_found():
    sheet = survey(LANGUAGES, "text | a | سن | Age | سن | عمر")
    columns = [each.column for each in found(sheet, "wrong-script")]
    assert columns == ["label::English (en)", "label::Farsi (fa)"]


@pytest.mark.parametrize(
    ("text", "is_balanced"),
    [
        ("\u2068x\u2069", True),
        ("\u202bx\u202c", True),
        ("\u2067x", False),
        ("x\u202c", False),
        ("\u2068\u202bx\u2069\u202c", False),
    ],
)
def test_direction_marks_close_what_they_open(text, is_balanced):
    sheet = survey(LANGUAGES, f"text | a | A | شهر {text} مقصد | آ | آ")
    assert (rows(sheet, "direction-marks") == []) is is_balanced


def test_an_isolated_or_lonely_insertion_stands_at_no_edge():
    sheet = survey(
        LANGUAGES, "text | n | N | ن | ن | ن", "note | a | ${n} | ${n} | سن \u2068${n}\u2069 | ${n} کاله"
    )
    assert [each.column for each in found(sheet, "insertion-at-edge")] == ["label::Pashto (ps)"]
