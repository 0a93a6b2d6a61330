"""Entities as forms declare them and as instances ask for them. Source: ODK Entities 2025.1."""

from __future__ import annotations

import pytest

from forms import xform
from forms.compile import compile_form
from forms.document import DocumentReader
from forms.entities import EntityAction, canonical_uuid, read_actions
from forms.errors import FormError
from forms.schema import Deed, FormSchema

ONE, TWO = "f73ea0a0-f51f-4d13-a7cb-c2123ba06f34", "090c56ff-25f4-4503-b760-f6bef8528152"
PLOTS = """
| survey   |                          |         |         |                |
|          | type                     | name    | label   | save_to        |
|          | select_one_from_file plots.csv | plot | Plot |                |
|          | text                     | village | Village | plots#village  |
|          | begin_group              | size    | Size    |                |
|          | integer                  | acres   | Acres   | plots#acres    |
|          | end_group                |         |         |                |
|          | begin_repeat             | tree    | Tree    |                |
|          | text                     | kind    | Kind    | trees#species  |
|          | end_repeat               |         |         |                |
| entities |                          |         |         |                |
|          | list_name                | label   | entity_id | update_if    |
|          | plots                    | ${acres} | ${plot} | ${acres} > 0  |
|          | trees                    | ${kind} |         |                |
| settings |                          |         |         |                |
|          | form_title               | form_id | version |                |
|          | Plots                    | plots   | 1       |                |
"""


@pytest.fixture(scope="module")
def plots() -> FormSchema:
    return compile_form(PLOTS.encode(), "plots.md").schema


def asked(schema: FormSchema, body: str) -> list[EntityAction]:
    xml = f'<data id="plots" version="1">{body}</data>'.encode()
    return read_actions(DocumentReader(schema).read(xml).document, schema)


def entity(dataset: str, label: str = "L", **attributes: str) -> str:
    given = "".join(f' {name}="{text}"' for name, text in attributes.items())
    return f'<meta><entity dataset="{dataset}"{given}><label>{label}</label></entity></meta>'


def test_a_form_declares_one_entity_for_itself_and_one_for_each_row_of_a_repeat(plots):
    of_form, of_rows = plots.entities
    assert (of_form.dataset, of_form.path, of_form.creates, of_form.updates) == ("plots", "", False, True)
    assert of_form.properties == {"village": "/village", "acres": "/size/acres"}
    assert (of_rows.dataset, of_rows.path, of_rows.creates, of_rows.updates) == (
        "trees",
        "/tree",
        True,
        False,
    )
    assert of_rows.properties == {"species": "/tree/kind"}
    assert "kind" in of_rows.label


def test_an_instance_asks_for_its_own_entity_and_for_one_for_each_row(plots):
    found = asked(
        plots,
        "<size><acres>3</acres></size>"
        f"<tree><kind>pine</kind>{entity('trees', 'Pine', create='1', id=ONE)}</tree>"
        f"<tree><kind>oak</kind>{entity('trees', 'Oak', create='true', id=f'uuid:{TWO.upper()}')}</tree>"
        + entity("plots", "", update="1", id=ONE, baseVersion="4", trunkVersion="3", branchId=TWO),
    )
    assert [(one.dataset, one.deed, one.uuid, one.label, one.properties) for one in found] == [
        ("plots", Deed.UPDATE, ONE, "", {"acres": "3"}),
        ("trees", Deed.CREATE, ONE, "Pine", {"species": "pine"}),
        ("trees", Deed.CREATE, TWO, "Oak", {"species": "oak"}),
    ]
    assert (found[0].base, found[0].trunk, found[0].branch) == (4, 3, TWO)
    assert not any(one.fault for one in found)


def test_what_is_not_relevant_is_not_said_and_what_is_blank_is(plots):
    (absent,) = asked(plots, entity("plots", update="1", id=ONE, baseVersion="1"))
    (blank,) = asked(plots, "<size><acres/></size>" + entity("plots", update="1", id=ONE, baseVersion="1"))
    assert (absent.properties, blank.properties) == ({}, {"acres": ""})


@pytest.mark.parametrize("verb", ["", "0", "false", "yes"])
def test_only_1_and_true_ask_for_something(plots, verb):
    assert asked(plots, entity("plots", update=verb, id=ONE)) == []


@pytest.mark.parametrize("version", ["", "0", "-1", "1.5", "abc", "9" * 30])
def test_a_base_version_that_is_no_positive_integer_is_0(plots, version):
    (one,) = asked(plots, entity("plots", update="1", id=ONE, baseVersion=version, trunkVersion=version))
    assert (one.base, one.trunk) == (0, None)


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (entity("plots", update="1", id="plot-7", baseVersion="1"), "no UUID"),
        (entity("plots", update="1", baseVersion="1"), "no UUID"),
        (entity("trees", update="1", id=ONE, baseVersion="1"), "another entity list"),
        (entity("plots", create="1", id=ONE), "would create"),
    ],
)
def test_what_cannot_be_done_is_told_and_not_dropped(plots, wrong, fault):
    (one,) = asked(plots, "<size><acres>3</acres></size>" + wrong)
    assert (one.deed, one.uuid) == (Deed.NONE, "")
    assert fault in one.fault


def test_a_new_entity_without_a_label_is_made_and_the_lack_told(plots):
    (one,) = asked(plots, f"<tree><kind/>{entity('trees', ' ', create='1', id=ONE)}</tree>")
    assert (one.deed, one.uuid, one.label) == (Deed.CREATE, ONE, "")
    assert "no label" in one.fault


@pytest.mark.parametrize("text", ["", "x", ONE[:-1], f"uuid:{ONE}0", ONE.replace("-", "")])
def test_what_is_no_uuid_is_none(text):
    assert canonical_uuid(text) == ""


def test_a_form_for_a_newer_specification_is_refused_with_what_to_do():
    form = compile_form(PLOTS.encode(), "plots.md").xform.replace(b"2025.1.0", b"2026.1.0")

    with pytest.raises(FormError, match=r"2026\.1\.0"):
        xform.read(form)


def test_a_field_of_a_repeat_saved_to_an_entity_outside_it_is_refused():

    form = compile_form(PLOTS.encode(), "plots.md").xform
    rows = b'<meta><entity dataset="trees" create="1" id=""><label/></entity></meta>'
    with pytest.raises(FormError, match="/tree/kind"):
        xform.read(form.replace(rows, b""))
