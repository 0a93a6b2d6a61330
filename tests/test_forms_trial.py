"""Trying a form: what is out of reach is reported, what is only rare is not."""

from __future__ import annotations

import json
import random
import subprocess
from datetime import datetime
from pathlib import Path

import commands
import pytest

from forms import workbook
from forms.compile import compile_form
from forms.errors import Fault
from forms.fill_form import prepare
from forms.trial import Trial, Unreached, Unsatisfied, try_form
from forms.trial_faults import Speaker

NOW = datetime.fromisoformat("2026-11-22T18:23:00.838+03:30")
SHEETS = Path(__file__).parents[1] / "forms" / "sheets"
LETTERS = "".join(f"| | letter | c{number} | C{number} |\n" for number in range(30))
CHOICES = f"""
| choices | | | |
| | list_name | name | label |
| | yn | yes | Yes |
| | yn | no | No |
{LETTERS}
"""


def sheet(*survey: str) -> str:
    """Return a form as a Markdown table; its columns: type, name, relevant, constraint, calculation, choice_filter."""
    head = "| survey |\n| | type | name | relevant | constraint | calculation | choice_filter | label |"
    return "\n".join([head, *(f"{row} Label |" for row in survey)]) + CHOICES


def tried(text: str, count: int = 10, seed: int = 1, **given: str) -> Trial:
    compiled = compile_form(text.encode(), "form.md")
    form = prepare(compiled.schema, compiled.xform, {})
    answers = {f"/{name}": answer for name, answer in given.items()}
    return try_form(form, count, now=NOW, chance=random.Random(seed), given=answers)


def faults(text: str) -> list[Fault]:
    survey = workbook.read(text.encode(), "form.md")["survey"]
    return list(Speaker(compile_form(text.encode(), "form.md").schema, survey).faults(tried(text)))


def test_question_behind_an_impossible_relevant_is_reported_with_its_row_and_text() -> None:
    impossible = "${age} > 17 and ${age} < 15"
    form = sheet("| | integer | age | | . >= 0 and . < 99 | | |", f"| | text | work | {impossible} | | | |")
    (fault,) = faults(form)
    assert (fault.sheet, fault.row, fault.column) == ("survey", 3, "relevant")
    assert "“work” was reached by none of 50 respondents, 40 of them steered towards it." in fault.message
    assert f"`{impossible}`" in fault.fix


@pytest.mark.parametrize("seed", range(8))
def test_question_that_one_in_ten_thousand_reaches_by_chance_is_found(seed: int) -> None:
    form = sheet(
        "| | select_one letter | first | | | | |",
        "| | integer | age | | . >= 0 and . <= 1000 | | |",
        f"| | text | rare | ${{first}}='c{seed * 3}' and ${{age}}={100 * seed + 7} | | | |",
    )
    assert tried(form, seed=seed).unreached == ()


def test_steering_goes_through_calculations_groups_and_numbers_at_their_bounds() -> None:
    form = sheet(
        "| | integer | age | | . >= 0 and . <= 1000 | | |",
        "| | select_one letter | first | ${age} >= 990 | | | |",
        "| | calculate | right | | | if(${first}='c7', 1, 0) | |",
        "| | begin_group | outer | ${right}=1 | | | |",
        "| | select_multiple letter | some | | | | |",
        "| | begin_group | inner | selected(${some},'c3') and selected(${some},'c4') and ${age} != 995 | | | |",
        "| | text | deep | | | | |",
        "| | end_group | | | | | |",
        "| | end_group | | | | | |",
    )
    trial = tried(form, count=1)
    assert trial.unreached == ()
    assert trial.steered > 0


def test_group_out_of_reach_is_reported_once_for_all_its_questions() -> None:
    form = sheet(
        "| | select_one yn | go | | | | |",
        "| | begin_group | never | ${go}='maybe' | | | |",
        "| | text | a | | | | |",
        "| | begin_repeat | row | | | | |",
        "| | text | b | ${a}='x' | | | |",
        "| | end_repeat | | | | | |",
        "| | end_group | | | | | |",
    )
    trial = tried(form)
    assert trial.unreached == (Unreached("/never", questions=2, steered=40),)
    assert not trial.passed


def test_repeat_that_never_gets_a_row_is_reported_at_its_count() -> None:
    form = sheet(
        "| | integer | size | | . >= 1 and . <= 9 | | |",
        "| | begin_repeat | row | | | | |",
        "| | text | a | | | | |",
        "| | end_repeat | | | | | |",
    )
    form = form.replace("| label |", "| label | repeat_count |", 1)
    counted = form.replace(
        "| | begin_repeat | row | | | | | Label |", "| | begin_repeat | row | | | | | Label | {} |"
    )
    (fault,) = faults(counted.format("${size} - 9"))
    assert (fault.row, fault.column) == (3, "repeat_count")
    assert "`${size} - 9`" in fault.fix
    assert faults(counted.format("${size} - 8")) == []


def test_constraint_that_nothing_satisfies_is_reported_with_its_row_and_text() -> None:
    form = sheet(
        "| | integer | age | | . >= 18 and . < 15 | | |",
        "| | text | code | | regex(., '^[A-Z]{2}[0-9]{6}$') | | |",
        "| | integer | part | | . >= 0 and . <= 99 | | |",
    )
    assert tried(form).unsatisfied == (Unsatisfied("/age", asked=10, stuck=10),)
    (fault,) = faults(form)
    assert (fault.row, fault.column) == (2, "constraint")
    assert fault.fix == "Correct constraint `. >= 18 and . < 15`."


def test_dead_end_that_only_some_meet_is_reported_with_their_number() -> None:
    form = sheet(
        "| | select_one yn | go | | | | |",
        "| | select_one yn | again | ${go} != '' | | | name != ${go} and ${go} = 'yes' |",
    ).replace("| label |", "| label | required |", 1)
    form = form.replace("${go} = 'yes' | Label |", "${go} = 'yes' | Label | yes |")
    (found,) = tried(form, count=40).unsatisfied
    assert found.path == "/again"
    assert 0 < found.stuck < found.asked


def test_logic_that_runs_in_circles_is_reported() -> None:
    form = sheet(
        "| | text | a | | | | |",
        "| | calculate | b | | | if(${c}='1', '0', '1') | |",
        "| | calculate | c | | | ${b} | |",
    )
    assert tried(form).unsettled == 10
    assert "ran in circles for 10 of 10" in faults(form)[0].message


def test_choice_that_the_filter_always_excludes_is_a_hint_and_no_fault() -> None:
    form = sheet(
        "| | select_multiple letter | some | | not(selected(., 'c4') and count-selected(.) > 1) | | |",
        "| | select_one letter | main | count-selected(${some}) > 1 | | | selected(${some}, name) |",
    )
    trial = tried(form, count=20)
    assert trial.unchosen == {"/main": ("c4",)}
    assert trial.passed


def test_duration_adds_the_assumed_seconds_of_what_was_answered() -> None:
    form = sheet(
        "| | note | hello | | | | |",
        "| | select_one yn | go | | | | |",
        "| | integer | age | ${go}='yes' | | | |",
        "| | calculate | twice | | | 2 * ${age} | |",
    )
    yes, no = (tried(form, go=answer, age="30") for answer in ("yes", "no"))
    assert (yes.duration_median_s, yes.duration_90_s) == (10 + 15 + 12, 10 + 15 + 12)
    assert (no.duration_median_s, no.duration_90_s) == (10 + 15, 10 + 15)


def test_same_seed_gives_the_same_trial_and_another_seed_another() -> None:
    form = sheet(*(f"| | integer | n{number} | | | | |" for number in range(9)))
    assert tried(form, seed=5) == tried(form, seed=5)
    assert len({tried(form, seed=seed).duration_median_s for seed in range(6)}) > 1


CASES = b"name,label,status,case_code,urgency,need_1\nK1,Case 1,open,AB123456,d14,food\n"


@pytest.mark.parametrize(
    "name",
    [
        "flow_monitoring_registry",
        "flow_monitoring_survey",
        "protection_needs_assessment",
        "referral_follow_up",
    ],
)
def test_every_question_of_the_bundled_sheets_can_be_reached_and_answered(name: str) -> None:
    path = SHEETS / f"{name}.xlsx"
    compiled = compile_form(path.read_bytes(), path.name)
    assert compiled.warnings == ()
    media = {file.name: file.read_bytes() for file in (SHEETS / "media").iterdir()} | {"cases.csv": CASES}
    trial = try_form(prepare(compiled.schema, compiled.xform, media), 20, now=NOW, chance=random.Random(1))
    assert (trial.unreached, trial.unsatisfied, trial.unsettled) == ((), (), 0)


def command(path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return commands.run("forms", "try", str(path), "-n", "5", *words)


def test_command_reads_lists_from_the_media_folder_and_tells_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "form.md"
    path.write_text(sheet("| | select_one_from_file places.csv | place | | . = 'HER' | | |"))
    done = command(path, "--json")
    assert done.returncode == 1
    without = json.loads(done.stdout)
    assert (without["missing"], without["respondents"]) == (["places.csv"], 5)
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "places.csv").write_text("name,label\nHER,Herat\nNIM,Nimroz\n")
    done = command(path)
    assert done.returncode == 0, done.stderr
    assert "every question was reached and could be answered" in done.stdout


def test_command_takes_answers_by_name_and_ends_with_1_when_something_is_out_of_reach(tmp_path: Path) -> None:
    path = tmp_path / "form.md"
    path.write_text(sheet("| | select_one yn | go | | | | |", "| | note | end | ${go}='maybe' | | | |"))
    done = command(path, "--answer", "go=yes")
    assert done.returncode == 1
    assert "sheet “survey”, row 3, column “relevant”: “end” was reached by none of" in done.stdout
    wrong = command(path, "--answer", "og=yes")
    assert wrong.returncode == 2
    assert "“og” is no question of this form" in wrong.stderr


def test_command_refuses_an_external_select_in_a_sentence(tmp_path: Path) -> None:
    path = tmp_path / "form.md"
    external = "| external_choices |\n| | list_name | name | label |\n| | city | HER | Herat |\n"
    path.write_text(sheet("| | select_one_external city | place | | | | true() |") + external)
    done = command(path)
    assert done.returncode == 1
    assert "“place” is a select_one_external, which cannot be tried." in done.stderr
