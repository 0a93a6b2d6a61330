"""An instance read and written again says the same; its canonical content ignores what Collect changes by itself."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forms import instance
from forms.schema import Choice, ChoiceList, Field, FieldType, FormSchema, Group, Repeat

YN = ChoiceList((Choice("yes"), Choice("no")))
SCHEMA = FormSchema(
    form_id="f",
    version="1",
    title="F",
    children=(
        Field("end", "/end", FieldType.DATETIME, preload="timestamp:end"),
        Field("head", "/head"),
        Field("size", "/size", FieldType.INT),
        Field("income", "/income", FieldType.DECIMAL),
        Field("ok", "/ok", FieldType.SELECT_ONE, choices=YN),
        Field("needs", "/needs", FieldType.SELECT_MULTIPLE),
        Field("place", "/place", FieldType.GEOPOINT),
        Field("seen", "/seen", FieldType.DATETIME),
        Field("born", "/born", FieldType.DATE),
        Field("at", "/at", FieldType.TIME),
        Field("clock", "/clock", calculate="format-date-time(now(), '%H')"),
        Field("key", "/key", calculate="once(uuid())"),
        Group(
            "g",
            "/g",
            (
                Repeat(
                    "r",
                    "/g/r",
                    (Field("name", "/g/r/name"), Repeat("s", "/g/r/s", (Field("t", "/g/r/s/t"),))),
                ),
            ),
        ),
        Group(
            "meta",
            "/meta",
            (Field("instanceID", "/meta/instanceID"), Field("deprecatedID", "/meta/deprecatedID")),
        ),
    ),
)


def xml(body: str) -> bytes:
    return f'<data id="f" version="1" xmlns:orx="http://openrosa.org/xforms">{body}</data>'.encode()


def read(body: str) -> instance.Instance:
    return instance.read(xml(body), SCHEMA)


def said(body: str) -> object:
    return instance.canonical_node(read(body).answers, SCHEMA.top)


def test_values_are_typed_and_their_text_is_kept():
    found = read("<size> 5</size><income>1.0E7</income><needs>water food</needs>").answers
    assert (found["size"].text, found["size"].value) == (" 5", 5)
    assert found["income"].value == 10_000_000
    assert found["needs"].value == ("water", "food")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ("<size>many</size>", "/size"),
        ("<size>۱۲</size>", "/size"),
        ("<size>1.0</size>", "/size"),
        ("<income>1_000</income>", "/income"),
        ("<income>NaN</income>", "/income"),
        ("<ok>maybe</ok>", "/ok"),
        ("<place>91 0 0 0</place>", "/place"),
        ("<place>north</place>", "/place"),
        ("<seen>2026-13-01T00:00:00</seen>", "/seen"),
        ("<seen>yesterday</seen>", "/seen"),
        ("<born>2026-02-30</born>", "/born"),
        ("<at>25:00</at>", "/at"),
        ("<head>a</head><head>b</head>", "/head"),
        ("<g><r><s><t>1</t><t>2</t></s></r></g>", "/g/r/s/t"),
    ],
)
def test_a_value_of_the_wrong_type_is_a_problem_that_names_its_path_and_not_its_value(body, path):
    found = read(body)
    assert [problem.path for problem in found.problems] == [path]
    assert not any(word in found.problems[0].message for word in ("many", "maybe", "north", "yesterday"))


NOISE = [
    ("<head>زهرا</head><size>5</size>", "<size>5</size><head>زهرا</head>"),
    ("<head>زهرا</head>", "<head> زهرا\n</head>"),
    ("<size>5</size>", "<size>5</size><head/><g/>"),
    ("<income>1.0E7</income>", "<income>10000000</income>"),
    ("<needs>food water</needs>", "<needs>water food</needs>"),
    ("<seen>2026-11-22T08:23:00.092+03:30</seen>", "<seen>2026-11-22T08:23:00.091+03:30</seen>"),
    ("<end>2026-11-22T08:23:00.092+03:30</end>", "<end>2026-11-22T09:23:00.092+03:30</end>"),
    ("<clock>08</clock>", "<clock>09</clock>"),
    ("<meta><instanceID>uuid:1</instanceID></meta>", "<meta><instanceID>uuid:2</instanceID></meta>"),
    ("<g><r><s><t>1</t></s><name>n</name></r></g>", "<g><r><name>n</name><s><t>1</t></s></r></g>"),
]


@pytest.mark.parametrize(("before", "after"), NOISE)
def test_what_collect_changes_by_itself_is_no_difference(before, after):
    assert said(before) == said(after)


DIFFERENT = [
    ("<head>حسن</head>", "<head>حسین</head>"),
    ("<head>ي</head>", "<head>ی</head>"),
    ("<size>5</size>", "<size>6</size>"),
    ("<key>a</key>", "<key>b</key>"),
    ("<seen>2026-11-22T08:23:00+03:30</seen>", "<seen>2026-11-22T08:23:00+04:30</seen>"),
    (
        "<g><r><name>a</name></r><r><name>b</name></r></g>",
        "<g><r><name>b</name></r><r><name>a</name></r></g>",
    ),
    ("<g><r/></g>", "<g><r/><r/></g>"),
    ("<unknown>1</unknown>", "<unknown>2</unknown>"),
]


@pytest.mark.parametrize(("before", "after"), DIFFERENT)
def test_what_a_respondent_said_anew_is_a_difference(before, after):
    assert said(before) != said(after)


NAMES = st.sampled_from(
    ["head", "size", "ok", "seen", "g", "r", "name", "s", "t", "else", "meta", "instanceID"]
)
ALLOWED = st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]) | st.sampled_from(
    "\n\t\r\u200c<&>\"'"
)
TEXTS = st.text(ALLOWED, max_size=12)


def trees():
    from xml.sax.saxutils import escape

    leaf = st.builds(lambda name, text: f"<{name}>{escape(text, {chr(13): '&#13;'})}</{name}>", NAMES, TEXTS)
    bare = st.builds(lambda name: f"<{name} />", NAMES)
    marked = st.builds(
        lambda name, text: f'<{name} id="{escape(text, {chr(34): "&quot;"})}">x</{name}>', NAMES, TEXTS
    )
    return st.recursive(
        leaf | bare | marked,
        lambda below: st.builds(
            lambda name, kids: f"<{name}>{''.join(kids)}</{name}>", NAMES, st.lists(below, max_size=4)
        ),
        max_leaves=12,
    )


def is_text(char: str) -> bool:
    return (
        char in "\n\t\r" or "\x20" <= char <= "\ud7ff" or "\ue000" <= char <= "\ufffd" or char >= "\U00010000"
    )


@given(st.lists(trees(), max_size=5).map("".join))
def test_writing_and_reading_again_loses_nothing(body):
    body = "".join(char for char in body if is_text(char))
    once = read(body)
    again = instance.read(instance.write(once.header, once.answers, SCHEMA), SCHEMA)
    assert instance.to_json(again.answers) == instance.to_json(once.answers)
    assert set(again.problems) == set(once.problems)
    assert instance.canonical_node(again.answers, SCHEMA.top) == instance.canonical_node(
        once.answers, SCHEMA.top
    )


@given(st.lists(trees(), max_size=5).map("".join))
def test_the_stored_json_gives_the_same_typed_tree(body):
    body = "".join(char for char in body if is_text(char))
    answers = read(body).answers
    assert instance.from_json(instance.to_json(answers), SCHEMA) == answers
