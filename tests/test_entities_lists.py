"""Entity lists as tablets get them: manifest, CSV, integrity; what never leaves; cases from both bundled forms."""

from __future__ import annotations

import csv
import io
import random
from datetime import UTC, datetime

import pytest
from conftest import Live, send
from entity_world import ADMINISTRATOR, JOHNNY, MEGAN, PEOPLE, World, create, record
from lxml import etree

from forms import fill, xform
from forms.fill_form import prepare
from server import entity_lists
from server.api import entities as api
from server.api.entities import Bulk, Source, Wanted
from server.evolution import Consent
from server.publishing import BUNDLED, publish, publish_file, set_media

COLLECT = {"X-OpenRosa-Version": "1.0"}
NOW = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)


def form_list(live: Live) -> dict[str, dict[str, str]]:
    root = etree.fromstring(live.client.get(f"{live.tablet_url}/formList", headers=COLLECT).content)
    return {one.findtext("{*}formID"): {etree.QName(e).localname: e.text or "" for e in one} for one in root}


def manifest(live: Live, form_id: str) -> dict[str, dict[str, str]]:
    url = form_list(live)[form_id]["manifestUrl"]
    root = etree.fromstring(live.client.get(url, headers=COLLECT).content)
    files = [{etree.QName(e).localname: e.text or "" for e in one} | dict(one.attrib) for one in root]
    return {one["filename"]: one for one in files}


def rows(live: Live, url: str) -> list[dict[str, str]]:
    answer = live.client.get(url, headers=COLLECT)
    assert answer.status_code == 200
    return list(csv.DictReader(io.StringIO(answer.content.decode())))


def test_a_form_that_reads_a_dataset_gets_its_list_and_where_to_ask_about_its_own(live):
    world = World(live.node)
    world.johnny()
    file = manifest(live, "people")["people.csv"]
    assert (file["type"], file["hash"][:4]) == ("entityList", "md5:")
    assert rows(live, file["downloadUrl"]) == [
        {
            "name": JOHNNY,
            "label": "Johnny Doe",
            "__version": "1",
            "first_name": "Johnny",
            "age": "22",
            "status": "",
        }
    ]
    world.send(create())
    world.delete()
    asked = live.client.get(
        f"{file['integrityUrl']}?id={JOHNNY},{MEGAN},{'0' * 8}-0000-4000-8000-{'0' * 12}", headers=COLLECT
    )
    assert "text/xml" in asked.headers["content-type"]
    answers = {
        one.get("id"): one.findtext("deleted") for one in etree.fromstring(asked.content).iter("entity")
    }
    assert answers == {JOHNNY: "true", MEGAN: "false"}


def test_a_list_is_fetched_again_when_it_changed_and_only_then(live):
    world = World(live.node)
    world.johnny()
    before = manifest(live, "people")["people.csv"]
    first = live.client.get(before["downloadUrl"], headers=COLLECT)
    again = live.client.get(before["downloadUrl"], headers=COLLECT | {"If-None-Match": first.headers["etag"]})
    assert (again.status_code, manifest(live, "people")["people.csv"]) == (304, before)
    world.send(record("r1", base=1, status="arrived"))
    after = manifest(live, "people")["people.csv"]
    assert after["hash"] != before["hash"]
    changed = live.client.get(
        after["downloadUrl"], headers=COLLECT | {"If-None-Match": first.headers["etag"]}
    )
    assert changed.status_code == 200
    world.delete()
    assert manifest(live, "people")["people.csv"]["hash"] not in {before["hash"], after["hash"]}


def test_a_file_that_somebody_gave_stands_before_the_generated_list(live):
    World(live.node)
    set_media(live.node, 1, "people", "people.csv", b"name,label\na,A\n")
    file = manifest(live, "people")["people.csv"]
    assert ("type" in file, rows(live, file["downloadUrl"])) == (False, [{"name": "a", "label": "A"}])


def test_every_row_has_what_collect_wants_also_without_a_label(live):
    world = World(live.node)
    world.send(record("two", MEGAN, verb="create", base="", name='Meg "the\nbest", ممد'))
    (row,) = rows(live, manifest(live, "people")["people.csv"]["downloadUrl"])
    assert (row["label"], row["__version"], row["first_name"]) == (
        "people 12345678",
        "1",
        'Meg "the\nbest", ممد',
    )


def test_a_hundred_pages_of_entities_are_streamed_each_once(node):
    world = World(node)
    wanted = [Wanted(label=f"Person {number}", data={"age": str(number % 100)}) for number in range(2500)]
    api.create_entities(
        node, ADMINISTRATOR, 1, "people", Bulk(entities=wanted, source=Source(name="people.csv"))
    )

    chunks = list(entity_lists.for_tablets(node.engine, entity_lists.get(node, 1, "people")))
    assert len(chunks) == 4
    listed = list(csv.DictReader(io.StringIO(b"".join(chunks).decode())))
    assert len({row["name"] for row in listed}) == len(listed) == len(world.listed()) == 2500


# What never leaves

FLAGGED = PEOPLE.replace("| save_to    |", "| save_to    | chapar::flags |").replace(
    "| Age    | age        |", "| Age    | age        | P |"
)


def exposed(live: Live) -> list[str]:
    answer = live.client.get(manifest(live, "people")["people.csv"]["downloadUrl"], headers=COLLECT)
    return answer.content.decode().splitlines()[0].split(",")


@pytest.mark.parametrize("letter", ["P", "S", "G"])
def test_a_restricted_property_is_in_no_list_however_it_came(live, letter):
    publish(live.node, 1, FLAGGED.replace("| P |", f"| {letter} |").encode(), "people.md", {})
    send(live, create())
    live.node.catch_up()
    assert exposed(live) == ["name", "label", "__version", "first_name", "status"]
    told = api.get_entity(live.node, ADMINISTRATOR, 1, "people", MEGAN)
    assert "age" not in told["currentVersion"]["data"]
    assert "age" not in told["currentVersion"]["dataReceived"]
    whole = api.get_entity(live.node, ADMINISTRATOR, 1, "people", MEGAN, personal=True)
    assert whole["currentVersion"]["data"]["age"] == "20"


def test_a_later_version_that_flags_a_property_takes_it_off_the_list_and_none_puts_it_back(live):
    World(live.node).send(create())
    assert "age" in exposed(live)
    before = manifest(live, "people")["people.csv"]["hash"]
    publish(live.node, 1, FLAGGED.replace("| 1      |", "| 2      |").encode(), "people.md", {})
    assert "age" not in exposed(live)
    assert manifest(live, "people")["people.csv"]["hash"] != before
    unflagged = PEOPLE.replace("| 1      |", "| 3      |").encode()
    publish(live.node, 1, unflagged, "people.md", {}, Consent(frozenset({"protection-removed:/age"})))
    assert "age" not in exposed(live)


@pytest.mark.parametrize("through", ["", "| | calculate | shown | | | | | concat(${name}, '!') |"])
def test_a_label_made_of_restricted_answers_is_replaced_by_a_neutral_one(live, through):
    form = f"""
    | survey | | | | | | |
    | | type | name | label | save_to | chapar::flags | calculation |
    | | text | name | Name | | P | |
    {through.replace("| | | | |", "| | | |") if through else ""}
    | | text | need | Need | need | H | |
    | entities | | | | | | |
    | | list_name | label | | | | |
    | | cases | concat(${{{"shown" if through else "name"}}}, ' ', ${{need}}) | | | | |
    | settings | | | | | | |
    | | form_title | form_id | version | | | |
    | | Case | case | 1 | | | |
    """
    publish(live.node, 1, "\n".join(line.strip() for line in form.splitlines()).encode(), "case.md", {})
    xml = (
        '<data id="case" version="1"><name>Zahra</name><need>food</need><meta><instanceID>c1</instanceID>'
        f'<entity dataset="cases" create="1" id="{MEGAN}"><label>Zahra food</label></entity></meta></data>'
    )
    send(live, xml.encode())
    live.node.catch_up()
    told = api.list_entities(live.node, ADMINISTRATOR, 1, "cases")
    assert told[0]["currentVersion"]["label"] == "cases 12345678"
    versions = api.list_versions(live.node, ADMINISTRATOR, 1, "cases", MEGAN)
    assert "Zahra" not in repr((told, versions))


# The bundled forms


def test_a_case_made_by_the_assessment_is_followed_up_on_a_tablet(live):
    for name in ("protection_needs_assessment", "referral_follow_up"):
        done = publish_file(live.node, 1, BUNDLED / f"{name}.xlsx")
        assert done.missing == ()
    form = blank(live, "protection_needs_assessment")
    given = {"/pcons/p_consent": "yes", "/pcons/p_fu_ok": "yes"}
    assessed = fill.fill(form, now=NOW, chance=random.Random(5), given=given)
    assert send(live, assessed.xml).status_code == 201
    live.node.catch_up()
    (case,) = rows(live, manifest(live, "referral_follow_up")["cases.csv"]["downloadUrl"])
    assert (case["status"], case["__version"]) == ("open", "1")
    assert case["case_code"] in case["label"]
    contact = {
        "/fucase/case_ref": case["name"],
        "/fucase/fu_result": "not_reached",
        "/fuend/fu_status": "on_hold",
    }
    followed = fill.fill(blank(live, "referral_follow_up"), now=NOW, chance=random.Random(6), given=contact)
    assert send(live, followed.xml).status_code == 201
    live.node.catch_up()
    (after,) = rows(live, manifest(live, "referral_follow_up")["cases.csv"]["downloadUrl"])
    assert (after["name"], after["status"], after["__version"]) == (case["name"], "on_hold", "2")
    assert after["last_result"] == "not_reached"
    assert {name: after[name] for name in ("need_1", "vuln", "hh_size")} == {
        name: case[name] for name in ("need_1", "vuln", "hh_size")
    }


def blank(live: Live, form_id: str) -> fill.TabletForm:
    definition = live.client.get(form_list(live)[form_id]["downloadUrl"], headers=COLLECT).content
    files = {
        name: live.client.get(file["downloadUrl"], headers=COLLECT).content
        for name, file in manifest(live, form_id).items()
    }
    return prepare(xform.read(definition), definition, files)
