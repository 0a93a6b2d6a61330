"""A made-up respondent obeys the form: every law here reads the XML again and evaluates the form from scratch."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from forms.compile import compile_form
from forms.fill import FilledForm, Tablet, edit, fill
from forms.fill_form import TabletForm, prepare
from forms.fill_pattern import example
from forms.fill_walk import row_path
from forms.schema import Field, Node, Repeat
from forms.xpath import Environment, boolean, compile_expression, nodes, number, text

NOW = datetime.fromisoformat("2026-11-22T18:23:00.838+03:30")
SHEETS = Path(__file__).parent.parent / "forms" / "sheets"
EVERYTHING = """
| survey |
| | type | name | label | relevant | required | constraint | calculation | default | choice_filter | repeat_count | parameters | appearance | save_to | trigger |
| | start | start | | | | | | | | | | | | |
| | end | end | | | | | | | | | | | | |
| | today | today | | | | | | | | | | | | |
| | deviceid | deviceid | | | | | | | | | | | | |
| | username | username | | | | | | | | | | | | |
| | audit | audit | | | | | | | | | identify-user=true | | | |
| | select_one_from_file places.csv | province | P | | yes | | | | country='AFG' | | | | | |
| | select_one yn | go | Go? | | yes | | | | | | | | | |
| | begin_group | g | G | ${go}='yes' | | | | | | | | | | |
| | integer | age | Age | | yes | . >= 5 and . <= 110 | | | | | | | age | |
| | integer | part | Part | | yes | . >= 0 and . + ${age} <= 120 | | 0 | | | | | | |
| | decimal | weight | W | | | . > 2.5 and . < 3.5 | | | | | | | | |
| | date | day | D | | yes | . <= today() and decimal-date-time(.) >= decimal-date-time(today()) - 3 | | today() | | | | | | |
| | time | from | T | | yes | | | | | | | | | |
| | time | to | T | | yes | . > ${from} or ${from} > '23:50' | | | | | | | | |
| | dateTime | at | T | | | . < now() | | | | | | | | |
| | text | name | N | | yes | string-length(.) <= 12 and string-length(.) >= 3 | | | | | | | | |
| | text | phone | N | | yes | regex(., '^[+]?[0-9]{7,15}$') | | | | | | numbers | | |
| | text | note_ | N | | | | | | | | | multiline | | |
| | barcode | card | C | | yes | regex(., '^[A-Z]{2}[0-9]{6}$') | | | | | | | | |
| | select_multiple need | needs | N | | yes | not(selected(., 'none') and count-selected(.) > 1) | | | | | | | | |
| | select_one need | first | F | count-selected(${needs}) > 1 | yes | | | | selected(${needs}, name) | | | | | |
| | select_one need | second | S | count-selected(${needs}) > 1 | yes | | | | selected(${needs}, name) and name != ${first} | | | | | |
| | rank need | order | O | | | | | | | | | | | |
| | range | rate | R | | | | | | | | start=1 end=5 step=2 | | | |
| | acknowledge | ok | A | | yes | | | | | | | | | |
| | note | hint | Hello ${age} | | | | | | | | | | | |
| | geopoint | here | H | | | | | | | | | | | |
| | geotrace | way | H | | | | | | | | | | | |
| | geoshape | area | H | | | | | | | | | | | |
| | image | photo | P | | yes | | | | | | max-pixels=640 | | | |
| | audio | voice | V | | | | | | | | | | | |
| | end_group | | | | | | | | | | | | | |
| | integer | size | Size | | yes | . >= 1 and . <= 6 | | | | | | | | |
| | begin_repeat | member | M | | | | | | | ${size} | | | | |
| | calculate | member_row | | | | | once(uuid()) | | | | | | | |
| | integer | m_age | Age | | yes | . >= 0 and . < 100 | | | | | | | | |
| | select_one yn | school | S | ${m_age} >= 6 and ${m_age} <= 17 | yes | | | | | | | | | |
| | calculate | child | | | | | if(${m_age} < 18, 1, 0) | | | | | | | |
| | calculate | place | | | | | position(..) | | | | | | | |
| | end_repeat | | | | | | | | | | | | | |
| | calculate | children | | | | | sum(${child}) | | | | | | | |
| | begin_repeat | visit | V | ${children} > 0 | | | | | | | | | | |
| | text | who | W | | yes | | | 'x' | | | | | | |
| | begin_repeat | thing | V | | | | | | | | | | | |
| | integer | count_ | W | | yes | . > 0 | | | | | | | | |
| | end_repeat | | | | | | | | | | | | | |
| | end_repeat | | | | | | | | | | | | | |
| | calculate | label_ | | | | | jr:choice-name(${province}, '${province}') | | | | | | | |
| | calculate | asked_at | | | | | now() | | | | | | | ${size} |
| choices |
| | list_name | name | label |
| | yn | yes | Yes |
| | yn | no | No |
| | need | food | Food |
| | need | water | Water |
| | need | shelter | Shelter |
| | need | none | None |
| settings |
| | form_id | version | instance_name |
| | everything | 3 | concat(${go}, ' ', ${size}) |
| entities |
| | list_name | label | create_if |
| | cases | concat('case ', ${size}) | ${go}='yes' |
"""
PLACES = "name,label,country\nHER,Herat · هرات,AFG\nNIM,Nimroz,AFG\nKHO,Khorasan,IRN\n".encode()


def everything() -> TabletForm:
    return tablet_form(EVERYTHING)


@cache
def tablet_form(sheet: str) -> TabletForm:
    compiled = compile_form(sheet.encode(), "form.md")
    return prepare(compiled.schema, compiled.xform, {"places.csv": PLACES})


@cache
def bundled(name: str) -> TabletForm:
    compiled = compile_form((SHEETS / f"{name}.xlsx").read_bytes(), f"{name}.xlsx")
    media = {path.name: path.read_bytes() for path in (SHEETS / "media").glob("*.csv")}
    return prepare(compiled.schema, compiled.xform, media)


def filled(form: TabletForm, seed: int, **given_: str) -> FilledForm:
    return fill(form, now=NOW, chance=random.Random(seed), given=given_)


def world(form: TabletForm, now: datetime = NOW) -> Environment:
    return Environment(now, random.Random(0), form.instances, form.choice_labels)


def faults(form: TabletForm, data: bytes, now: datetime = NOW) -> list[str]:
    """Return every breach of the form's logic in an instance, found by evaluating it from scratch."""
    root = etree.fromstring(data)
    assert root.tag == form.schema.root
    return list(_faults(form.schema.children, root, world(form, now)))


def _faults(children: tuple[Node, ...], parent: etree._Element, env: Environment) -> Iterator[str]:
    for node in children:
        found = parent.findall(node.name)
        if not found:
            yield from _wrongly_absent(node, parent, env)
        if (
            isinstance(node, Repeat)
            and node.count
            and found
            and len(found) != number(node.count, found[0], env)
        ):
            yield f"{node.path}: {len(found)} rows"
        for element in found:
            if node.relevant and not boolean(node.relevant, element, env):
                yield f"{row_path(element)}: not relevant"
            if isinstance(node, Field):
                yield from _answer_faults(node, element, env)
            else:
                yield from _faults(node.children, element, env)


def _wrongly_absent(node: Node, parent: etree._Element, env: Environment) -> Iterator[str]:
    probe = etree.SubElement(parent, node.name)
    relevant = not node.relevant or boolean(node.relevant, probe, env)
    rows = number(node.count, probe, env) if isinstance(node, Repeat) and node.count and relevant else 0
    parent.remove(probe)
    if relevant and (rows > 0 or not isinstance(node, Repeat)):
        yield f"{node.path}: absent"


def _answer_faults(node: Field, element: etree._Element, env: Environment) -> Iterator[str]:
    answer = element.text or ""
    if node.calculate and not compile_expression(node.calculate).volatile:
        expected = text(node.calculate, element, env)
        if answer != {"true": "1", "false": "0", "NaN": ""}.get(expected, expected):
            yield f"{row_path(element)}: calculated otherwise"
    if answer and node.constraint and not boolean(node.constraint, element, env):
        yield f"{row_path(element)}: constraint"
    if not answer and node.control and node.required and boolean(node.required, element, env):
        yield f"{row_path(element)}: required"
    if answer and node.choices is not None and node.choices.nodeset:
        offered = [item.findtext("{*}name") for item in nodes(node.choices.nodeset, element, env)]
        if not set(answer.split()) <= set(offered):
            yield f"{row_path(element)}: not in the list"


def answers(data: bytes) -> dict[str, str]:
    return {row_path(leaf): leaf.text or "" for leaf in etree.fromstring(data).iter() if not len(leaf)}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32))
def test_what_is_filled_obeys_relevance_constraints_lists_and_calculations(seed: int) -> None:
    form = everything()
    made = filled(form, seed)
    assert made.settled
    assert made.unsatisfied == ()
    assert faults(form, made.xml) == []


@pytest.mark.parametrize(
    ("right", "wrong", "fault"),
    [
        ("<size>4</size>", "<size>3</size>", "/member: 4 rows"),
        ("<go>yes</go>", "<go>no</go>", "/g: not relevant"),
        ("<province>HER</province>", "<province>KHO</province>", "/province: not in the list"),
        ("<go>yes</go>", "<go />", "/go: required"),
        ("<children>", "<children>9", "/children: calculated otherwise"),
        ("<age>33</age>", "<age>133</age>", "/g/age: constraint"),
    ],
)
def test_the_laws_see_a_breach(right: str, wrong: str, fault: str) -> None:
    chosen = {"/go": "yes", "/g/age": "33", "/size": "4", "/province": "HER"}
    whole = filled(everything(), 8, **chosen).xml.decode()
    assert right in whole
    assert fault in faults(everything(), whole.replace(right, wrong).encode())


@pytest.mark.parametrize(
    "name", ["flow_monitoring_registry", "flow_monitoring_survey", "protection_needs_assessment"]
)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32))
def test_the_bundled_sheets_can_be_filled_to_their_end(name: str, seed: int) -> None:
    form = bundled(name)
    agreed = {"/pcons/p_consent": "yes", "/cons/consent": "yes"}
    made = fill(form, now=NOW, chance=random.Random(seed), given=agreed)
    assert made.settled
    assert made.unsatisfied == ()
    assert faults(form, made.xml) == []


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_an_edit_obeys_the_form_and_names_its_parent(seed: int) -> None:
    form, later = everything(), NOW + timedelta(hours=1)
    parent = filled(form, seed)
    changed = edit(form, parent, now=later, chance=random.Random(seed + 1))
    again = edit(form, changed, now=later, chance=random.Random(seed + 2))
    assert faults(form, again.xml, later) == []
    meta = answers(again.xml)
    assert meta["/meta/instanceID"] == again.instance_id
    assert meta["/meta/deprecatedID"] == changed.instance_id != parent.instance_id
    assert parent.files.keys() <= changed.files.keys()


SIMPLE = """
| survey |
| | type | name | label |
| | start | start | |
| | end | end | |
| | text | a | A |
| | integer | b | B |
| | date | c | C |
| | geopoint | d | D |
| settings |
| | form_id | version | instance_name |
| | simple | 1 | concat(${a}, ${b}) |
"""


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32))
def test_an_edit_differs_from_its_parent_only_where_it_says(seed: int) -> None:
    form = tablet_form(SIMPLE)
    parent = filled(form, seed)
    changed = edit(form, parent, now=NOW + timedelta(hours=1), chance=random.Random(seed + 1))
    before, after = answers(parent.xml), answers(changed.xml)
    different = {path for path in before | after if before.get(path) != after.get(path)}
    assert 1 <= len(changed.edited) <= 3
    follows = {"/end", "/meta/instanceID", "/meta/deprecatedID", "/meta/instanceName"}
    assert set(changed.edited) == different - follows
    assert {"/end", "/meta/instanceID", "/meta/deprecatedID"} <= different


def test_an_edit_gives_the_answers_it_is_told_to() -> None:
    form = tablet_form(SIMPLE)
    parent = filled(form, 1)
    changed = edit(form, parent, now=NOW, chance=random.Random(1), given={"/a": "گل", "/b": "7"})
    after = answers(changed.xml)
    assert (after["/a"], after["/b"], after["/meta/instanceName"]) == ("گل", "7", "گل7")
    assert (changed.edited, after["/c"]) == (("/a", "/b"), answers(parent.xml)["/c"])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    form = everything()
    first, again = filled(form, 4), filled(form, 4)
    assert (first.xml, dict(first.files)) == (again.xml, dict(again.files))
    edits = [edit(form, first, now=NOW, chance=random.Random(9)).xml for _ in range(2)]
    assert edits[0] == edits[1]
    assert filled(form, 5).xml != first.xml


def test_the_xml_is_written_as_collect_writes_it() -> None:
    form = everything()
    made = filled(form, 1, **{"/go": "no"})
    assert made.xml.startswith(b"<?xml version='1.0' encoding='UTF-8' ?><data ")
    root = etree.fromstring(made.xml)
    assert (root.get("id"), root.get("version")) == ("everything", "3")
    assert None not in root.nsmap
    assert 5 <= len(root.nsmap) <= 8
    assert root.find("g") is None
    assert root.findtext("meta/instanceID") == made.instance_id
    assert made.instance_id.startswith("uuid:")
    assert root.findtext("meta/instanceName") == f"no {root.findtext('size')}"


def test_blank_questions_are_empty_elements() -> None:
    form = tablet_form(SIMPLE)
    seen = b"".join(filled(form, seed).xml for seed in range(20))
    assert b"<a />" in seen
    assert b"<b />" in seen


def test_an_entity_is_created_when_its_condition_holds() -> None:
    form = everything()
    entities = {}
    for go in ("yes", "no"):
        entity = etree.fromstring(filled(form, 2, **{"/go": go}).xml).find("meta/entity")
        assert entity is not None
        entities[go] = (entity.get("dataset"), entity.get("create"), len(entity.get("id", "")))
        assert (entity.findtext("label") or "").startswith("case ")
    assert entities == {"yes": ("cases", "1", 36), "no": ("cases", "0", 36)}


def test_metadata_comes_from_the_tablet_and_the_clock() -> None:
    tablet = Tablet("collect:abc", "worker-7")
    made = fill(everything(), now=NOW, chance=random.Random(1), tablet=tablet)
    found = answers(made.xml)
    assert (found["/deviceid"], found["/username"]) == ("collect:abc", "worker-7")
    assert found["/end"] == found["/asked_at"] == "2026-11-22T18:23:00.838+03:30"
    assert datetime.fromisoformat(found["/start"]) < NOW
    assert found["/today"] == found["/start"][:10]


def test_photographs_are_real_files_named_by_the_moment() -> None:
    made = filled(everything(), 3, **{"/go": "yes"})
    name = answers(made.xml)["/g/photo"]
    assert name.removesuffix(".jpg").isdigit()
    assert grey_levels(made.files[name]) == grey_levels(filled(everything(), 3, **{"/go": "yes"}).files[name])
    assert len(set(grey_levels(made.files[name]))) > 50
    assert set(made.files) <= {*answers(made.xml).values()}


def grey_levels(jpeg: bytes) -> list[int]:
    """Decode the mean level of each square of a one-component baseline JPEG by its own Huffman table."""
    segments, at = {}, 2
    while jpeg[at + 1] != 0xDA:
        size = struct.unpack_from(">H", jpeg, at + 2)[0]
        segments[jpeg[at + 1], jpeg[at + 4] if jpeg[at + 1] == 0xC4 else 0] = jpeg[at + 4 : at + 2 + size]
        at += 2 + size
    at += 2 + struct.unpack_from(">H", jpeg, at + 2)[0]
    _, height, width = struct.unpack_from(">BHH", segments[0xC0, 0])
    codes, code, symbols = {}, 0, iter(segments[0xC4, 0][17:])
    for length, count in enumerate(segments[0xC4, 0][1:17], start=1):
        for _ in range(count):
            codes[f"{code:0{length}b}"] = next(symbols)
            code += 1
        code <<= 1
    assert jpeg.endswith(b"\xff\xd9")
    stream = "".join(f"{byte:08b}" for byte in jpeg[at:-2].replace(b"\xff\0", b"\xff"))
    levels, level = [], 0
    for _ in range(width // 8 * (height // 8)):
        end = next(end for end in range(1, 17) if stream[:end] in codes)
        bits, stream = codes[stream[:end]], stream[end:]
        value = int(stream[:bits] or "0", 2)
        level += value if not bits or stream[0] == "1" else value - (1 << bits) + 1
        assert stream[bits] == "0", "end of block"
        stream = stream[bits + 1 :]
        levels.append(level)
    assert len(stream) < 8
    return levels


def test_the_audit_log_lists_the_questions_in_order() -> None:
    form = everything()
    made = filled(form, 6, **{"/go": "yes"})
    lines = made.files["audit.csv"].decode().splitlines()
    assert lines[0] == "event,node,start,end,user"
    assert lines[1].startswith("form start,,")
    assert [line.split(",")[1] for line in lines if line.startswith("question,")][:3] == [
        "/province",
        "/go",
        "/g/age",
    ]
    longer = edit(form, made, now=NOW, chance=random.Random(1)).files["audit.csv"]
    assert longer.startswith(made.files["audit.csv"])
    assert longer.count(b"event,node") == 1


def test_given_answers_are_taken_where_the_form_allows_them() -> None:
    made = filled(everything(), 7, **{"/go": "yes", "/g/age": "33", "/g/part": "119", "/size": "4"})
    found = answers(made.xml)
    assert (found["/g/age"], found["/size"]) == ("33", "4")
    assert int(found["/g/part"]) <= 87
    assert "/member[4]/m_age" in found
    assert "/member[5]/m_age" not in found


IMPOSSIBLE = """
| survey |
| | type | name | label | required | constraint |
| | integer | n | N | yes | . > 5 and . < 5 |
| | text | t | T | yes | regex(., '(?=a)b') |
| | integer | fine | F | yes | . = 3 |
| settings |
| | form_id | version |
| | impossible | 1 |
"""


def test_a_question_that_no_answer_satisfies_is_reported_and_left_blank() -> None:
    made = filled(tablet_form(IMPOSSIBLE), 1)
    assert made.unsatisfied == ("/n", "/t")
    assert answers(made.xml)["/n"] == ""
    assert answers(made.xml)["/fine"] == "3"


CIRCLE = """
| survey |
| | type | name | label | relevant | required | calculation |
| | calculate | a | | | | if(${b} = '1', 2, 1) |
| | calculate | b | | | | if(${a} = '1', 1, 2) |
| settings |
| | form_id | version |
| | circle | 1 |
"""


def test_a_form_that_runs_in_circles_is_said_not_to_settle() -> None:
    assert not filled(tablet_form(CIRCLE), 1).settled


def test_texts_hold_what_software_breaks() -> None:
    texts = {answers(filled(tablet_form(SIMPLE), seed).xml)["/a"] for seed in range(300)}
    whole = "".join(texts)
    assert all(sign in whole for sign in ("\u200c", "<", "&", '"', "'", "۶", "🙏"))
    assert any(each.startswith("=") for each in texts)


def test_repeats_without_a_count_have_few_rows_and_sometimes_none() -> None:
    form = everything()
    rows = [len(etree.fromstring(filled(form, seed).xml).findall("visit")) for seed in range(60)]
    assert min(rows) == 0
    assert max(rows) > 2


@given(
    st.sampled_from([r"^[A-Z]{2}[0-9]{6}$", r"^[+]?[0-9]{7,15}$", r"(AB|CD)-\d{3}(x|yy)*", r"[^0-9]+\.?\w*"]),
    st.integers(),
)
def test_a_text_made_for_a_pattern_matches_it(pattern: str, seed: int) -> None:
    assert re.fullmatch(pattern, example(pattern, random.Random(seed)))
