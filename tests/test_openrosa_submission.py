"""What a stock Collect gets for `HEAD` and `POST submission`, and what is stored then."""

from concurrent.futures import ThreadPoolExecutor

from conftest import Live, household, send

from server.store import journal, submissions
from server.store.engine import reading
from server.store.submissions import StoredSubmission


def stored(live: Live) -> list[StoredSubmission]:
    live.node.catch_up()
    with reading(live.node.engine) as connection:
        return submissions.list_submissions(connection, 1, "household", after=0, limit=100)


def test_head_moves_collect_to_the_submission_url_and_names_the_limit(live):
    answer = live.client.head(f"{live.tablet_url}/submission?deviceID=collect%3Aabc")
    assert answer.status_code == 204
    assert answer.headers["location"] == f"{live.tablet_url}/submission"
    assert answer.headers["x-openrosa-accept-content-length"] == "100000000"
    assert answer.headers["x-openrosa-version"] == "1.0"


def test_a_submission_is_stored_byte_for_byte_before_it_is_acknowledged(live):
    xml = household(extra="<head>زهرا‌ي  \n کریمی</head>")
    answer = send(live, xml)
    assert answer.status_code == 201
    assert "full submission upload was successful!" in answer.text
    with reading(live.node.engine) as connection:
        head = journal.head_position(connection)
        assert journal.read_entry(connection, head).body == xml


def test_six_identical_posts_at_once_are_one_record_and_six_201s(live):
    xml = household()
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: send(live, xml).status_code, range(6)))
    assert answers == [201] * 6
    assert [one.instance_id for one in stored(live)] == ["uuid:1"]


def test_other_content_under_one_instance_id_is_kept_as_a_conflict(live):
    assert [send(live, household(size=size)).status_code for size in "56"] == [201, 201]
    (only,) = stored(live)
    assert only.open_conflicts == 1


def test_the_original_sent_again_after_an_edit_is_a_repeat(live):
    send(live, household())
    send(live, household("uuid:2", "7", deprecated_id="uuid:1"))
    assert send(live, household()).status_code == 201
    (only,) = stored(live)
    assert (only.instance_id, only.current_id, only.edits, only.open_conflicts) == ("uuid:1", "uuid:2", 1, 0)


def test_an_edit_that_arrives_before_its_parent_joins_it(live):
    send(live, household("uuid:2", "7", deprecated_id="uuid:1"))
    assert [one.parent_missing for one in stored(live)] == [True]
    send(live, household())
    (only,) = stored(live)
    assert (only.instance_id, only.current_id, only.parent_missing) == ("uuid:1", "uuid:2", False)


def test_five_edits_of_one_base_at_once_leave_one_record_that_lists_them_all(live):
    send(live, household())
    edits = [household(f"uuid:e{size}", str(size), deprecated_id="uuid:1") for size in range(5)]
    with ThreadPoolExecutor(5) as pool:
        assert set(pool.map(lambda xml: send(live, xml).status_code, edits)) == {201}
    (only,) = stored(live)
    assert (only.edits, only.open_conflicts) == (5, 1)


def test_a_missing_instance_id_gets_one_that_a_retry_gets_again(live):
    assert [send(live, household(None)).status_code for _ in range(2)] == [201, 201]
    (only,) = stored(live)
    assert only.instance_id.startswith("uuid:")


def test_a_value_of_the_wrong_type_is_kept_and_marked(live):
    assert send(live, household(size="many")).status_code == 201
    (only,) = stored(live)
    assert '"/size"' in only.problems
    assert "many" not in only.problems
    assert '"size":"many"' in only.answers


def test_files_may_come_before_with_and_after_their_xml_and_split(live):
    xml = household(extra="<shelter>1.jpg</shelter>")
    assert send(live, xml).status_code == 201
    assert [(one.attachments_expected, one.attachments_present) for one in stored(live)] == [(1, 0)]
    split = [("xml_submission_file", ("a.xml", xml, "text/xml")), ("*isIncomplete*", (None, b"yes"))]
    split.append(("1.jpg", ("1.jpg", b"photo", "image/jpeg")))
    assert live.client.post(f"{live.tablet_url}/submission", files=split).status_code == 201
    assert send(live, xml, {"audit.csv": b"event", "nobody-asked.m4a": b"sound"}).status_code == 201
    (only,) = stored(live)
    assert (only.attachments_expected, only.attachments_present) == (1, 1)
    with reading(live.node.engine) as connection:
        files = submissions.list_attachments(connection, 1, "household", ["uuid:1"])
    assert [file.name for file in files] == ["1.jpg", "audit.csv", "nobody-asked.m4a"]


def test_raw_utf8_and_percent_encoded_quotes_in_file_names_are_understood(live):
    body = (
        (
            '--b\r\nContent-Disposition: form-data; name="xml_submission_file"; filename="پایش.xml"\r\n'
            "Content-Type: text/xml\r\n\r\n"
        ).encode()
        + household()
        + (
            '\r\n--b\r\nContent-Disposition: form-data; name="عکس %22۱%22.jpg"; filename="عکس %22۱%22.jpg"\r\n'
            "Content-Type: image/jpeg\r\n\r\nphoto\r\n--b--\r\n"
        ).encode()
    )
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    assert live.client.post(f"{live.tablet_url}/submission", content=body, headers=headers).status_code == 201
    with reading(live.node.engine) as connection:
        live.node.catch_up()
        files = submissions.list_attachments(connection, 1, "household", ["uuid:1"])
    assert [file.name for file in files] == ['عکس "۱".jpg']


def test_an_unknown_version_of_a_known_form_is_stored_and_marked(live):
    assert send(live, household(version="99")).status_code == 201
    (only,) = stored(live)
    assert "version" in only.problems


def test_an_unknown_tablet_gets_401_and_a_withdrawn_one_403_in_its_languages(live):
    unknown = send(live, household(), url=live.tablet_url.replace("/key/", "/key/x"))
    assert unknown.status_code == 401
    assert "OpenRosaResponse" in unknown.text
    assert "رمزینه" in unknown.text
    from server.enrolment import revoke_app_user
    from server.store import accounts

    with reading(live.node.engine) as connection:
        (tablet,) = accounts.list_app_users(connection, 1)
    revoke_app_user(live.node, 1, tablet.id)
    assert send(live, household()).status_code == 403


def test_device_and_submitter_are_kept_with_the_record(live):
    live.client.post(
        f"{live.tablet_url}/submission?deviceID=collect%3Ax1",
        files=[("xml_submission_file", ("a.xml", household(), "text/xml"))],
    )
    (only,) = stored(live)
    assert (only.device_id, only.submitter_name) == ("collect:x1", "tablet")
