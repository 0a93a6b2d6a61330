"""Reading an instance straight to a document gives what reading it with types and writing it as JSON gives."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from conftest import HOUSEHOLD
from hypothesis import given
from hypothesis import strategies as st

from forms import instance
from forms.compile import compile_form
from forms.document import DocumentReader
from forms.errors import InstanceError
from forms.fill import fill
from forms.fill_form import prepare

SHEETS = sorted(Path("forms/sheets").glob("*.xlsx"))


def compare(xml, schema):
    typed = instance.read(xml, schema)
    read = DocumentReader(schema).read(xml)
    assert read.document == instance.to_json(typed.answers)
    assert sorted(map(repr, read.problems)) == sorted(map(repr, typed.problems))
    return read


@pytest.mark.parametrize("sheet", SHEETS, ids=lambda path: path.stem)
def test_filled_forms_read_the_same(sheet):
    compiled = compile_form(sheet.read_bytes(), sheet.name)
    form = prepare(compiled.schema, compiled.xform, {})
    for seed in range(5):
        filled = fill(form, now=datetime(2026, 5, 1, tzinfo=UTC), chance=random.Random(seed))
        read = compare(filled.xml, compiled.schema)
        assert set(filled.files) <= read.files | {"audit.csv"}


FORM = compile_form(HOUSEHOLD.encode(), "household.md").schema
TEXTS = st.sampled_from(
    [
        *("", " ", "5", "-5", "5.5", "yes", "food water", "moon", "1 2", "2026-01-01T10:00:00Z", "a.jpg"),
        *("4<!-- 2 -->2", "4<?p 2?>2", "<![CDATA[<5>]]>", "&lt;5&#10;&amp;", "\r\n5\r"),
    ]
)
NAMES = st.sampled_from(
    ["head", "size", "consent", "needs", "place", "seen", "shelter", "member", "m_age", "strange"]
)


def elements(children):
    return st.builds(
        lambda name, inner, attribute: f"<{name}{attribute}>{inner}</{name}>",
        NAMES,
        st.lists(children, max_size=4).map("".join),
        st.sampled_from(["", ' a="1"', ' b=" &quot;\n2"', ' xmlns="urn:x"', ' xmlns:x="urn:x" x:a="3"']),
    )


XML = st.recursive(st.builds("<{0}>{1}</{0}>".format, NAMES, TEXTS), elements, max_leaves=20)


@given(st.lists(XML, max_size=6).map("".join), TEXTS)
def test_any_instance_reads_the_same(inner, text):
    compare(f'<data id="household" version="1" b="2">{text}{inner}<meta/></data>'.encode(), FORM)


def test_what_is_nested_too_deep_is_refused():
    with pytest.raises(InstanceError):
        DocumentReader(FORM).read(b"<data id='x'>" + b"<a>" * 70 + b"</a>" * 70 + b"</data>")
