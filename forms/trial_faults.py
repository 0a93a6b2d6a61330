"""What a trial found, said to the designer: which row of the sheet, what happened there, what to do."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from forms import survey_rows
from forms.errors import Fault
from forms.schema import Field, FormSchema, Node, Repeat
from forms.trial import Trial, Unreached, Unsatisfied
from forms.workbook import Sheet


@dataclass(frozen=True)
class Speaker:
    """Knows where things stand. survey: None for a form that is not a sheet. missing: files not found beside it."""

    schema: FormSchema
    survey: Sheet | None
    missing: Collection[str] = ()

    def faults(self, trial: Trial) -> Iterator[Fault]:
        """Yield what is wrong with the form: questions out of reach, without allowed answer, logic in circles."""
        total = trial.respondents + trial.steered
        yield from (self._unreached(one, total) for one in trial.unreached)
        yield from (self._unsatisfied(one) for one in trial.unsatisfied)
        if trial.unsettled:
            yield Fault(
                f"The form's logic ran in circles for {trial.unsettled} of {total} respondents.",
                "Look for questions whose relevant, calculation or trigger depend on each other.",
                "survey" if self.survey else "",
            )

    def hints(self, trial: Trial) -> Iterator[Fault]:
        """Yield what may be meant so: choices that nobody gave."""
        for path, names in trial.unchosen.items():
            message = f"“{_name(path)}”: nobody chose {', '.join(names)}."
            yield self._at(self.schema.by_path[path], "type", message, "Fine if the logic excludes it.")

    def _unreached(self, one: Unreached, total: int) -> Fault:
        node = self.schema.by_path[one.path]
        column, expression = "relevant", node.relevant
        if isinstance(node, Repeat) and not expression:
            column, expression = "repeat_count", node.count
        within = "" if isinstance(node, Field) else f", {one.questions} questions inside,"
        return self._at(
            node,
            column,
            f"“{node.name}”{within} was reached by none of {total} respondents, "
            f"{one.steered} of them steered towards it.",
            f"Correct {column} {self._quoted(node, column, expression)}: it seems never to let anybody in.",
        )

    def _unsatisfied(self, one: Unsatisfied) -> Fault:
        node = self.schema.by_path[one.path]
        assert isinstance(node, Field), "only questions are answered"
        message = f"“{node.name}”: {one.stuck} of {one.asked} who were asked found no allowed answer."
        if node.choices and node.choices.file in self.missing:
            fix = f"Put its list {node.choices.file} beside the sheet or into the folder `media`."
            return self._at(node, "type", message, fix)
        if node.constraint:
            quoted = self._quoted(node, "constraint", node.constraint)
            return self._at(node, "constraint", message, f"Correct constraint {quoted}.")
        if node.choices:
            return self._at(node, "choice_filter", message, "See that the filter leaves a choice.")
        return self._at(node, "type", message, "Nothing is known to answer it with: try it on a tablet.")

    def _at(self, node: Node, column: str, message: str, fix: str) -> Fault:
        row = survey_rows.by_path(self.survey).get(node.path) if self.survey else None
        if self.survey is None or row is None:
            return Fault(message, fix)
        return Fault(message, fix, self.survey.name, row.number, survey_rows.header(self.survey, column))

    def _quoted(self, node: Node, column: str, expression: str) -> str:
        """Return an expression as its designer wrote it, else as the XForm has it."""
        row = survey_rows.by_path(self.survey).get(node.path) if self.survey else None
        written = survey_rows.cell(self.survey, row, column) if self.survey and row else ""
        return f"`{written or expression}`"


def _name(path: str) -> str:
    return path.rpartition("/")[2]
