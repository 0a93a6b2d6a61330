"""`chapar forms try`: made-up respondents fill a sheet before anybody publishes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from server.cli.common import Json, UnusedData, tell

if TYPE_CHECKING:
    from forms.compile import CompiledForm
    from forms.schema import FormSchema
    from forms.trial import Trial
    from forms.trial_faults import Speaker
    from forms.workbook import Sheet


def try_form(
    file: Annotated[
        Path, typer.Argument(exists=True, dir_okay=False, help="A sheet (xlsx, xls, csv, md) or XForm (xml).")
    ],
    count: Annotated[int, typer.Option("-n", min=1, max=10_000, help="How many respondents.")] = 50,
    seed: Annotated[int, typer.Option(help="The same seed on the same day gives the same answers.")] = 1,
    answers: Annotated[
        list[str] | None,
        typer.Option("--answer", metavar="NAME=VALUE", help="Let respondents give this answer; repeatable."),
    ] = None,
    data: UnusedData = None,  # noqa: ARG001
    as_json: Json = False,
) -> None:
    """Let made-up respondents fill FILE; report questions out of reach or without an allowed answer (exit code 1).

    Lists that the form reads are taken from beside it or from its `media` folder. Nothing is stored.
    """
    import random
    from datetime import datetime

    from forms.fill_form import prepare
    from forms.trial import try_form
    from forms.trial_faults import Speaker
    from server.beside import find_media

    compiled, survey = _read(file)
    _refuse_external(compiled.schema)
    media = find_media(file)
    form = prepare(compiled.schema, compiled.xform, media)
    chance = random.Random(seed)  # noqa: S311
    given = _given(compiled.schema, answers or [])
    trial = try_form(form, count, now=datetime.now().astimezone(), chance=chance, given=given)
    missing = [name for name in compiled.schema.media if name not in media]
    _tell(compiled.schema, trial, Speaker(compiled.schema, survey, missing), missing, as_json=as_json)
    if not trial.passed:
        raise typer.Exit(1)


def _read(file: Path) -> tuple[CompiledForm, Sheet | None]:
    """Return the form and its survey sheet; None for an XForm. Raises FormError."""
    from forms import workbook, xform
    from forms.compile import CompiledForm, compile_form

    data = file.read_bytes()
    if file.suffix.lower() == ".xml":
        return CompiledForm(data, xform.read(data), xform.NO_MARKS), None
    return compile_form(data, file.name), workbook.read(data, file.name)["survey"]


def _refuse_external(schema: FormSchema) -> None:
    """Raise FormError for a select_one_external: Collect asks a database of its own for its choices."""
    from forms.errors import Fault, FormError
    from forms.lists import EXTERNAL_ITEMSETS

    for question in schema.fields:
        if question.choices and question.choices.file == EXTERNAL_ITEMSETS:
            message = f"“{question.name}” is a select_one_external, which cannot be tried."
            raise FormError(Fault(message, "Use select_one_from_file with a choice_filter."))


def _given(schema: FormSchema, answers: Sequence[str]) -> dict[str, str]:
    """Return path → answer. Raises typer.BadParameter for a name that is not a question's."""
    paths = {question.name: question.path for question in schema.fields if question.control}
    given = {}
    for name, equals, value in (each.partition("=") for each in answers):
        if not equals or name not in paths:
            raise typer.BadParameter(f"“{name}” is no question of this form.", param_hint="--answer")
        given[paths[name]] = value
    return given


def _tell(schema: FormSchema, trial: Trial, speaker: Speaker, missing: list[str], *, as_json: bool) -> None:
    faults, hints = list(speaker.faults(trial)), list(speaker.hints(trial))
    result = {
        "form_id": schema.form_id,
        "version": schema.version,
        "passed": trial.passed,
        "respondents": trial.respondents,
        "steered": trial.steered,
        "duration_median_s": trial.duration_median_s,
        "duration_90_s": trial.duration_90_s,
        "unsettled": trial.unsettled,
        "unreached": [one.path for one in trial.unreached],
        "unsatisfied": [one.path for one in trial.unsatisfied],
        "unchosen": {path: list(names) for path, names in trial.unchosen.items()},
        "missing": missing,
        "faults": [asdict(fault) for fault in faults],
        "hints": [asdict(hint) for hint in hints],
    }
    verdict = "not every question works" if faults else "every question was reached and could be answered"
    lines = [
        f"{schema.form_id} version {schema.version}: {verdict}",
        f"  respondents: {trial.respondents}, and {trial.steered} steered towards what was left",
        f"  duration: {_minutes(trial.duration_median_s)} min (half of them), "
        f"{_minutes(trial.duration_90_s)} min (nine of ten), by assumed seconds for each type of question",
        *(f"  missing: {name} (taken as empty)" for name in missing),
        *(f"  {fault}" for fault in faults),
        *(f"  hint: {hint}" for hint in hints),
    ]
    tell(result, "\n".join(lines), as_json=as_json)


def _minutes(duration_s: float) -> str:
    return f"{duration_s / 60:.0f}" if duration_s >= 60 else f"{duration_s / 60:.1f}"
