"""The demonstration reconciles, and says so when it does not."""

from __future__ import annotations

import hashlib
import io
import random
import shutil
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import httpx2
import orjson
import pandas as pd
import pytest

from forms import fill
from forms.compile import compile_form
from forms.schema import Field, Flag
from server.demo.collect import Part, parts
from server.demo.exported import expected_tables, read_export
from server.demo.link import Fault, Link, LinkError
from server.demo.program import DemoError, serving
from server.demo.reconcile import Case
from server.demo.records import Brought, Fate, Finished, Ledger
from server.demo.report import Narrator
from server.demo.resolution import STEPS
from server.demo.run import Played, conclude, play
from server.demo.story import HOUSEHOLD_ID, SHELTER_ID, Scale
from server.demo.tablet import Tablet

REGISTRY = "flow_monitoring_registry"
RECORDS = {REGISTRY: 4, "flow_monitoring_survey": 2, HOUSEHOLD_ID: 2, SHELTER_ID: 4}
SMALL = Scale(tablets=2, records=RECORDS, edits=1)
NESTED = """
| survey |
| | type | name | label | chapar::flags |
| | begin_group | home | Home | |
| | begin_repeat | person | Person | |
| | text | name | Name | P |
| | geopoint | place | Place | |
| | begin_repeat | card | Card | |
| | text | number | Number | |
| | end_repeat | | | |
| | end_repeat | | | |
| | end_group | | | |
| settings |
| | form_id | version |
| | nested | 1 |
"""


@dataclass(frozen=True)
class Demo:
    played: Played
    out: Path

    @property
    def shelter(self) -> Case:
        return self.played.cases[SHELTER_ID]

    @property
    def household(self) -> Case:
        return self.played.cases[HOUSEHOLD_ID]

    def with_shelter(self, case: Case) -> Demo:
        return self._with(SHELTER_ID, case)

    def with_household(self, case: Case) -> Demo:
        return self._with(HOUSEHOLD_ID, case)

    def _with(self, form_id: str, case: Case) -> Demo:
        return replace(self, played=replace(self.played, cases={**self.played.cases, form_id: case}))


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    home, out = tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("out")
    return Demo(play(home, out, 3, SMALL, Narrator(as_json=True)), out)


def wrong_figures(demo: Demo, capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The figures that the demonstration says do not reconcile; its exit code must say the same."""
    code = conclude(demo.played, demo.out, 3, Narrator(as_json=True), as_json=True)
    said = orjson.loads(capsys.readouterr().out)
    wrong = {name for name, figure in said["figures"].items() if not figure["reconciled"]}
    assert (code, said["reconciled"]) == ((1, False) if wrong else (0, True))
    return wrong


def edited_apart(demo: Demo) -> str:
    """The household that two tablets edited."""
    (found,) = (record for record, one in demo.household.expected.items() if one.contested)
    return found


def finished(xml: str, files: dict[str, bytes]) -> Finished:
    return Finished("nested", "uuid:1", fill.FilledForm(xml.encode(), files, "uuid:1"))


def test_demo_reconciles(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    assert wrong_figures(demo, capsys) == set()


def test_demo_shows_every_fault_of_the_link(demo: Demo) -> None:
    known = [case.known for case in demo.played.cases.values()]
    posts = sum((one.posts for one in known), Counter[Fate]())
    arrivals = sum((one.arrivals for one in known), Counter[Brought]())
    assert posts[Fate.ANSWER_LOST] >= 2
    assert posts[Fate.CUT_OFF] >= 2
    assert arrivals[Brought.FILES] >= 4  # split attachments
    assert arrivals[Brought.NOTHING] >= 10  # six equal posts at once, twice
    assert demo.shelter.stored.open_conflicts == 1
    assert demo.shelter.stored.edits >= 2  # before their parents


def test_demo_joins_what_two_tablets_changed_apart(demo: Demo) -> None:
    record = edited_apart(demo)
    expected = demo.household.expected[record]
    assert expected.joined == {("", record, "pna-pbas-p_hungry"), ("", record, "pna-pbas-p_fare")}
    assert expected.contested == {("", record, "pna-pbas-p_sleep"): {"no", "dont_know"}}
    shown = demo.household.exported.tables[""][record]
    assert (shown["pna-pbas-p_hungry"], shown["pna-pbas-p_fare"]) == ("4", "no")


def test_demo_leaves_csvs_that_pandas_opens(demo: Demo) -> None:
    for case in demo.played.cases.values():
        frame = pd.read_csv(demo.out / case.exported.names[0])
        assert set(frame["KEY"]) == set(case.known.by_record)
    remarks = pd.read_csv(demo.out / f"{SHELTER_ID}.csv")["remark"].dropna()
    assert remarks.str.contains("[آ-ی]").any()


def test_demo_tells_people_what_is_wrong_and_what_to_do_next(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    assert conclude(replace(demo.played, quarantined=1), demo.out, 3, Narrator(as_json=False), as_json=False)
    said = capsys.readouterr().out
    assert said.count("✗") == 1
    assert "Does not reconcile: Could not be read" in said
    assert str(demo.out / f"{REGISTRY}.csv") in said
    assert "chapar serve" in said


def test_record_that_the_server_lost_does_not_reconcile(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = demo.shelter.stored
    lost = demo.shelter.known.finished[0]
    doctored = replace(
        stored,
        submissions=stored.submissions - 1,
        revisions=stored.revisions - 1,
        records=stored.records - {lost.record},
        revision_keys=stored.revision_keys - {lost.key},
    )
    wrong = wrong_figures(demo.with_shelter(replace(demo.shelter, stored=doctored)), capsys)
    assert wrong == {"submissions", "revisions", "posts_acknowledged", "repeats_absorbed"}


def test_revision_with_other_bytes_does_not_reconcile_though_the_number_is_right(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    stored = demo.shelter.stored
    instance_id, digest = demo.shelter.known.finished[0].key
    keys = stored.revision_keys - {(instance_id, digest)} | {(instance_id, digest[::-1])}
    doctored = replace(demo.shelter, stored=replace(stored, revision_keys=keys))
    assert wrong_figures(demo.with_shelter(doctored), capsys) == {"revisions"}


def test_the_manifests_reconcile_with_the_table_and_the_files(demo: Demo) -> None:
    for form_id, case in demo.played.cases.items():
        manifest = orjson.loads((demo.out / f"{form_id}.manifest.json").read_bytes())
        assert manifest["records"]["exported"] == len(case.known.by_record)
        assert [one["rows"] for one in manifest["tables"]] == [
            len(rows) for rows in case.exported.tables.values()
        ]
        for one in manifest["files"]:
            content = (demo.out / one["name"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == one["sha256"]
            assert not pd.read_csv(io.BytesIO(content), dtype=str).columns.empty


def test_unfinished_business_does_not_reconcile(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    known = demo.shelter.known
    doctored = replace(
        demo.shelter,
        known=replace(known, acknowledged=frozenset(), posts=known.posts + Counter([Fate.FAILED])),
    )
    assert wrong_figures(demo.with_shelter(doctored), capsys) == {"finished", "posts"}


def test_server_that_does_not_stop_as_asked_does_not_reconcile(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    doctored = replace(demo, played=replace(demo.played, server_exit_code=-9))
    assert wrong_figures(doctored, capsys) == {"server_exit_code"}


def test_record_that_did_not_reach_the_centre_or_its_post_does_not_reconcile(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = demo.played.held
    doctored = (replace(one, waiting=1), replace(other, keys=other.keys - {next(iter(other.keys))}))
    held = replace(demo, played=replace(demo.played, held=doctored))
    assert wrong_figures(held, capsys) == {"waiting", "post_2"}


def test_decision_that_does_not_come_back_to_the_post_does_not_reconcile(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = demo.played.held
    record = edited_apart(demo)
    old = {**other.rows, record: {**other.rows[record], "pna-pbas-p_sleep": "yes"}}
    held = replace(demo, played=replace(demo.played, held=(one, replace(other, rows=old))))
    assert wrong_figures(held, capsys) == {"decided_at_posts"}


@pytest.fixture
def copied(demo: Demo, tmp_path: Path) -> Path:
    shutil.copytree(demo.out, tmp_path / "out")
    return tmp_path / "out"


def read_again(demo: Demo, out: Path) -> Demo:
    cases = {
        form_id: replace(case, exported=read_export(out, case.exported.names, case.schema))
        for form_id, case in demo.played.cases.items()
    }
    return replace(demo, played=replace(demo.played, cases=cases))


def test_changed_cell_does_not_reconcile(
    demo: Demo, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copied / f"{SHELTER_ID}.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame.loc[0, "people"] += "0"
    frame.to_csv(path, index=False)
    assert wrong_figures(read_again(demo, copied), capsys) == {"exported_cells"}


@pytest.mark.parametrize(("column", "first_told"), [("pna-pbas-p_hungry", "2"), ("pna-pbas-p_fare", "yes")])
def test_merged_record_that_lost_one_side_does_not_reconcile(
    demo: Demo, copied: Path, column: str, first_told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copied / f"{HOUSEHOLD_ID}.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    frame.loc[frame["KEY"] == edited_apart(demo), column] = first_told
    frame.to_csv(path, index=False)
    assert wrong_figures(read_again(demo, copied), capsys) == {"exported_cells", "joined_changes"}


def test_demo_resolves_a_conflict_undoes_it_and_resolves_it_again(demo: Demo) -> None:
    resolution = demo.household.resolution
    assert resolution
    assert resolution.about == (edited_apart(demo), "/pna/pbas/p_sleep", {"no", "dont_know"})
    assert [look.is_open for look in resolution.looks] == [True, False, True, False]
    (other,) = resolution.about.answers - {resolution.chosen}
    assert [look.shown for look in resolution.looks] == [other, resolution.chosen, other, resolution.chosen]


def test_conflict_that_nobody_was_asked_about_does_not_reconcile(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    doctored = replace(demo.household, resolution=None)
    wrong = wrong_figures(demo.with_household(doctored), capsys)
    assert wrong == {"resolution", "open_conflicts", "revisions"}


def test_conflict_that_hides_one_side_does_not_reconcile(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    case = demo.household
    assert case.resolution
    about = case.resolution.about._replace(answers=frozenset({case.resolution.chosen}))
    doctored = replace(case, resolution=replace(case.resolution, about=about))
    assert wrong_figures(demo.with_household(doctored), capsys) == {"resolution", "open_conflicts"}


@pytest.mark.parametrize("step", range(STEPS))
def test_conflict_that_does_not_follow_the_decisions_does_not_reconcile(
    demo: Demo, step: int, capsys: pytest.CaptureFixture[str]
) -> None:
    case = demo.household
    assert case.resolution
    looks = list(case.resolution.looks)
    looks[step] = replace(looks[step], is_open=not looks[step].is_open)
    doctored = replace(case, resolution=replace(case.resolution, looks=tuple(looks)))
    assert wrong_figures(demo.with_household(doctored), capsys) == {"resolution"}


def test_open_conflict_that_is_counted_but_not_listed_does_not_reconcile(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    doctored = replace(demo.shelter, stored=replace(demo.shelter.stored, contested=Counter()))
    assert wrong_figures(demo.with_shelter(doctored), capsys) == {"open_conflicts"}


def test_row_exported_twice_does_not_reconcile(
    demo: Demo, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = copied / f"{SHELTER_ID}.csv"
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    pd.concat([frame, frame[:1]]).to_csv(path, index=False)
    assert wrong_figures(read_again(demo, copied), capsys) == {"exported_rows"}


def test_changed_photo_does_not_reconcile(
    demo: Demo, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = next((copied / "media").glob("*/*.jpg"))
    photo.write_bytes(photo.read_bytes()[:-1])
    assert wrong_figures(read_again(demo, copied), capsys) == {"exported_files"}


def test_personal_column_in_an_export_does_not_reconcile(
    demo: Demo, capsys: pytest.CaptureFixture[str]
) -> None:
    condition = demo.shelter.schema.by_path["/condition"]
    assert isinstance(condition, Field)
    flagged = replace(condition, flags=frozenset({Flag.SENSITIVE}))
    children = tuple(flagged if child is condition else child for child in demo.shelter.schema.children)
    schema = replace(demo.shelter.schema, children=children)
    doctored = replace(demo.shelter, schema=schema)
    assert wrong_figures(demo.with_shelter(doctored), capsys) == {"withheld_columns"}


def test_files_are_split_as_collect_splits_them() -> None:
    files = {"a.jpg": b"x" * 400, "b.jpg": b"x" * 400, "c.jpg": b"x" * 5000, "d.jpg": b"x"}
    one = finished("<data/>" + " " * 93, files)
    assert parts(one, 1000) == [
        Part(("a.jpg", "b.jpg"), incomplete=True),
        Part(("c.jpg",), incomplete=True),
        Part(("d.jpg",), incomplete=False),
    ]
    assert parts(finished("<data/>", {}), 1000) == [Part((), incomplete=False)]


def test_more_than_a_hundred_files_are_split() -> None:
    one = finished("<data/>", {f"{number:03}.jpg": b"x" for number in range(150)})
    assert [len(part.names) for part in parts(one, 10_000)] == [101, 49]


def test_expected_rows_are_named_by_where_they_stand() -> None:
    one = finished(
        "<data><home><person><name>گل</name><place>34.5 61.2 0 0</place><card><number>7</number></card></person>"
        "<person><name/><card><number/></card><card><number>8</number></card></person></home></data>",
        {},
    )
    schema = compile_form(NESTED.encode(), "nested.md").schema
    tables = expected_tables(one, schema)
    person = "uuid:1/home/person"
    assert set(tables["/home/person"]) == {f"{person}[1]", f"{person}[2]"}
    assert tables["/home/person"][f"{person}[1]"] == {
        "name": "گل",
        "place-Latitude": "34.5",
        "place-Longitude": "61.2",
        "place-Altitude": "0",
        "place-Accuracy": "0",
    }
    assert tables["/home/person/card"][f"{person}[2]/card[2]"] == {"number": "8"}


def test_tablet_without_a_server_stays_offline_and_acknowledges_nothing() -> None:
    ledger = Ledger(["nested"])
    one = finished("<data/>", {})
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    tablet = Tablet("Tablet 1", "Milak", url, ledger, random.Random(1))
    ledger.finish(one)
    tablet.send(one)
    tablet.close()
    assert tablet.offline
    assert ledger.count_acknowledged() == 0


def test_answer_that_the_link_loses_must_be_a_201() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as pool:
        work = pool.submit(refuse_once, server)
        request = httpx2.Request("POST", f"http://127.0.0.1:{server.getsockname()[1]}/", content=b"x")
        link = Link(random.Random(1))
        with pytest.raises(LinkError) as caught:
            link.send(request, Fault.ANSWER_LOST)
        link.close()
        work.result()
    assert caught.type is LinkError


def refuse_once(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65536)
        connection.sendall(b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")


def test_server_that_cannot_start_ends_the_demonstration(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("no directory")
    with serving(tmp_path / "data") as server, pytest.raises(DemoError, match="Errno"):
        server.wait_until_listening()
