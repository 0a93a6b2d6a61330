"""Scripts that clean in R and in Stata: run on the merged tables they give the clean ones, whatever people wrote."""

from __future__ import annotations

import pytest
from conftest import Live, household, send
from people import People
from replaying import R, check, export_both, run_r, run_stata, script_of, tables
from typer.testing import CliRunner

from server.cleaning.scripts import Script
from server.cli import app
from server.exports.folder import export_form
from server.exports.options import Options, View
from server.permissions import Role
from server.publishing import publish

pytestmark = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
HARD = "\r\n".join(
    (
        '=1+1 "so", و\\n \\',
        "`macro' $name ${x} `=1' /* // ///",
        "\u202eright\u200f می\u200cرود 👪 \u0085\u2028",
        "NA . \t'",
    )
)
NESTED = """
| survey   |              |        |       |
|          | type         | name   | label |
|          | begin_group  | home   | Home  |
|          | begin_repeat | member | M     |
|          | text         | said   | Said  |
|          | begin_repeat | pet    | P     |
|          | text         | name   | Name  |
|          | end_repeat   |        |       |
|          | end_repeat   |        |       |
|          | end_group    |        |       |
| settings |              |        |       |
|          | form_title   | form_id| version |
|          | Nested       | nested | 1     |
"""


@pytest.fixture
def people(live: Live) -> People:
    return People(live)


@pytest.fixture
def cleaned(live: Live, people: People) -> Live:
    """Records whose log does all that a log can do; the texts are as bad as they come."""
    extra = "<consent>yes</consent><needs>food</needs><place>34.5 69.1 0 5</place>" + "".join(
        f"<member><m_name>{name}</m_name><m_age>{age}</m_age></member>" for name, age in (("a", 1), ("b", 2))
    )
    for name in ("uuid:one", "uuid:one/two", "uuid:three"):
        send(live, household(name, extra=extra))
    one = {"instanceId": "uuid:one"}
    entries = [
        one | {"kind": "change", "field": "head", "new": HARD, "reason": f"they said {HARD}"},
        one | {"kind": "change", "field": "place", "new": "34.6 69.2 0 4", "checkId": "far-away"},
        one | {"kind": "add_option", "field": "needs", "new": "water"},
        one | {"kind": "blank", "field": "consent"},
        one | {"kind": "change", "field": "m_name", "row": "2", "new": "é" * 30_000},
        one | {"kind": "remove_row", "field": "member", "row": "1", "reason": "twice"},
        {"instanceId": "uuid:three", "kind": "remove_record", "reason": "a test"},
    ]
    answer = people.post("cleaning", Role.ADMINISTRATOR, entries=entries)
    assert answer.status_code == 200, answer.text
    return live


def test_the_scripts_make_the_clean_tables_of_the_merged_ones(cleaned, tmp_path):
    check(cleaned.node, (1, "household"), tmp_path)
    text = script_of(cleaned.node, (1, "household"), Script.R)
    assert text == script_of(cleaned.node, (1, "household"), Script.R)
    lines = [line for line in text.splitlines() if not line.startswith("# ")]
    assert all(line.isascii() and len(line) < 4000 for line in lines), "as R reads it in any locale"


def test_rows_within_rows_that_went_go_too_and_those_behind_are_counted_anew(live, tmp_path):
    publish(live.node, 1, NESTED.encode(), "nested.md", {})
    pets = "".join(f"<pet><name>{name}</name></pet>" for name in ("cat", "dog", "hen"))
    members = f"<home>{''.join(f'<member><said>{name}</said>{pets}</member>' for name in 'abc')}</home>"
    xml = household("uuid:1", form_id="nested", extra=members).replace(b"<size>5</size>", b"")
    assert send(live, xml).status_code == 201
    people = People(live, "nested")
    removal = {"instanceId": "uuid:1", "kind": "remove_row"}
    rows = [removal | {"field": "member", "row": "1"}, removal | {"field": "pet", "row": "member[1]/pet[3]"}]
    rows += [removal | {"field": "pet", "row": f"member[3]/pet[{number}]"} for number in (1, 3)]
    assert people.post("cleaning", entries=rows).status_code == 200
    check(live.node, (1, "nested"), tmp_path)
    keys = [row[-1] for row in tables(tmp_path / "done")["nested-pet.csv"]]
    assert keys[1:] == [
        f"uuid:1/home/member[{row}]" for row in ("1]/pet[1", "1]/pet[2", "1]/pet[3", "2]/pet[1")
    ]


NAMESAKES = """
| survey   |              |                |       |
|          | type         | name           | label |
|          | text         | SubmissionDate | S     |
|          | text         | KEY            | K     |
|          | begin_repeat | row            | Row   |
|          | text         | PARENT_KEY     | P     |
|          | text         | KEY            | K     |
|          | end_repeat   |                |       |
| settings |              |                |       |
|          | form_title   | form_id        | version |
|          | Namesakes    | namesakes      | 1     |
"""


def test_questions_may_be_named_as_the_export_names_its_own_columns(live, tmp_path):
    publish(live.node, 1, NAMESAKES.encode(), "namesakes.md", {})
    rows = "".join(f"<row><PARENT_KEY>p{n}</PARENT_KEY><KEY>k{n}</KEY></row>" for n in (1, 2))
    for name in ("uuid:1", "uuid:2"):
        answers = f"<SubmissionDate>s</SubmissionDate><KEY>k</KEY>{rows}"
        xml = household(name, form_id="namesakes", extra=answers).replace(b"<size>5</size>", b"")
        assert send(live, xml).status_code == 201
    people = People(live, "namesakes")
    entries = [
        {"instanceId": "uuid:1", "kind": "change", "field": "SubmissionDate", "new": "other"},
        {"instanceId": "uuid:1", "kind": "change", "field": "/KEY", "new": "other"},
        {"instanceId": "uuid:1", "kind": "remove_row", "field": "row", "row": "1"},
        {"instanceId": "uuid:2", "kind": "change", "field": "PARENT_KEY", "row": "2", "new": "other"},
    ]
    answer = people.post("cleaning", entries=entries)
    assert answer.status_code == 200, answer.text
    check(live.node, (1, "namesakes"), tmp_path)


@pytest.mark.skipif(not R, reason="R is not here")
def test_r_stops_when_the_tables_are_not_those_of_the_script(cleaned, tmp_path):
    export_both(cleaned.node, (1, "household"), tmp_path)
    table = tmp_path / "raw" / "household.csv"
    table.write_bytes(table.read_bytes().replace(b",yes,", b",no,"))
    done = run_r(script_of(cleaned.node, (1, "household"), Script.R), tmp_path)
    assert (done.returncode, "not those that this script was made for" in done.stderr) == (1, True)
    assert not (tmp_path / "done").exists()


def test_tables_without_empty_columns_are_told_with_the_option_that_brings_them(cleaned, tmp_path):
    export_both(cleaned.node, (1, "household"), tmp_path)
    export_form(cleaned.node, 1, "household", tmp_path / "raw", Options(view=View.MERGED, personal=True))
    titles = tables(tmp_path / "raw")["household.csv"][0]
    assert "seen" not in titles, "nobody answered it"
    with pytest.raises(AssertionError, match="export them with --empty-columns --personal: household, "):
        run_stata(script_of(cleaned.node, (1, "household"), Script.STATA), tmp_path)
    script = script_of(cleaned.node, (1, "household"), Script.R)
    assert 'export them with --empty-columns --personal"' in script
    if R:
        assert "export them with --empty-columns --personal: household, " in run_r(script, tmp_path).stderr


def test_a_script_comes_by_command_and_over_the_network_without_what_few_may_see(cleaned, people, tmp_path):
    node = cleaned.node
    whole = script_of(node, (1, "household"), Script.STATA)
    path = tmp_path / "clean.do"
    words = ["cleaning", "export", "household", str(path), "--script", "stata", "--data"]
    assert CliRunner().invoke(app, [*words, str(node.settings.data), "--personal"]).exit_code == 0
    assert path.read_text("utf-8") == whole
    for role in Role:
        text = people.get("cleaning/script?language=stata", role).text
        assert (text == whole) is (role is Role.ADMINISTRATOR)
        assert ("éé" in text) is (role is Role.ADMINISTRATOR)
