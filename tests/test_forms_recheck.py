"""What a merged document calculates, and which of its answers the form would not let pass."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from forms import cells, instance
from forms.compile import compile_form
from forms.merge_rules import Shape, merge_rules
from forms.recheck import Rechecked, recheck

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)
SHEET = """
| survey |                                     |          |       |                   |                                |               |                         |             |
|        | type                                | name     | label | relevant          | calculation                    | constraint    | choice_filter           | chapar::key |
|        | integer                             | men      | M     |                   |                                | . <= ${size}  |                         |             |
|        | integer                             | women    | W     |                   |                                |               |                         |             |
|        | integer                             | size     | S     |                   |                                |               |                         |             |
|        | calculate                           | adults   |       |                   | ${men} + ${women}              |               |                         |             |
|        | calculate                           | doubled  |       |                   | 2 * ${adults}                  |               |                         |             |
|        | calculate                           | asked    |       | ${size} > 3       | concat('size ', ${size})       |               |                         |             |
|        | calculate                           | opened   |       |                   | once(uuid())                   |               |                         |             |
|        | date                                | began    | D     |                   |                                |               |                         |             |
|        | date                                | seen     | D     |                   |                                | . >= ${began} and . <= today()  |                         |             |
|        | select_multiple need                | needs    | N     |                   |                                | not(selected(., 'none') and count-selected(.) > 1) |  |     |
|        | select_one province                 | province | P     |                   |                                |               |                         |             |
|        | select_one district                 | district | D     |                   |                                |               | province = ${province}  |             |
|        | calculate                           | named    |       |                   | pulldata('places', 'name', 'code', ${province}) | |                    |             |
|        | begin_repeat                        | member   | M     |                   |                                |               |                         | row_id      |
|        | calculate                           | row_id   |       |                   | once(uuid())                   |               |                         |             |
|        | integer                             | age      | A     |                   |                                | . < 120       |                         |             |
|        | calculate                           | months   |       |                   | 12 * ${age}                    |               |                         |             |
|        | end_repeat                          |          |       |                   |                                |               |                         |             |
|        | calculate                           | years    |       |                   | sum(${age})                    |               |                         |             |
|        | calculate                           | members  |       |                   | count(${member})               |               |                         |             |
| choices |          |      |       |          |
|         | list_name | name | label | province |
|         | need     | none | None  |          |
|         | need     | food | Food  |          |
|         | province | n    | N     |          |
|         | province | h    | H     |          |
|         | district | zaranj | Z   | n        |
|         | district | guzara | G   | h        |
| settings |         |      |       |
|          | form_id | version |    |
|          | f       | 1    |       |
"""


@pytest.fixture(scope="module")
def compiled():
    return compile_form(SHEET.encode(), "f.md")


def run(
    compiled, content: str, standing: tuple[str, ...] = (), lists: dict[str, bytes] | None = None
) -> Rechecked:
    """Recheck an instance. standing: cells of calculations that somebody made knowing everything."""
    schema, rules = compiled.schema, merge_rules(compiled.schema)
    tree = instance.read(f'<data id="f" version="1">{content}</data>'.encode(), schema).answers
    found = cells.read(tree, schema, Shape(rules.sets, rules.keys))
    given = {"places.csv": b"code,name\nn,Nimroz\n"} if lists is None else lists
    logic = recheck(schema, compiled.xform, given)
    return logic.run(found, NOW, lambda cell, _: cell in standing)


def calculated(done: Rechecked) -> dict[str, str]:
    return {name: cell.text for name, cell in done.calculated.items() if cell.text}


def test_calculations_follow_each_other_until_nothing_changes(compiled):
    done = run(compiled, "<men>2</men><women>3</women><adults>4</adults><doubled>8</doubled>")
    found = calculated(done)
    assert (found["/adults"], found["/doubled"]) == ("5", "10")


def test_what_was_calculated_knowing_all_stands_and_what_is_once_too(compiled):
    content = "<men>2</men><women>3</women><adults>4</adults><opened>x</opened>"
    found = calculated(run(compiled, content, standing=("/adults",)))
    assert "/adults" not in found
    assert found["/doubled"] == "8"
    assert "/opened" not in found


def test_what_is_not_asked_is_blank(compiled):
    assert calculated(run(compiled, "<size>4</size>"))["/asked"] == "size 4"
    done = run(compiled, "<size>3</size><asked>size 4</asked>")
    assert done.calculated["/asked"].said == ""


def test_rows_keep_their_names(compiled):
    row = "<member><row_id>{}</row_id><age>{}</age></member>"
    done = run(compiled, row.format("r1", 1) + row.format("r2", 130))
    found = calculated(done)
    assert (found["/member[r1]/months"], found["/member[r2]/months"]) == ("12", "1560")
    assert (found["/years"], found["/members"]) == ("131", "2")
    assert [(one.cell, one.path) for one in done.broken] == [("/member[r2]/age", "/member/age")]


def test_a_broken_rule_names_its_answer_and_what_it_speaks_of(compiled):
    (one,) = run(compiled, "<men>6</men><size>5</size>").broken
    assert (one.cell, one.paths) == ("/men", frozenset({"/men", "/size"}))
    (one,) = run(compiled, "<needs>none food</needs>").broken
    assert one.cell == "/needs"
    (one,) = run(compiled, "<province>n</province><district>guzara</district>").broken
    assert (one.cell, one.paths) == ("/district", frozenset({"/province", "/district"}))


def test_blank_answers_break_nothing(compiled):
    assert run(compiled, "<men/><size>5</size>").broken == ()


def test_what_a_rule_says_of_the_moment_only_the_tablet_could_tell(compiled):
    for seen in ("2026-03-04", "2026-03-09"):  # the tablet's day is not the server's
        assert run(compiled, f"<began>2026-03-01</began><seen>{seen}</seen>").broken == ()
    (one,) = run(compiled, "<began>2026-03-05</began><seen>2026-03-04</seen>").broken
    assert one.cell == "/seen"


def test_lists_are_looked_up_and_one_that_is_not_here_leaves_the_answer_alone(compiled):
    content = "<province>n</province><named>old</named>"
    assert calculated(run(compiled, content))["/named"] == "Nimroz"
    done = run(compiled, content, lists={})
    assert "/named" not in done.calculated
    assert done.unread == ("/named",)
