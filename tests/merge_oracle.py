"""The rules of merging once more, as they are told and not as they are fast: what the laws hold the view against.

No bits, no order of work, nothing kept between questions but answers to them. Sets of digests throughout.
Without units (questions asked because of others): the laws speak of those by themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from forms.cells import BLANK, HERE, Cell, Cells, is_row, path_of, rows_of
from forms.merge_rules import MergeRules, Policy
from sync.registers import DELETED, GONE, Snapshot
from sync.revision import Revision, RevisionKind

EDIT, WITHDRAWAL = RevisionKind.EDIT, RevisionKind.WITHDRAWAL
Names = frozenset[str]


class Oracle:
    """Answers questions about one submission. All revisions are named by their digest."""

    def __init__(
        self, revisions: Sequence[Revision], snapshots: dict[str, Snapshot], rules: MergeRules
    ) -> None:
        self.facts = {one.digest: one for one in revisions}
        self.rules = rules
        self.snapshots = snapshots
        for name in ("named", "is_undone", "parents", "ancestors", "shown", "written", "register"):
            setattr(self, name, cache(getattr(self, name)))
        self.standing: Names = frozenset(one for one in self.facts if not self.is_undone(one))

    def rank(self, one: str) -> tuple[int, str]:
        return (self.facts[one].stamp, one)

    def is_undone(self, one: str) -> bool:
        """A withdrawal, or a decision that a withdrawal names which nobody withdrew."""
        return self.facts[one].kind is WITHDRAWAL or self.is_withdrawn(one)

    def is_withdrawn(self, one: str) -> bool:
        return self.facts[one].kind is not EDIT and any(
            one in other.parents and not self.is_withdrawn(other.digest)
            for other in self.facts.values()
            if other.kind is WITHDRAWAL
        )

    def named(self, one: str) -> Names:
        """What a revision says that it was made upon, as far as it is here."""
        fact = self.facts[one]
        if fact.kind is not EDIT:
            return frozenset(fact.parents) & self.facts.keys()
        if fact.deprecated_id == fact.instance_id:
            return frozenset()
        siblings = [other for other in self.facts if self.facts[other].instance_id == fact.deprecated_id]
        return frozenset([min(siblings, key=self.rank)] if siblings else [])

    def upon(self, one: str) -> Names:
        """The same, but what stands in a circle stands upon nothing."""
        reached: set[str] = set()
        waiting = set(self.named(one))
        while waiting:
            reached |= waiting
            waiting = {above for other in waiting for above in self.named(other)} - reached
        return frozenset() if one in reached else self.named(one)

    def parents(self, one: str) -> Names:
        """The same, but what is undone gives its place to what it stood upon."""
        found: set[str] = set()
        for other in self.upon(one):
            found |= self.parents(other) if self.is_undone(other) else {other}
        return frozenset(found)

    def ancestors(self, one: str) -> Names:
        return self.parents(one).union(*(self.ancestors(other) for other in self.parents(one)))

    def cells(self, among: Names) -> set[str]:
        return {cell for one in among for cell in self.written(one)}

    def register(self, cell: str, among: Names) -> Names:
        """Who wrote a cell, without those whose answer somebody replaced who knew it."""
        writers = {one for one in among if cell in self.written(one)}
        return frozenset(one for one in writers if not any(one in self.ancestors(other) for other in writers))

    def shown(self, cell: str, among: Names) -> Cell:
        """What these revisions together show."""
        answers = {one: self.written(one)[cell] for one in self.register(cell, among)}
        if not answers:
            return BLANK
        if cell == DELETED:
            return BLANK if BLANK in answers.values() else GONE
        path = path_of(cell)
        policy = self.rules.policies.get(path)
        said = {one: answer for one, answer in answers.items() if answer.said}
        if said and ("#" in cell or is_row(cell) or policy in {Policy.LARGER, Policy.SMALLER}):
            answers = said
        if policy in {Policy.LARGER, Policy.SMALLER}:
            ordered = {one: self.rules.rank(path, answer.said) for one, answer in answers.items()}
            best = (max if policy is Policy.LARGER else min)(ordered.values())
            answers = {one: answers[one] for one in answers if ordered[one] == best}
        first = policy in {Policy.FIRST, Policy.SMALLER}
        return answers[(min if first else max)(answers, key=self.rank)]

    def written(self, one: str) -> Cells:
        """What a revision says otherwise than its parents' view."""
        fact, snapshot, before = self.facts[one], self.snapshots[one], self.ancestors(one)
        found: dict[str, Cell] = {}
        if fact.kind is EDIT:
            for cell in (self.cells(before) | set(snapshot.cells)) - {DELETED}:
                shown, now = self.shown(cell, before), self._now(one, cell)
                if now.said != shown.said and self._may_say(snapshot, cell):
                    found[cell] = now
        elif fact.kind is RevisionKind.RESOLUTION:
            found = dict(snapshot.cells)
        attended = [cell for cell in found if path_of(cell) not in self.rules.unattended]
        for cell in list(found) if fact.kind is RevisionKind.RESOLUTION else attended:
            for row in rows_of(cell):
                if fact.kind is RevisionKind.RESOLUTION or row in snapshot.cells:
                    found.setdefault(row, HERE)
        speaks = attended or fact.kind in {RevisionKind.RESTORE, RevisionKind.RESOLUTION}
        if fact.kind is RevisionKind.TOMBSTONE:
            found[DELETED] = GONE
        elif speaks and DELETED in self.cells(before):
            found[DELETED] = BLANK
        return found

    def _may_say(self, snapshot: Snapshot, cell: str) -> bool:
        """A cell that is not answered is blanked unless its row is gone or the version does not ask it."""
        if cell in snapshot.cells:
            return True
        return snapshot.knows(path_of(cell)) and all(row in snapshot.cells for row in rows_of(cell))

    def _now(self, one: str, cell: str) -> Cell:
        snapshot, before = self.snapshots[one], self.ancestors(one)
        answer = snapshot.cells.get(cell, BLANK)
        if not answer.said:
            return BLANK
        if is_row(cell):
            return HERE
        if path_of(cell) not in self.rules.files:
            return answer
        if answer.said in snapshot.files:
            return Cell(answer.text, f"{answer.said}\0{snapshot.files[answer.said]}")
        shown = self.shown(cell, before)
        if shown.said.startswith(f"{answer.said}\0"):
            return shown
        bearers = [other for other in before if answer.said in self.snapshots[other].files]
        last = max(bearers, key=lambda other: (len(self.ancestors(other)), self.rank(other)), default=None)
        return Cell(answer.text, f"{answer.said}\0{self.snapshots[last].files[answer.said] if last else ''}")
