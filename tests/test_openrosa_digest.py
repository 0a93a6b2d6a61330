"""HTTP Digest as okhttp-digest does it for Collect: challenge, answer, the nonce used again, its end."""

from __future__ import annotations

import hashlib
import re
import time
from dataclasses import dataclass, field

import httpx2
import pytest
from conftest import Live, household

from server import enrolment
from server.enrolment import Enrolment
from server.openrosa import digest
from server.store import submissions
from server.store.engine import reading

ON_SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""For what is decided before any database is asked."""


def md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@dataclass
class Tablet:
    """The client side of Digest: keeps its nonce and counts its uses."""

    live: Live
    user: str
    password: str
    nonce: str = ""
    uses: int = 0
    sent: list[str] = field(default_factory=list)

    def request(self, method: str, path: str, **more: object) -> httpx2.Response:
        """Send with what is known; answer one challenge."""
        answer = self.send(method, path, **more)
        if answer.status_code == 401 and self.take_nonce(answer):
            answer = self.send(method, path, **more)
        return answer

    def send(self, method: str, path: str, **more: object) -> httpx2.Response:
        headers = {"X-OpenRosa-Version": "1.0"}
        if self.nonce:
            self.uses += 1
            headers["Authorization"] = self.authorization(method, path)
            self.sent.append(headers["Authorization"])
        return self.live.client.request(method, self.live.url + path, headers=headers, **more)

    def take_nonce(self, answer: httpx2.Response) -> bool:
        """Return whether there is a new nonce to try; without one (or stale) the password is wrong."""
        challenge = answer.headers.get_list("www-authenticate")[0]
        had_one = bool(self.nonce)
        (self.nonce,) = re.findall(r'nonce="([^"]+)"', challenge)
        self.uses = 0
        return not had_one or "stale=true" in challenge

    def authorization(self, method: str, uri: str, qop: str = "auth") -> str:
        nc, cnonce = f"{self.uses:08x}", "0a4f113b"
        known = md5(f"{self.user}:{digest.REALM}:{self.password}")
        response = md5(f"{known}:{self.nonce}:{nc}:{cnonce}:{qop}:{md5(f'{method}:{uri}')}")
        return (
            f'Digest username="{self.user}", realm="{digest.REALM}", nonce="{self.nonce}", uri="{uri}", '
            f'response="{response}", qop={qop}, nc={nc}, cnonce="{cnonce}", algorithm=MD5'
        )


@pytest.fixture
def enrolled(live: Live) -> Enrolment:
    return enrolment.create_app_user(live.node, 1, "by hand")


@pytest.fixture
def tablet(live: Live, enrolled: Enrolment) -> Tablet:
    return Tablet(live, enrolled.username, enrolled.password)


LIST = "/v1/projects/1/formList?deviceID=collect%3Aabc"
SUBMISSION = "/v1/projects/1/submission?deviceID=collect%3Aabc"


def files(instance_id: str = "uuid:1") -> dict[str, tuple[str, bytes, str]]:
    return {"xml_submission_file": ("پایش.xml", household(instance_id), "text/xml")}


def test_one_challenge_serves_list_head_and_post_with_a_rising_count(live, tablet):
    assert tablet.request("GET", LIST).status_code == 200
    assert tablet.request("HEAD", SUBMISSION).status_code == 204
    assert tablet.request("POST", SUBMISSION, files=files()).status_code == 201
    assert [re.findall(r"nc=(\d+)", sent)[0] for sent in tablet.sent] == ["00000001", "00000002", "00000003"]
    assert len({re.findall(r'nonce="([^"]+)"', sent)[0] for sent in tablet.sent}) == 1
    live.node.catch_up()
    with reading(live.node.engine) as connection:
        (only,) = submissions.list_submissions(connection, 1, "household", after=0, limit=9)
    assert (only.submitter_name, only.device_id) == ("by hand", "collect:abc")


@ON_SQLITE
def test_a_post_is_challenged_first_and_then_taken(tablet):
    refused = tablet.send("POST", SUBMISSION, files=files())
    assert refused.status_code == 401
    assert tablet.take_nonce(refused)
    assert tablet.send("POST", SUBMISSION, files=files()).status_code == 201


@ON_SQLITE
def test_the_urls_of_the_list_work_with_the_same_credentials(live, tablet):
    (url,) = re.findall("<downloadUrl>(.*?)</downloadUrl>", tablet.request("GET", LIST).text)
    assert "/key/" not in url
    assert tablet.request("GET", url.removeprefix(live.url)).status_code == 200


@ON_SQLITE
def test_an_old_nonce_is_stale_and_asks_nobody_for_a_password(tablet, monkeypatch):
    assert tablet.request("GET", LIST).status_code == 200
    a_day_later = time.time() + digest.NONCE_S + 1
    monkeypatch.setattr(digest.time, "time", lambda: a_day_later)
    refused = tablet.send("GET", LIST)
    assert refused.status_code == 401
    assert "stale=true" in refused.headers.get_list("www-authenticate")[0]
    assert tablet.take_nonce(refused)
    assert tablet.send("GET", LIST).status_code == 200


@ON_SQLITE
def test_a_nonce_of_another_process_is_stale_and_a_made_up_one_too(tablet):
    for nonce in ("1700000000-" + "0" * 32, "x", "-", "9" * 5000 + "-1"):
        tablet.nonce, tablet.uses = nonce, 0
        refused = tablet.send("GET", LIST)
        assert (refused.status_code, "stale=true" in str(refused.headers)) == (401, True)


@ON_SQLITE
def test_a_wrong_password_is_refused_without_stale(tablet):
    tablet.password = "wrong"
    refused = tablet.request("GET", LIST)
    assert refused.status_code == 401
    assert "stale" not in str(refused.headers)
    assert "<message" in refused.text


def test_an_unknown_user_and_one_of_another_project_are_refused(tablet):
    assert tablet.request("GET", LIST.replace("/1/", "/2/")).status_code == 401
    tablet.user = "tablet-nobody"
    assert tablet.request("GET", LIST).status_code == 401


def test_a_withdrawn_tablet_gets_403(live, tablet, enrolled):
    assert tablet.request("GET", LIST).status_code == 200
    enrolment.revoke_app_user(live.node, 1, enrolled.id)
    assert tablet.request("GET", LIST).status_code == 403


@ON_SQLITE
def test_an_answer_made_for_one_request_opens_no_other(live, tablet):
    assert tablet.request("GET", LIST).status_code == 200
    stolen = {"Authorization": tablet.sent[-1]}
    for method, path in (
        ("GET", "/v1/projects/1/formList"),
        ("GET", LIST + "x"),
        ("GET", "/v1/projects/1/forms/household.xml"),
        ("HEAD", SUBMISSION),
        ("POST", SUBMISSION),
        ("HEAD", LIST),
    ):
        answer = live.client.request(method, live.url + path, headers=stolen)
        assert answer.status_code in {401, 405}, path
    assert (
        live.client.get(f"{live.url}/v1/projects/1/forms/household/submissions", headers=stolen).status_code
        == 401
    )


@ON_SQLITE
def test_a_uri_that_differs_from_the_request_is_refused(live, tablet):
    tablet.request("GET", LIST)
    tablet.uses += 1
    header = tablet.authorization("GET", "/v1/projects/1/formList")
    assert live.client.get(live.url + LIST, headers={"Authorization": header}).status_code == 401


TAMPERED = [
    (r"response=\"[0-9a-f]", 'response="x'),
    (r", qop=auth", ", qop=auth-int"),
    (r", qop=auth", ""),
    (r"nc=0", "nc=1"),
    (r"cnonce=\"0", 'cnonce="1'),
    (r"username=", "user="),
    (r"Digest .*", "Digest"),
    (r"Digest .*", 'Digest username="'),
    (r"Digest .*", "Digest ,,,=,="),
    (r"Digest .*", "Digest " + ",".join(["a=b"] * 5000)),
]


@ON_SQLITE
def test_a_tampered_or_broken_header_is_refused(live, tablet):
    tablet.request("GET", LIST)
    for old, new in TAMPERED:
        tablet.uses += 1
        header = re.sub(old, new, tablet.authorization("GET", LIST), count=1)
        answer = live.client.get(live.url + LIST, headers={"Authorization": header})
        assert answer.status_code == 401, new[:40]
    assert tablet.request("GET", LIST).status_code == 200
