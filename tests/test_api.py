"""REST: who may do what, publishing over HTTP, reading submissions in Central's shape."""

import pytest
from conftest import HOUSEHOLD, PASSWORD, household, send

from server.problems import Problem
from server.publishing import publish


def problem(answer) -> tuple[int, float]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["code"]


def test_nobody_gets_401_with_a_challenge_everywhere(live):
    for path in ("projects", "projects/1/forms", "projects/1/quarantine", "projects/1/app-users", "users"):
        answer = live.client.get(f"{live.url}/v1/{path}")
        assert problem(answer) == (401, 401.2)
        assert answer.headers["www-authenticate"].startswith("Basic")


def test_a_wrong_password_and_an_unknown_address_get_the_same_answer(live, sign_in):
    sign_in("coordinator")
    answers = [
        live.client.post(f"{live.url}/v1/sessions", json={"email": email, "password": "wrong password"})
        for email in ("coordinator@example.org", "nobody@example.org")
    ]
    first, second = (answer.json() | {"requestId": ""} for answer in answers)
    assert first == second
    assert problem(answers[0]) == (401, 401.2)


def test_basic_works_as_well_as_a_session(live, sign_in):
    sign_in("coordinator")
    answer = live.client.get(f"{live.url}/v1/users/current", auth=("coordinator@example.org", PASSWORD))
    assert answer.json()["role"] == "coordinator"


def test_a_coordinator_reads_and_exports_but_neither_publishes_nor_enrols(live, sign_in):
    headers = sign_in("coordinator")
    assert live.client.get(f"{live.url}/v1/projects/1/forms", headers=headers).status_code == 200
    assert live.client.get(f"{live.url}/v1/projects/1/quarantine", headers=headers).status_code == 200
    forms = f"{live.url}/v1/projects/1/forms"
    markdown = headers | {"Content-Type": "text/markdown"}
    assert problem(live.client.post(forms, content=HOUSEHOLD, headers=markdown)) == (403, 403.1)
    tablets = f"{live.url}/v1/projects/1/app-users"
    assert problem(live.client.post(tablets, json={"displayName": "T"}, headers=headers)) == (403, 403.1)
    assert problem(live.client.get(f"{live.url}/v1/users", headers=headers)) == (403, 403.1)


def test_a_tablet_reads_forms_and_sends_and_nothing_else(live):
    assert live.client.get(f"{live.tablet_url}/formList").status_code == 200
    assert live.client.get(f"{live.tablet_url}/forms/household/submissions").status_code == 404
    token = live.tablet_url.split("/key/")[1].split("/")[0]
    headers = {"Authorization": f"Bearer {token}"}
    assert live.client.get(f"{live.url}/v1/projects/1/forms", headers=headers).status_code == 401


def test_a_one_time_password_opens_nothing_until_it_is_changed(live, sign_in):
    headers = sign_in("administrator", one_time=True)
    assert problem(live.client.get(f"{live.url}/v1/users", headers=headers)) == (403, 403.2)
    change = {"old": PASSWORD, "new": "another good password"}
    changed = live.client.put(f"{live.url}/v1/users/current/password", json=change, headers=headers)
    assert changed.status_code == 200
    assert live.client.get(f"{live.url}/v1/users", headers=headers).status_code == 401
    basic = ("administrator@example.org", "another good password")
    assert live.client.get(f"{live.url}/v1/users", auth=basic).status_code == 200


def test_signing_out_ends_the_session(live, sign_in):
    headers = sign_in("coordinator")
    assert live.client.delete(f"{live.url}/v1/sessions/current", headers=headers).status_code == 200
    assert live.client.get(f"{live.url}/v1/users/current", headers=headers).status_code == 401


def test_a_tablet_enrolled_over_rest_can_send_at_once_and_no_more_once_withdrawn(live, sign_in):
    headers = sign_in("administrator")
    tablets = f"{live.url}/v1/projects/1/app-users"
    made = live.client.post(tablets, json={"displayName": "Tablet 7"}, headers=headers).json()
    assert send(live, household(), url=made["serverUrl"]).status_code == 201
    listed = live.client.get(tablets, headers=headers).json()
    assert [(one["displayName"], one["token"]) for one in listed] == [("tablet", None), ("Tablet 7", None)]
    live.client.delete(f"{tablets}/{made['id']}", headers=headers)
    assert send(live, household("uuid:2"), url=made["serverUrl"]).status_code == 403


def test_a_sheet_with_faults_is_refused_with_its_cells(live, sign_in):
    headers = sign_in("administrator") | {"Content-Type": "text/markdown"}
    sheet = HOUSEHOLD.replace("| integer              | size", "| intger               | size")
    answer = live.client.post(f"{live.url}/v1/projects/1/forms", content=sheet, headers=headers)
    assert problem(answer) == (400, 400.8)
    (fault,) = answer.json()["details"]["faults"]
    assert (fault["sheet"], fault["row"], fault["column"]) == ("survey", 3, "type")
    assert "intger" in fault["message"]
    assert fault["fix"]


def test_a_new_version_is_published_beside_the_old_one(live, sign_in):
    headers = sign_in("administrator") | {"Content-Type": "text/markdown"}
    forms = f"{live.url}/v1/projects/1/forms"
    newer = HOUSEHOLD.replace("| household| 1 ", "| household| 2 ")
    assert (
        live.client.post(f"{forms}?publish=true&ignoreWarnings=true", content=newer, headers=headers).json()[
            "version"
        ]
        == "2"
    )
    versions = live.client.get(f"{forms}/household/versions", headers=headers).json()
    assert [one["version"] for one in versions] == ["2", "1"]
    assert live.client.get(f"{forms}/household", headers=headers).json()["version"] == "2"


def test_other_content_under_a_published_version_is_refused(live, sign_in):
    headers = sign_in("administrator") | {"Content-Type": "text/markdown"}
    changed = HOUSEHOLD.replace("| Head ", "| Name of the head ")
    answer = live.client.post(
        f"{live.url}/v1/projects/1/forms?publish=true&ignoreWarnings=true", content=changed, headers=headers
    )
    assert problem(answer) == (409, 409.6)


@pytest.mark.parametrize(
    "changed",
    [
        HOUSEHOLD.replace("| Size      | yes      | Q ", "| Size      | yes      | S "),
        HOUSEHOLD.replace("| chapar::flags |", "| note |"),
    ],
    ids=["other flags", "no flags"],
)
def test_other_marks_under_a_published_version_are_refused_though_the_xform_is_the_same(live, changed):
    with pytest.raises(Problem) as refused:
        publish(live.node, 1, changed.encode(), "household.md", {})
    assert refused.value.code == 409.6
    assert not publish(live.node, 1, HOUSEHOLD.encode(), "household.md", {}).is_new


def test_a_submission_is_read_with_its_versions_its_files_and_its_exact_bytes(live, sign_in):
    headers = sign_in("administrator")
    send(live, household(extra="<shelter>1.jpg</shelter>"), {"1.jpg": b"photo"})
    edit = household("uuid:2", "7", deprecated_id="uuid:1")
    send(live, edit)
    live.node.catch_up()
    url = f"{live.url}/v1/projects/1/forms/household/submissions"

    def get(path: str):
        return live.client.get(f"{url}{path}", headers=headers)

    (listed,) = get("").json()
    assert (listed["instanceId"], listed["edits"], listed["currentVersion"]["instanceId"]) == (
        "uuid:1",
        1,
        "uuid:2",
    )
    assert get("/uuid:1.xml").content == edit
    assert get("/uuid:1/versions/uuid:1.xml").content == household(extra="<shelter>1.jpg</shelter>")
    assert [one["current"] for one in get("/uuid:1/versions").json()] == [True, False]
    assert [one["name"] for one in get("/uuid:1/attachments").json()] == ["1.jpg"]
    assert get("/uuid:1/attachments/1.jpg").content == b"photo"
    assert get("/uuid:2").json()["instanceId"] == "uuid:1"
    assert problem(get("/uuid:404")) == (404, 404.1)


def test_who_may_not_see_personal_answers_gets_neither_bytes_nor_files_that_hold_them(live, sign_in):
    sheet = """
| survey   |       |        |        |               |
|          | type  | name   | label  | chapar::flags |
|          | image | face   | Face   | P             |
|          | image | street | Street |               |
| settings |       |        |        |
|          | form_title | form_id | version |
|          | Faces | faces  | 1      |
"""
    publish(live.node, 1, sheet.encode(), "faces.md", {})
    answers = b"<face>f.jpg</face><street>s.jpg</street><meta><instanceID>uuid:f</instanceID></meta>"
    files = {"f.jpg": b"face", "s.jpg": b"street", "audit.csv": b"where"}
    send(live, b'<data id="faces" version="1">' + answers + b"</data>", files)
    live.node.catch_up()
    headers = sign_in("coordinator")

    def get(path: str):
        url = f"{live.url}/v1/projects/1/forms/faces/submissions/uuid:f{path}"
        return live.client.get(url, headers=headers)

    assert problem(get(".xml")) == (403, 403.1)
    assert problem(get("/versions/uuid:f.xml")) == (403, 403.1)
    assert [one["name"] for one in get("/attachments").json()] == ["s.jpg"]
    assert get("/attachments/s.jpg").content == b"street"
    assert problem(get("/attachments/f.jpg")) == problem(get("/attachments/audit.csv")) == (404, 404.1)


def test_pages_follow_the_order_of_receipt(live, sign_in):
    headers = sign_in("coordinator")
    for number in range(5):
        send(live, household(f"uuid:{number}"))
    live.node.catch_up()
    url = f"{live.url}/v1/projects/1/forms/household/submissions"
    seen, after = [], 0
    while page := live.client.get(url, params={"after": after, "limit": 2}, headers=headers).json():
        seen += [one["instanceId"] for one in page]
        after = page[-1]["position"]
    assert seen == [f"uuid:{number}" for number in range(5)]


def test_posting_an_instance_to_its_form_twice_stores_it_once(live, sign_in):
    headers = sign_in("coordinator") | {"Content-Type": "application/xml"}
    url = f"{live.url}/v1/projects/1/forms/household/submissions"
    answers = [live.client.post(url, content=household(), headers=headers) for _ in range(2)]
    assert [answer.json()["instanceId"] for answer in answers] == ["uuid:1"] * 2
    assert live.client.post(url, content=b"<rubbish", headers=headers).status_code == 202
    other = household("uuid:9", form_id="another")
    assert live.client.post(url, content=other, headers=headers).status_code == 202
