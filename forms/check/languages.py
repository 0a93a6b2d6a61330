"""Rules about translations: every text in every language, with the same insertions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from forms.check.design import Design, Entry
from forms.check.expressions import references
from forms.check.finding import Rule, Severity, Spot

ROWS_SHOWN_MAX = 20


def missing(design: Design) -> Iterator[Spot]:
    """Yield one place for each sheet, column and language that lacks texts other languages have."""
    if len(design.languages) < 2:
        return
    for sheet, rows in groupby(design.texts, key=lambda entry: entry.sheet):
        entries = list(rows)
        for column in dict.fromkeys(column for entry in entries for column in entry.texts):
            having = [entry for entry in entries if column in entry.texts]
            for language in design.languages:
                lacking = [entry for entry in having if language not in entry.texts[column]]
                if lacking and not _is_unnamed_leftover(language, having, lacking):
                    yield _missing(sheet, column, language, lacking, len(having))


def _is_unnamed_leftover(language: str, having: Sequence[Entry], lacking: Sequence[Entry]) -> bool:
    """A column without a language beside columns with one: its own texts are the ones out of place."""
    return not language and len(having) == len(lacking)


def _missing(sheet: str, column: str, language: str, lacking: Sequence[Entry], total: int) -> Spot:
    shown = language or "the language without a name"
    message = f"{len(lacking)} of {total} texts have no {shown}: row {_rows(lacking)}."
    header = lacking[0].headers.get(f"{column}@{language}") or (
        f"{column}::{language}" if language else column
    )
    return Spot(message, "Write the translation, or remove the language.", sheet, lacking[0].row, header)


def _rows(entries: Iterable[Entry]) -> str:
    numbers = [str(entry.row) for entry in entries]
    more = f" and {len(numbers) - ROWS_SHOWN_MAX} more" if len(numbers) > ROWS_SHOWN_MAX else ""
    return ", ".join(numbers[:ROWS_SHOWN_MAX]) + more


def different_references(design: Design) -> Iterator[Spot]:
    """Yield texts that insert other answers than the first language does."""
    for entry in design.texts:
        for column, texts in entry.texts.items():
            (first, model), *others = texts.items()
            expected = set(references(model))
            for language, text in others:
                if (found := set(references(text))) != expected:
                    differing = ", ".join(f"${{{name}}}" for name in sorted(found ^ expected))
                    yield entry.spot(
                        f"{column}@{language}" if language else column,
                        f"{differing} stands in only one of {first or 'the first language'} and {language}.",
                        "Insert the same answers in every language.",
                        text,
                    )


RULES = (
    Rule("translation-missing", Severity.WARNING, "Every text is there in every language.", missing),
    Rule(
        "references-differ",
        Severity.WARNING,
        "A text inserts the same answers in all languages.",
        different_references,
    ),
)
