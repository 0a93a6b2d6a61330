"""What merging does beyond single cells, through the real server: rules of the form, rows, versions, files, seals."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import zipfile
from typing import Any

import orjson
import pytest
from conftest import Live, send, state_of
from test_api_conflicts import Desk, answers

from server import projection
from server.evolution import Consent
from server.publishing import publish, set_media
from server.store import journal, submissions
from server.store.engine import reading, writing
from sync.journal import Fact, Kind

FORM = """
| survey |
| | type              | name   | label  | constraint   | calculation                                 | relevant    | chapar::key | chapar::merge |
| | integer           | men    | Men    | . <= ${size} |                                             |             |             |               |
| | integer           | women  | Women  |              |                                             |             |             |               |
| | integer           | size   | Size   |              |                                             |             |             |               |
| | integer           | limit  | Limit  | . >= ${adults} |                                           |             |             |               |
| | integer           | income | Income |              |                                             |             |             | larger        |
| | calculate         | adults |        |              | ${men} + ${women}                           |             |             |               |
| | select_one l      | area   | Area   |              |                                             |             |             |               |
| | calculate         | place  |        |              | pulldata('places', 'name', 'code', ${area}) |             |             |               |
| | select_multiple l | needs  | Needs  |              |                                             | ${size} > 1 |             |               |
| | geopoint          | at     | At     |              |                                             |             |             |               |
| | image             | photo  | Photo  |              |                                             |             |             |               |
| | begin_repeat      | member | Member |              |                                             |             | row_id      |               |
| | text              | row_id | Row    |              |                                             |             |             |               |
| | integer           | age    | Age    |              |                                             |             |             |               |
| | end_repeat        |        |        |              |                                             |             |             |               |
| | begin_repeat      | visit  | Visit  |              |                                             |             |             |               |
| | text              | by     | By     |              |                                             |             |             |               |
| | end_repeat        |        |        |              |                                             |             |             |               |
| choices |           |      |       |
|         | list_name | name | label |
|         | l         | a    | A     |
|         | l         | b    | B     |
| settings |         |            |         |
|          | form_id | form_title | version |
|          | f       | F          | 1       |
"""
PLACES = {"places.csv": b"code,name\na,Zaranj\nb,Milak\n"}


@pytest.fixture
def desk(live: Live) -> Desk:
    publish(live.node, 1, FORM.encode(), "f.md", PLACES)
    return Desk(live, "administrator")


def tell(
    live: Live,
    name: str,
    content: str,
    edits: str = "",
    files: dict[str, bytes] | None = None,
    root: str = 'id="f" version="1"',
) -> None:
    meta = f"<instanceID>{name}</instanceID>" + (f"<deprecatedID>{edits}</deprecatedID>" if edits else "")
    xml = f"<data {root}>{content}<meta>{meta}</meta></data>".encode()
    assert send(live, xml, files).status_code == 201
    live.node.catch_up()


def test_two_tablets_that_fill_one_record_with_other_pictures_of_one_name_disagree(live, desk):
    for size, picture in (("2", b"a roof"), ("3", b"a tent")):
        tell(live, "r", f"<size>{size}</size><photo>1.jpg</photo>", files={"1.jpg": picture})
    found = {one["path"] for one in desk.ask("GET", "conflicts").json()}
    assert found == {"/size", "/photo"}
    tell(live, "r", "<size>3</size><photo>1.jpg</photo>", files={"1.jpg": b"a tent"})
    assert len(desk.ask("GET", "conflicts").json()) == 2
    files = desk.ask("GET", "forms/f/submissions/r/attachments").json()
    assert [(one["name"], one["size"]) for one in files] == [("1.jpg", 6), ("1.jpg", 6)]


def test_a_decision_about_a_question_holds_after_the_question_was_renamed(live, desk):
    tell(live, "a", "<women>1</women>")
    tell(live, "b", "<women>2</women>", "a")
    tell(live, "c", "<women>3</women>", "a")
    one = desk.only()
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], value="7")
    newer = FORM.replace("| women  | Women  |", "| females| Women  |").replace("${women}", "${females}")
    newer = newer.replace("| F          | 1       |", "| F          | 2       |")
    publish(live.node, 1, newer.encode(), "f.md", {}, Consent(frozenset(), ("women=females",)))
    tell(live, "d", "<females>3</females><size>9</size>", "c", root='id="f" version="2"')
    assert desk.get("conflicts") == []
    assert [(row["females"], row["size"]) for row in shown(desk)] == [("7", "9")]


def test_a_list_that_is_named_before_its_bytes_are_here_counts_once_they_are(live, desk):
    tell(live, "a", "<size>1</size>")
    tell(live, "b", "<size>1</size><area>a</area><place>Zaranj</place>", "a")
    tell(live, "c", "<size>1</size><area>b</area><place>Milak</place>", "a")
    desk.post(f"conflicts/{desk.only()['id']}/resolve", seen=desk.only()["seen"], policy="first")
    late = b"code,name\na,Zaranj city\n"
    digest = hashlib.sha256(late).hexdigest()
    detail = {"form_id": "f", "name": "places.csv", "sha256": digest, "md5": "", "size": len(late)}
    with writing(live.node.engine) as connection:
        journal.append(connection, [Fact(Kind.FORM_MEDIA, 1, None, orjson.dumps(detail))])
    assert [row["place"] for row in shown(desk)] == ["Milak"]
    assert b"<formID>f<" not in live.client.get(f"{live.tablet_url}/formList").content
    live.node.blobs.put(late)
    projection.join_by_lists(live.node.engine, live.node.schemas, {digest})
    assert [row["place"] for row in shown(desk)] == ["Zaranj city"]
    assert live.client.get(f"{live.tablet_url}/formList").content.count(b"<formID>f<") == 1


def shown(desk: Desk, table: str = "f", **params: Any) -> list[dict[str, str]]:
    """The rows that are exported."""
    content = desk.ask("GET", "forms/f/submissions.csv.zip", params={"attachments": False, **params}).content
    with zipfile.ZipFile(io.BytesIO(content)) as opened:
        return list(csv.DictReader(io.StringIO(opened.read(f"{table}.csv").decode("utf-8-sig"))))


def problems(desk: Desk) -> list[str]:
    with reading(desk.node.engine) as connection:
        found = submissions.find_submission(connection, 1, "f", "a")
    assert found is not None
    return [problem["path"] for problem in orjson.loads(found.problems)]


def test_a_total_of_answers_given_apart_is_calculated_again(live, desk):
    tell(live, "a", "<men>1</men><women>1</women><adults>2</adults><size>9</size>")
    tell(live, "b", "<men>3</men><women>1</women><adults>4</adults><size>9</size>", "a")
    tell(live, "c", "<men>1</men><women>4</women><adults>5</adults><size>9</size>", "a")
    (row,) = shown(desk)
    assert (row["men"], row["women"], row["adults"]) == ("3", "4", "7")
    assert desk.get("conflicts") == []


def test_answers_that_fit_on_each_side_and_not_together_are_a_conflict(live, desk):
    tell(live, "a", "<men>2</men><size>5</size>")
    tell(live, "b", "<men>4</men><size>5</size>", "a")
    tell(live, "c", "<men>2</men><size>3</size>", "a")
    one = desk.only()
    assert (one["kind"], one["path"]) == ("constraint", "/men")
    assert answers(one) == [
        {"/men": "4", "/size": "3"},
        {"/men": "2", "/size": "3"},
        {"/men": "4", "/size": "5"},
    ]
    done = desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], value="3")
    assert done["state"] == "resolved"
    assert [(row["men"], row["size"]) for row in shown(desk)] == [("3", "3")]
    desk.post(f"conflicts/{one['id']}/undo")
    assert desk.only() == one
    assert desk.refused(f"conflicts/{one['id']}/resolve", seen=one["seen"], policy="later") == 400.11
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], candidate=2)
    assert [(row["men"], row["size"]) for row in shown(desk)] == [("4", "5")]


def test_accepting_what_does_not_fit_settles_it_until_somebody_changes_a_part_of_it(live, desk):
    tell(live, "a", "<men>2</men><size>5</size>")
    tell(live, "b", "<men>4</men><size>5</size>", "a")
    tell(live, "c", "<men>2</men><size>3</size>", "a")
    one = desk.only()
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], candidate=0)
    assert desk.get("conflicts") == []
    assert problems(desk) == ["/men"]
    tell(live, "d", "<men>2</men><size>1</size>", "a")
    kinds = {other["kind"]: other["id"] for other in desk.get("conflicts")}
    assert kinds["constraint"] == one["id"]


def test_a_rule_about_a_total_is_about_what_the_total_is_made_of(live, desk):
    tell(live, "a", "<men>1</men><women>1</women><adults>2</adults><size>9</size><limit>6</limit>")
    tell(live, "b", "<men>5</men><women>1</women><adults>6</adults><size>9</size><limit>6</limit>", "a")
    tell(live, "c", "<men>1</men><women>4</women><adults>5</adults><size>9</size><limit>6</limit>", "a")
    one = desk.only()
    assert (one["kind"], one["path"]) == ("constraint", "/limit")
    assert answers(one)[0] == {"/limit": "6", "/adults": "9", "/men": "5", "/women": "4"}
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], value="9")
    assert (desk.get("conflicts"), problems(desk)) == ([], [])


def test_what_one_person_said_against_the_rule_is_a_problem_and_no_conflict(live, desk):
    tell(live, "a", "<men>2</men><size>5</size>")
    tell(live, "b", "<men>9</men><size>5</size>", "a")
    tell(live, "c", "<men>2</men><women>3</women><size>5</size>", "a")
    assert desk.get("conflicts") == []
    assert problems(desk) == ["/men"]


def test_what_is_looked_up_follows_the_decision_and_the_list(live, desk):
    tell(live, "a", "<size>1</size>")
    tell(live, "b", "<size>1</size><area>a</area><place>Zaranj</place>", "a")
    tell(live, "c", "<size>1</size><area>b</area><place>Milak</place>", "a")
    one = desk.only()
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], policy="first")
    assert [(row["area"], row["place"]) for row in shown(desk)] == [("a", "Zaranj")]
    set_media(live.node, 1, "f", "places.csv", b"code,name\na,Zaranj city\n")
    live.node.catch_up()
    assert [row["place"] for row in shown(desk)] == ["Zaranj city"]
    before = state_of(live.node)
    projection.rebuild(live.node.engine, live.node.schemas)
    assert state_of(live.node) == before


def test_a_question_and_what_is_asked_because_of_it_are_decided_together(live, desk):
    tell(live, "a", "<size>5</size>")
    tell(live, "b", "<size>1</size>", "a")
    tell(live, "c", "<size>5</size><needs>a b</needs>", "a")
    one = desk.only()
    assert (one["kind"], one["path"]) == ("unit", "/size")
    assert answers(one) == [{"/size": "5", "/needs": "a b"}, {"/size": "1", "/needs": ""}]
    assert desk.refused(f"conflicts/{one['id']}/resolve", seen=one["seen"], value="3") == 400.11
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], values={"/size": "3", "/needs": "b"})
    assert [(row["size"], row["needs"]) for row in shown(desk)] == [("3", "b")]
    desk.post(f"conflicts/{one['id']}/undo")
    assert desk.only() == one


MEMBER = "<member><row_id>{}</row_id><age>{}</age></member>"


def test_a_row_that_one_deleted_and_another_changed_is_kept_or_deleted(live, desk):
    tell(live, "a", MEMBER.format("r1", 3) + MEMBER.format("r2", 4))
    tell(live, "b", MEMBER.format("r1", 3), "a")
    tell(live, "c", MEMBER.format("r1", 5) + MEMBER.format("r2", 6), "a")
    one = desk.only()
    assert (one["kind"], answers(one)) == (
        "row",
        [{"/member[r2]": "kept"}, {"/member[r2]": "deleted"}],
    )
    assert desk.get(f"conflicts/{one['id']}")["row"]["/member[r2]/age"] == "6"
    assert [row["age"] for row in shown(desk, "f-member")] == ["5", "6"]
    assert desk.refused(f"conflicts/{one['id']}/resolve", seen=one["seen"], value="x") == 400.11
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], keep=False)
    assert [row["age"] for row in shown(desk, "f-member")] == ["5"]
    desk.post(f"conflicts/{one['id']}/undo")
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], keep=True)
    assert [row["age"] for row in shown(desk, "f-member")] == ["5", "6"]


def test_a_field_of_a_row_is_settled_in_its_row(live, desk):
    tell(live, "a", MEMBER.format("r1", 3) + MEMBER.format("r2", 4))
    tell(live, "b", MEMBER.format("r1", 5) + MEMBER.format("r2", 4), "a")
    tell(live, "c", MEMBER.format("r1", 6) + MEMBER.format("r2", 4), "a")
    one = desk.only()
    assert (one["path"], answers(one)[0]) == ("/member/age", {"/member[r1]/age": "6"})
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], value="7")
    assert [row["age"] for row in shown(desk, "f-member")] == ["7", "4"]


def test_a_repeat_without_a_key_is_chosen_as_a_whole_and_not_typed(live, desk):
    tell(live, "a", "<visit><by>x</by></visit>")
    tell(live, "b", "<visit><by>y</by></visit>", "a")
    tell(live, "c", "<visit><by>x</by></visit><visit><by>z</by></visit>", "a")
    one = desk.only()
    assert desk.refused(f"conflicts/{one['id']}/resolve", seen=one["seen"], value="w") == 400.11
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], candidate=1)
    assert [row["by"] for row in shown(desk, "f-visit")] == ["y"]


def test_a_point_is_typed_and_a_wrong_one_refused(live, desk):
    tell(live, "a", "<at>34.5 69.1 0 0</at>")
    tell(live, "b", "<at>34.6 69.1 0 0</at>", "a")
    tell(live, "c", "<at>34.7 69.1 0 0</at>", "a")
    one = desk.only()
    assert desk.refused(f"conflicts/{one['id']}/resolve", seen=one["seen"], value="north") == 400.11
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], value="34.8 69.1")
    assert [row["at-Latitude"] for row in shown(desk)] == ["34.8"]


def test_two_files_of_one_name_are_chosen_between(live, desk):
    tell(live, "a", "<size>1</size>")
    tell(live, "b", "<size>1</size><photo>p.jpg</photo>", "a", {"p.jpg": b"one"})
    tell(live, "c", "<size>1</size><photo>p.jpg</photo>", "a", {"p.jpg": b"two"})
    one = desk.only()
    assert (one["path"], answers(one)) == ("/photo", [{"/photo": "p.jpg"}] * 2)
    assert desk.refused(f"conflicts/{one['id']}/resolve", seen=one["seen"], value="q.jpg") == 400.11
    for number, content in enumerate((b"two", b"one")):
        seen = desk.get(f"conflicts/{one['id']}")["seen"]
        desk.post(f"conflicts/{one['id']}/resolve", seen=seen, candidate=number)
        assert desk.ask("GET", "forms/f/submissions/a/attachments/p.jpg").content == content


def test_a_policy_of_the_sheet_settles_by_itself_and_a_person_may_say_otherwise(live, desk):
    tell(live, "a", "<income>1</income>")
    tell(live, "b", "<income>30</income>", "a")
    tell(live, "c", "<income>4</income>", "a")
    one = desk.only(state="settled")
    assert (one["policy"], desk.get("conflicts"), shown(desk)[0]["income"]) == ("larger", [], "30")
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], policy="smaller")
    assert shown(desk)[0]["income"] == "4"
    assert desk.only(state="all")["state"] == "resolved"


def test_edits_made_with_two_versions_of_the_form_meet_in_the_newer(live, desk):
    newer = re.sub(r"\| women  \| Women", "| females | Women", FORM).replace("${women}", "${females}")
    newer = newer.replace("| F          | 1 ", "| F          | 2 ")
    publish(live.node, 1, newer.encode(), "f.md", {}, Consent(frozenset(), ("women=females",)))
    tell(live, "a", "<men>1</men><women>1</women><size>9</size>")
    tell(live, "b", "<men>3</men><women>1</women><size>9</size>", "a")
    tell(live, "c", "<men>1</men><females>4</females><size>9</size>", "a", root='id="f" version="2"')
    (row,) = shown(desk)
    assert (row["men"], row["females"], row["adults"]) == ("3", "4", "7")
    assert desk.get("forms/f/submissions/a")["currentVersion"]["version"] == "2"
    tell(live, "d", "<men>1</men><women>6</women><size>9</size>", "a")
    one = desk.only()
    assert (one["path"], answers(one)) == ("/females", [{"/females": "6"}, {"/females": "4"}])


SEALED = 'id="f" version="1" encrypted="yes"'


def test_sealed_answers_are_chosen_between_unseen(live, desk):
    tell(live, "a", "<size>1</size>", root=SEALED)
    tell(live, "b", "<size>2</size>", "a", root=SEALED)
    tell(live, "c", "<size>3</size>", "a", root=SEALED)
    one = desk.only()
    current = desk.get("forms/f/submissions/a")["currentVersion"]["instanceId"]
    assert current == "c"
    desk.post(f"conflicts/{one['id']}/resolve", seen=one["seen"], candidate=1)
    assert desk.get("forms/f/submissions/a")["currentVersion"]["instanceId"] == "b"
    assert desk.get("conflicts") == []
