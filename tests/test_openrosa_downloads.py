"""Form list, manifest, forms and media as a stock Collect reads them (its OpenRosaClient and parsers)."""

from __future__ import annotations

import hashlib

import httpx2
import pytest
from conftest import Live
from lxml import etree

from server.problems import Problem
from server.publishing import publish, set_media

ON_SQLITE = pytest.mark.parametrize("settings", ["sqlite"], indirect=True)
"""For what is decided before any database is asked."""
FORM = "http://openrosa.org/xforms/xformsList"
MEDIA = "http://openrosa.org/xforms/xformsManifest"
COLLECT = {"X-OpenRosa-Version": "1.0", "User-Agent": "org.odk.collect.android/v2026.3.3 Dalvik"}


def xform(form_id: str, title: str, version: str = "1", more: str = "") -> bytes:
    """An XForm as another tool writes it. more: further instances."""
    return (
        '<h:html xmlns="http://www.w3.org/2002/xforms" xmlns:h="http://www.w3.org/1999/xhtml"><h:head>'
        f'<h:title>{title}</h:title><model><instance><data id="{form_id}" version="{version}"><size/>'
        f'<meta><instanceID/></meta></data></instance>{more}<bind nodeset="/data/size" type="int"/></model></h:head>'
        '<h:body><input ref="/data/size"><label>Size</label></input></h:body></h:html>'
    ).encode()


def get(live: Live, url: str, **headers: str) -> httpx2.Response:
    return live.client.get(url, headers=COLLECT | {"Accept-Encoding": "gzip"} | headers)


def listed(live: Live, **headers: str) -> dict[str, dict[str, str]]:
    """The form list by form ID, refused as Collect refuses one."""
    answer = get(live, f"{live.tablet_url}/formList?deviceID=collect%3Aabc", **headers)
    assert answer.status_code == 200
    assert "text/xml" in answer.headers["content-type"]
    assert answer.headers["x-openrosa-version"]
    root = etree.fromstring(answer.content)
    assert root.tag == f"{{{FORM}}}xforms"
    entries = [{etree.QName(child).localname: child.text or "" for child in one} for one in root]
    assert all(one["formID"] and one["name"] and one["downloadUrl"] for one in entries)
    return {one["formID"]: one for one in entries}


def manifest(live: Live, url: str, **headers: str) -> dict[str, dict[str, str]]:
    answer = get(live, url, **headers)
    assert "text/xml" in answer.headers["content-type"]
    assert answer.headers["x-openrosa-version"]
    root = etree.fromstring(answer.content)
    assert root.tag == f"{{{MEDIA}}}manifest"
    files = [{etree.QName(child).localname: child.text or "" for child in one} for one in root]
    return {one["filename"]: one for one in files}


def md5(content: bytes) -> str:
    return f"md5:{hashlib.md5(content, usedforsecurity=False).hexdigest()}"


@pytest.fixture
def with_media(live: Live) -> Live:
    form = xform("listed", "Listed", more='<instance id="a" src="jr://file-csv/a.csv"/>')
    publish(live.node, 1, form, "listed.xml", {"a.csv": b"name,label\na,A\n"})
    return live


def test_every_hash_is_of_the_exact_bytes_that_its_url_serves(with_media):
    live = with_media
    entries = listed(live)
    assert set(entries) == {"household", "listed"}
    for entry in entries.values():
        form = get(live, f"{entry['downloadUrl']}?deviceID=collect%3Aabc")
        assert (form.status_code, "text/xml" in form.headers["content-type"]) == (200, True)
        assert entry["hash"] == md5(form.content)
        assert etree.fromstring(form.content).find(".//{*}submission[@action]") is None
    (file,) = manifest(live, entries["listed"]["manifestUrl"]).values()
    content = get(live, file["downloadUrl"])
    assert (file["filename"], file["hash"]) == ("a.csv", md5(content.content))
    assert content.content == b"name,label\na,A\n"


def test_a_form_without_media_has_no_manifest_url(with_media):
    entries = listed(with_media)
    assert "manifestUrl" not in entries["household"]
    assert entries["listed"]["manifestUrl"].startswith(with_media.tablet_url)


@ON_SQLITE
def test_urls_name_the_host_and_scheme_that_the_tablet_used(with_media):
    live = with_media
    token = live.tablet_url.partition("/v1/key/")[2]
    entries = listed(live, Host="post-7.local:8383", **{"X-Forwarded-Proto": "https"})
    root = f"https://post-7.local:8383/v1/key/{token}/"
    assert all(one["downloadUrl"].startswith(root) for one in entries.values())
    url = entries["listed"]["manifestUrl"].replace("https://post-7.local:8383", live.url)
    (file,) = manifest(live, url, Host="[fd00::7]:8383").values()
    assert file["downloadUrl"].startswith(f"http://[fd00::7]:8383/v1/key/{token}/")
    head = live.client.head(f"{live.tablet_url}/submission", headers={"Host": "post-7.local"})
    assert head.headers["location"] == f"http://post-7.local/v1/key/{token}/submission"


@ON_SQLITE
def test_a_hostile_host_stays_inside_the_xml(live):
    entries = listed(live, Host='x"><script>&amp;')
    assert "<script>" in entries["household"]["downloadUrl"]


def test_list_manifest_form_and_media_answer_304_to_who_has_them(with_media):
    live = with_media
    entry = listed(live)["listed"]
    (file,) = manifest(live, entry["manifestUrl"]).values()
    urls = [f"{live.tablet_url}/formList", entry["manifestUrl"], entry["downloadUrl"], file["downloadUrl"]]
    for url in urls:
        etag = get(live, url).headers["etag"]
        for known in (etag, f"W/{etag}", f'"other", {etag}'):
            again = get(live, url, **{"If-None-Match": known})
            assert (again.status_code, again.content) == (304, b""), url
            assert (again.headers["etag"], again.headers["x-openrosa-version"]) == (etag, "1.0")
        assert get(live, url, **{"If-None-Match": '"other"'}).status_code == 200


def test_an_older_version_stays_downloadable_byte_for_byte(live):
    first = listed(live)["household"]
    before = get(live, first["downloadUrl"]).content
    publish(live.node, 1, xform("household", "Household", "2"), "household.xml", {})
    second = listed(live)["household"]
    assert (second["version"], first["version"]) == ("2", "1")
    assert second["hash"] != first["hash"]
    assert get(live, first["downloadUrl"]).content == before
    assert get(live, second["downloadUrl"]).content != before


def test_other_bytes_under_a_published_version_are_refused(live):
    form = get(live, listed(live)["household"]["downloadUrl"]).content
    with pytest.raises(Problem) as refused:
        publish(live.node, 1, form.replace(b"Consent", b"Assent"), "household.xml", {})
    assert refused.value.code == 409.6
    assert not publish(live.node, 1, form, "household.xml", {}).is_new


def test_changed_media_show_in_the_manifest_without_a_new_version(with_media):
    live = with_media
    before = listed(live)["listed"]
    (old,) = manifest(live, before["manifestUrl"]).values()
    set_media(live.node, 1, "listed", "a.csv", b"name,label\nb,B\n")
    (new,) = manifest(live, before["manifestUrl"]).values()
    assert new["hash"] == md5(b"name,label\nb,B\n") != old["hash"]
    assert get(live, new["downloadUrl"]).content == b"name,label\nb,B\n"
    assert listed(live)["listed"] == before


@ON_SQLITE
def test_without_credentials_digest_is_offered_first_and_apart_from_basic(live):
    paths = ("formList", "forms/household/manifest", "forms/household/versions/1.xml", "submission")
    for path in paths:
        method = "HEAD" if path == "submission" else "GET"
        answer = live.client.request(method, f"{live.url}/v1/projects/1/{path}", headers=COLLECT)
        assert answer.status_code == 401
        challenges = [value for name, value in answer.headers.multi_items() if name == "www-authenticate"]
        assert [challenge.split()[0] for challenge in challenges] == ["Digest", "Basic"]
        assert 'qop="auth"' in challenges[0]


def test_an_unknown_token_or_project_gets_a_message_and_never_an_empty_list(live):
    """An empty but valid list would remove every form from a tablet."""
    for url in (
        live.tablet_url.replace("/key/", "/key/x"),
        live.tablet_url.replace("projects/1", "projects/2"),
    ):
        answer = get(live, f"{url}/formList")
        assert answer.status_code == 401
        assert "<message" in answer.text
        assert "xforms>" not in answer.text
    for path in ("forms/none/manifest", "forms/household/versions/9.xml", "forms/household/attachments/x"):
        assert get(live, f"{live.tablet_url}/{path}").status_code == 404


@ON_SQLITE
def test_a_trailing_slash_finds_the_list_too(live):
    answer = live.client.get(f"{live.tablet_url}/formList/", headers=COLLECT, follow_redirects=True)
    assert answer.status_code == 200
    assert b"xformsList" in answer.content


def test_names_with_markup_and_direction_marks_arrive_as_written(live):
    names = {
        "markup": "a &lt;b&gt; &amp;amp; \"c\" 'd'",
        "rtl": "پایش \u200fمرز\u200e ‌‍ ۱",
        "emoji": "😀 \u2028",
    }
    for form_id, title in names.items():
        publish(live.node, 1, xform(form_id, title), "x.xml", {})
    entries = listed(live)
    assert entries["markup"]["name"] == "a <b> &amp; \"c\" 'd'"
    assert entries["rtl"]["name"] == names["rtl"]
    assert entries["emoji"]["name"].startswith("😀")


ODD = [
    ("a.b.xml", "1.2.3"),
    ("with space", ""),
    ("http://x.org/form", "v/2?#%"),
    ("فرم", "۱"),
    ("a", "a b&amp;c"),
]


@ON_SQLITE
def test_any_form_id_and_version_can_be_downloaded_by_the_listed_url(live):
    for form_id, version in ODD:
        content = xform(form_id, "Odd", version)
        publish(live.node, 1, content, "x.xml", {})
        entry = listed(live)[form_id]
        assert entry["version"] == version.replace("&amp;", "&")
        form = get(live, entry["downloadUrl"])
        assert (form.status_code, form.content) == (200, content)
        assert entry["hash"] == md5(content)


@ON_SQLITE
def test_gzip_is_used_when_asked_for_and_not_otherwise(live):
    url = listed(live)["household"]["downloadUrl"]
    assert get(live, url).headers["content-encoding"] == "gzip"
    plain = get(live, url, **{"Accept-Encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert int(plain.headers["content-length"]) == len(plain.content)
    assert plain.content == get(live, url).content


@ON_SQLITE
def test_a_tablet_of_the_path_token_gets_no_redirect_and_keeps_its_token_out_of_the_form(live):
    token = live.tablet_url.partition("/v1/key/")[2].partition("/")[0]
    entry = listed(live)["household"]
    assert token in entry["downloadUrl"]
    assert token.encode() not in get(live, entry["downloadUrl"]).content


@ON_SQLITE
def test_the_clock_of_collect_is_never_believed(live):
    """Its Date header is on a 12-hour clock (OkHttpOpenRosaServerClientProvider)."""
    for date in ("Sun, 22 Nov 1970 03:00:00 GMT", "rubbish"):
        assert get(live, f"{live.tablet_url}/formList", Date=date).status_code == 200
