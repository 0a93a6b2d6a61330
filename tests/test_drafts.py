"""Draft, test, publish: a draft is seen by its designer and its testers alone, and leaves nothing behind."""

from __future__ import annotations

import pytest
from conftest import HOUSEHOLD, Live, household, send
from drafting import LISTED, ON_SQLITE, SHEET, Designer, code, listed, md5, version
from lxml import etree

from server import drafts, publishing


@pytest.fixture
def designer(live: Live) -> Designer:
    return Designer(live)


def test_a_form_is_a_draft_unless_it_is_to_be_published(live, designer):
    sheet = HOUSEHOLD.replace("| household|", "| market   |")
    made = designer.ask(
        "POST", f"{designer.forms}?ignoreWarnings=true", content=sheet.encode(), headers=SHEET
    )
    assert (made.status_code, made.json()["publishedAt"], made.json()["xmlFormId"]) == (200, None, "market")
    assert len(made.json()["draftToken"]) == 64
    assert set(listed(live, live.tablet_url)) == {"household"}
    market = designer.ask("GET", f"{designer.forms}/market").json()
    assert (market["publishedAt"], market["state"]) == (None, "open")
    names = [one["xmlFormId"] for one in designer.ask("GET", designer.forms).json()]
    assert names == ["household", "market"]
    again = designer.ask(
        "POST", f"{designer.forms}?ignoreWarnings=true", content=sheet.encode(), headers=SHEET
    )
    assert code(again) == 409.3
    assert designer.ask("POST", f"{designer.forms}/market/draft/publish").json()["success"]
    assert set(listed(live, live.tablet_url)) == {"household", "market"}


def test_warnings_stop_an_upload_until_they_are_ignored_and_tell_their_cell(designer):
    for url in (designer.forms, f"{designer.forms}?publish=true", f"{designer.form}/draft"):
        answer = designer.ask("POST", url, content=version(2).encode(), headers=SHEET)
        assert (answer.status_code, code(answer)) == (400, 400.16)
        (fault,) = answer.json()["details"]["faults"]
        assert (fault["sheet"], fault["row"], fault["column"]) == ("survey", 8, "parameters")
        assert "max-pixels" in answer.json()["details"]["warnings"]["xlsFormWarnings"][0]
    assert designer.get("/draft").status_code == 404


def test_a_client_of_central_makes_a_form_with_its_list_and_updates_it(live, designer):
    """The requests of pyodk's `forms.create` and `forms.update`."""
    sheet = LISTED.replace("| household|", "| market   |")
    market = f"{designer.forms}/market"
    headers = SHEET | {"X-XlsForm-FormId-Fallback": "market"}
    made = designer.ask(
        "POST", f"{designer.forms}?ignoreWarnings=true&publish=false", content=sheet.encode(), headers=headers
    ).json()
    required = {
        "projectId",
        "xmlFormId",
        "version",
        "hash",
        "state",
        "createdAt",
        "name",
        "enketoId",
        "keyId",
    }
    assert required | {"updatedAt", "publishedAt"} <= made.keys()
    content = iter([b"name,label\n", b"a,A\n"])
    given = designer.ask("POST", f"{market}/draft/attachments/a.csv", content=content).json()
    assert (given["name"], given["type"], given["exists"]) == ("a.csv", "file", True)
    assert {"hash", "blobExists", "datasetExists", "updatedAt"} <= {
        name for name in given if given[name] is not None
    }
    assert designer.ask("POST", f"{market}/draft/publish").json()["success"]
    assert designer.ask("POST", f"{market}/draft").json()["success"]
    designer.ask("POST", f"{market}/draft/attachments/a.csv", content=b"name,label\nb,B\n")
    later = "2026-11-22T08:00:00.123456"
    assert designer.ask("POST", f"{market}/draft/publish", params={"version": later}).json()["success"]
    assert designer.ask("GET", market).json()["version"] == later
    assert [one["version"] for one in designer.ask("GET", f"{market}/versions").json()] == [later, "1"]
    entry = listed(live, live.tablet_url)["market"]
    form = live.client.get(entry["downloadUrl"]).content
    assert (entry["version"], entry["hash"]) == (later, md5(form))
    assert etree.fromstring(form).find(".//{*}instance/{*}data").get("version") == later
    assert live.client.get(f"{live.tablet_url}/forms/market/attachments/a.csv").content.endswith(b"b,B\n")


def test_a_draft_is_told_by_its_changes_and_replaced_under_the_same_address(designer):
    first = designer.draft(version(2, HOUSEHOLD.replace("| size ", "| count "))).json()
    assert [change["rule"] for change in first["changes"]] == ["looks-renamed"]
    url = designer.tester()
    assert designer.draft(version(3)).json()["changes"] == []
    assert designer.tester() == url
    assert designer.get("/draft").json()["version"] == "3"
    assert designer.get("").json()["version"] == "1"


def test_a_draft_of_another_form_or_of_none_is_refused(designer):
    assert code(designer.draft(HOUSEHOLD.replace("| household|", "| market   |"))) == 400.8
    assert designer.ask("POST", f"{designer.forms}/none/draft").status_code == 404
    for path in (
        "/draft",
        "/draft.xml",
        "/draft.xlsx",
        "/draft/fields",
        "/draft/attachments",
        "/draft/submissions",
    ):
        assert code(designer.get(path)) == 404.1
    assert code(designer.publish()) == 404.1
    assert code(designer.ask("DELETE", f"{designer.form}/draft")) == 404.1


def test_only_who_may_publish_sees_a_draft(live, designer):
    designer.draft(version(2))
    coordinator = Designer(live, "coordinator")
    for method, path in (
        ("GET", "/draft"),
        ("GET", "/draft.xml"),
        ("GET", "/draft/submissions"),
        ("GET", "/draft/submissions.csv.zip"),
        ("POST", "/draft"),
        ("POST", "/draft/publish"),
        ("DELETE", "/draft"),
        ("PATCH", ""),
    ):
        answer = coordinator.ask(
            method, coordinator.form + path, json={"state": "closed"} if path == "" else None
        )
        assert answer.status_code == 403, path
    token = live.tablet_url.split("/key/")[1].split("/")[0]
    for url in (
        f"{live.tablet_url}/forms/household/draft.xml",
        f"{live.tablet_url}/forms/household/draft/formList",
        f"{live.url}/v1/test/{token}/projects/1/forms/household/draft/formList",
    ):
        assert live.client.get(url).status_code == 404


def test_a_token_of_a_draft_opens_that_draft_and_nothing_else(live, designer):
    designer.draft(version(2))
    other = HOUSEHOLD.replace("| household|", "| market   |").encode()
    designer.ask("POST", f"{designer.forms}?ignoreWarnings=true", content=other, headers=SHEET)
    url = designer.tester()
    assert set(listed(live, url)) == {"household"}
    token = url.split("/test/")[1].split("/")[0]
    for wrong in (
        url.replace("household", "market"),
        url.replace("projects/1", "projects/2"),
        url.replace(token, token[:-1]),
        f"{live.url}/v1/key/{token}/projects/1",
    ):
        assert live.client.get(f"{wrong}/formList").status_code in {401, 404}
        assert send(live, household(), url=wrong).status_code in {401, 404}
    bearer = {"Authorization": f"Bearer {token}"}
    assert live.client.get(designer.form, headers=bearer).status_code == 401


def test_collect_downloads_the_draft_with_its_own_list_and_the_published_form_keeps_its(live, designer):
    publishing.publish(
        live.node, 1, LISTED.replace("| household| 1", "| household| 2").encode(), "h.md", {"a.csv": b"old"}
    )
    designer.draft(version(3, LISTED))
    url = designer.tester()
    entry = listed(live, url)["household"]
    assert md5(live.client.get(entry["downloadUrl"]).content) == entry["hash"]
    assert entry["downloadUrl"] == f"{url}.xml"
    assert live.client.get(f"{url}/attachments/a.csv").content == b"old"
    designer.ask("POST", f"{designer.form}/draft/attachments/a.csv", content=b"new")
    manifest = etree.fromstring(live.client.get(entry["manifestUrl"]).content)
    (file,) = ({etree.QName(child).localname: child.text for child in one} for one in manifest)
    assert (file["filename"], file["hash"]) == ("a.csv", md5(b"new"))
    got = live.client.get(file["downloadUrl"])
    assert got.content == b"new"
    assert (
        live.client.get(file["downloadUrl"], headers={"If-None-Match": got.headers["etag"]}).status_code
        == 304
    )
    assert live.client.get(f"{live.tablet_url}/forms/household/attachments/a.csv").content == b"old"
    designer.publish()
    assert live.client.get(f"{live.tablet_url}/forms/household/attachments/a.csv").content == b"new"


def test_a_file_taken_from_a_draft_is_the_forms_until_publishing(live, designer):
    publishing.publish(live.node, 1, version(2, LISTED).encode(), "h.md", {"a.csv": b"old"})
    designer.draft(version(3, LISTED))
    file = f"{designer.form}/draft/attachments/a.csv"
    assert designer.ask("DELETE", file).json() == {"success": True}
    assert designer.ask("DELETE", file).status_code == 404
    assert [one["exists"] for one in designer.get("/draft/attachments").json()] == [False]
    assert [one["exists"] for one in designer.get("/attachments").json()] == [True]
    assert designer.publish().json()["missing"] == ["a.csv"]
    assert [one["exists"] for one in designer.get("/attachments").json()] == [False]
    assert designer.ask("POST", f"{designer.form}/draft/attachments/b.csv", content=b"x").status_code == 404


def test_a_list_changed_on_the_form_meanwhile_is_not_undone_by_publishing(live, designer):
    publishing.publish(live.node, 1, version(2, LISTED).encode(), "h.md", {"a.csv": b"old"})
    designer.draft(version(3, LISTED))
    publishing.set_media(live.node, 1, "household", "a.csv", b"newer")
    designer.publish()
    assert live.client.get(f"{live.tablet_url}/forms/household/attachments/a.csv").content == b"newer"


def test_publishing_a_draft_asks_for_the_same_consent_as_publishing_a_sheet(designer):
    designer.draft(version(2, HOUSEHOLD.replace("| size ", "| count ")))
    assert code(designer.publish()) == 409.31
    done = designer.publish("?rename=size%3Dcount").json()
    assert [change["rule"] for change in done["changes"]] == ["renamed"]
    assert designer.get("/draft").status_code == 404


def test_other_content_under_a_published_version_stays_a_draft(designer):
    designer.draft(HOUSEHOLD.replace("| Head ", "| Name of the head "))
    assert code(designer.publish()) == 409.6
    assert designer.publish("?version=2").json()["version"] == "2"
    assert designer.get("/draft").status_code == 404


@pytest.mark.parametrize("meanwhile", ["publish", "replace", "drop"])
def test_of_two_designers_at_once_one_is_told(live, designer, monkeypatch, meanwhile):
    designer.draft(version(2))
    publish_edition = publishing.publish_edition

    def overtaken(*given, **more):
        monkeypatch.setattr(publishing, "publish_edition", publish_edition)
        match meanwhile:
            case "publish":
                assert designer.publish().status_code == 200
            case "replace":
                designer.draft(version(3))
            case "drop":
                drafts.drop(live.node, 1, "household")
        return publish_edition(*given, **more)

    monkeypatch.setattr(publishing, "publish_edition", overtaken)
    assert code(designer.publish()) == 409.32
    versions = [one["version"] for one in designer.get("/versions").json()]
    assert versions == (["2", "1"] if meanwhile == "publish" else ["1"])


def test_the_fields_are_those_that_central_lists(designer):
    by_path = {one["path"]: one for one in designer.get("/fields").json()}
    kinds = {path: one["type"] for path, one in by_path.items()}
    assert list(kinds)[:3] == ["/head", "/size", "/consent"]
    assert (kinds["/consent"], kinds["/needs"], kinds["/place"]) == ("string", "string", "geopoint")
    assert (kinds["/member"], kinds["/member/m_age"], kinds["/meta"]) == ("repeat", "int", "structure")
    assert (by_path["/needs"]["selectMultiple"], by_path["/consent"]["selectMultiple"]) == (True, None)
    assert (by_path["/shelter"]["binary"], by_path["/size"]["binary"]) == (True, None)
    assert designer.get("/versions/1/fields").json() == designer.get("/fields").json()
    designer.draft(version(2, HOUSEHOLD.replace("| size ", "| a.b-c ")))
    assert designer.get("/draft/fields").json()[1]["path"] == "/a.b-c"
    assert designer.get("/draft/fields?odata=true").json()[1] == {
        "path": "/a_b_c",
        "name": "a_b_c",
        "type": "int",
        "binary": None,
        "selectMultiple": None,
    }


@ON_SQLITE
def test_a_sheet_is_given_back_as_it_came(live, designer):
    book = publishing.BUNDLED / "flow_monitoring_registry.xlsx"
    form_id = publishing.publish_file(live.node, 1, book).form_id
    form = f"{designer.forms}/{form_id}"
    number = designer.ask("GET", form).json()["version"]
    assert designer.ask("POST", f"{form}/draft").json()["success"]
    for path in (".xlsx", f"/versions/{number}.xlsx", "/draft.xlsx"):
        answer = designer.ask("GET", form + path)
        assert (answer.status_code, answer.content) == (200, book.read_bytes()), path
        assert "spreadsheetml" in answer.headers["content-type"]
    assert designer.ask("GET", f"{form}.xls").status_code == 404
    assert designer.get(".xlsx").status_code == 404
    assert designer.ask("GET", f"{form}/versions/{number}").json()["version"] == number
    assert designer.ask("GET", f"{form}/draft.xml").content == designer.ask("GET", f"{form}.xml").content


@ON_SQLITE
def test_a_form_with_a_dot_in_its_name_is_still_a_form(live, designer):
    publishing.publish(live.node, 1, HOUSEHOLD.replace("| household|", "| a.b      |").encode(), "h.md", {})
    assert designer.ask("GET", f"{designer.forms}/a.b").json()["xmlFormId"] == "a.b"
    assert designer.ask("GET", f"{designer.forms}/a.b/versions/1").json()["version"] == "1"


def test_a_form_is_closed_and_opened_over_rest(live, designer):
    changed = designer.ask("PATCH", designer.form, json={"state": "closed"})
    assert (changed.status_code, changed.json()["state"]) == (200, "closed")
    xml = {"Content-Type": "application/xml"}
    url = f"{designer.form}/submissions"
    assert designer.ask("POST", url, content=household(), headers=xml).status_code == 202
    assert designer.ask("PATCH", designer.form, json={"state": "open"}).json()["submissions"] == 1
    assert designer.ask("PATCH", designer.form, json={"state": "ajar"}).status_code == 400
    assert designer.ask("PATCH", f"{designer.forms}/none", json={"state": "open"}).status_code == 404
