"""What changed in one question that two versions of a form both have: type, choices, rules, protection, wording."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterator

from forms.evolve_rules import Change
from forms.lineage import Renames
from forms.schema import ChoiceList, Field, FieldType, Flag, FormSchema, Node, Text

PROTECTIVE = (Flag.PERSONAL, Flag.SENSITIVE, Flag.GBV)
WIDER = {
    (FieldType.INT, FieldType.DECIMAL),
    (FieldType.SELECT_ONE, FieldType.SELECT_MULTIPLE),
    (FieldType.BARCODE, FieldType.STRING),
    (FieldType.STRING, FieldType.BARCODE),
}
"""Every answer of the first type is one of the second, with the same meaning."""
NAMES_SHOWN = 5
BESIDE = re.compile(r"(?:current\(\)/)?((?:\.\./)+[\w./-]+)")


def compare_questions(
    before: Field, after: Field, old: FormSchema, new: FormSchema, kept: Renames
) -> Iterator[Change]:
    """Yield what changed in a question, its relevance apart. kept: old path → new path of what both versions have."""
    at = (before.path, after.path)
    yield from _type(before, after)
    if before.choices and after.choices:
        yield from _choices(at, before.choices, after.choices)
    yield from _rules(before, after, lambda text: _rebased(text, before.path, old, kept), new)
    yield from _protection(before, after)
    if _relabelled(before.label, after.label):
        yield Change("label-changed", *at, f"The label of {after.path} changed.", _SAME_QUESTION)


def relevance_change(
    before: Node, after: Node, old: FormSchema, new: FormSchema, kept: Renames
) -> Iterator[Change]:
    """Yield the change when a question, group or repeat is shown under another condition."""
    if _rebased(before.relevant, before.path, old, kept) != _rebased(after.relevant, after.path, new, {}):
        message = f"{after.path} is shown under another condition."
        fix = "Editing a stored record drops the answers that are hidden now."
        yield Change("relevant-changed", before.path, after.path, message, fix)


_SAME_QUESTION = "If it asks something else now, give it another name."


def _type(before: Field, after: Field) -> Iterator[Change]:
    if before.type is after.type:
        return
    at = (before.path, after.path)
    message = f"The type of {after.path} was {before.type} and is {after.type}."
    if (before.type, after.type) in WIDER:
        yield Change("type-widened", *at, message, "Nothing to do: every answer fits the new type.")
    elif after.type is FieldType.STRING and before.type is not FieldType.BINARY:
        yield Change(
            "type-to-text", *at, message, "Answers stay as they are, and are read as text from now on."
        )
    else:
        yield Change(
            "type-changed", *at, message, "Ask under a new name, or accept two sorts of answers in a column."
        )


def _choices(at: tuple[str, str], before: ChoiceList, after: ChoiceList) -> Iterator[Change]:
    if before.file or after.file:
        if before.file != after.file:
            message = f"The choices of {at[1]} come from “{after.file or 'the sheet'}” now."
            yield Change("choice-file-changed", *at, message, "See that every old choice is in the new list.")
        return
    labels = {choice.name: choice.label for choice in after.choices}
    come = {label: name for name in labels if name not in before.names for label in _labels(labels[name])}
    gone = {choice.name: choice.label for choice in before.choices if choice.name not in after.names}
    renamed = {name: come[label] for name, text in gone.items() for label in _labels(text) if label in come}
    removed = tuple(name for name in gone if name not in renamed)
    added = tuple(name for name in labels if name not in before.names and name not in renamed.values())
    if renamed:
        told = _shown([f"{old} to {new}" for old, new in renamed.items()])
        message = f"Choices of {at[1]} have other names: {told}."
        yield Change(
            "choice-renamed", *at, message, "Keep the old names: reports count both.", tuple(renamed)
        )
    if removed:
        message = f"Choices of {at[1]} are gone: {_shown(removed)}."
        yield Change("choice-removed", *at, message, "Stored answers keep them, exports show them.", removed)
    if added:
        yield Change(
            "choice-added", *at, f"Choices of {at[1]} are new: {_shown(added)}.", "Nothing to do.", added
        )
    changed = [one.name for one in before.choices if _relabelled(one.label, labels.get(one.name, {}))]
    if changed:
        message = f"Choices of {at[1]} have other labels: {_shown(changed)}."
        yield Change("choice-relabelled", *at, message, "If one means something else, give it another name.")


def _rules(before: Field, after: Field, rebased: Callable[[str], str], new: FormSchema) -> Iterator[Change]:
    at = (before.path, after.path)
    own = {name: _rebased(getattr(after, name), after.path, new, {}) for name in ("constraint", "calculate")}
    if after.constraint and rebased(before.constraint) != own["constraint"]:
        message = f"The constraint of {after.path} is another."
        yield Change(
            "constraint-changed", *at, message, "Records that break it cannot be edited without a change."
        )
    elif before.constraint and not after.constraint:
        yield Change("constraint-removed", *at, f"{after.path} has no constraint any more.", "Nothing to do.")
    if _demands(after) and not _demands(before):
        message = f"{after.path} has to be answered from now on."
        yield Change(
            "required-added", *at, message, "Records without an answer cannot be edited without one."
        )
    elif _demands(before) and not _demands(after):
        yield Change("required-removed", *at, f"{after.path} may stay blank from now on.", "Nothing to do.")
    if before.calculate and rebased(before.calculate) != own["calculate"]:
        message = f"{after.path} is calculated otherwise."
        yield Change("calculation-changed", *at, message, "Stored records keep their result until edited.")


def _protection(before: Field, after: Field) -> Iterator[Change]:
    at = (before.path, after.path)
    gone = [flag for flag in PROTECTIVE if flag in before.flags - after.flags]
    come = [flag for flag in PROTECTIVE if flag in after.flags - before.flags]
    if gone:
        message = f"{after.path} loses the flag {' '.join(gone)}: what was told in confidence could be shown."
        yield Change(
            "protection-removed", *at, message, "Keep the flag. Exports leave the column out all the same."
        )
    if come:
        message = f"{after.path} is flagged {' '.join(come)} from now on."
        yield Change("protection-added", *at, message, "Shared exports leave it out, for older records too.")


def _demands(field: Field) -> bool:
    return field.required.strip() not in {"", "false()"}


def _relabelled(before: Text, after: Text) -> bool:
    """Whether a text differs in a language that both have."""
    return any(
        _plain(before[language]) != _plain(after[language]) for language in before.keys() & after.keys()
    )


def _labels(text: Text) -> Iterator[tuple[str, str]]:
    return ((language, _plain(label)) for language, label in text.items() if label.strip())


def _plain(text: str) -> str:
    return " ".join(text.split())


def _shown(names: list[str] | tuple[str, ...]) -> str:
    more = len(names) - NAMES_SHOWN
    return ", ".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _rebased(expression: str, path: str, schema: FormSchema, kept: Renames) -> str:
    """Return the expression with every path absolute, without its root, and as `kept` has it: to be compared."""
    if not expression:
        return ""

    def absolute(match: re.Match[str]) -> str:
        return posixpath.normpath(f"/{schema.root}{path}/{match[1]}")

    def moved(match: re.Match[str]) -> str:
        return kept.get(match[1], match[1])

    plain = BESIDE.sub(absolute, expression)
    return _plain(re.sub(rf"/{re.escape(schema.root)}((?:/[\w.-]+)+)", moved, plain))
