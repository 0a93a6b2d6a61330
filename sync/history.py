"""The history of one submission: which revisions belong together, which are heads, which one is shown.

Pure functions of the *set* of revisions: order of arrival, repetition and route change nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sync.revision import Revision


@dataclass(frozen=True, slots=True)
class History:
    """What a set of connected revisions amounts to.

    instance_id: names the submission: the instanceID that all edits go back to.
    shown: the revision to show and export. heads: revisions nobody edited, one for each differing content, the shown
    one first; more than one is an open conflict. parent_missing: an edit stands without what it edits.
    edits: revisions that say something else than what they edit.
    """

    instance_id: str
    shown: Revision
    heads: tuple[Revision, ...]
    parent_missing: bool
    edits: int

    @property
    def in_conflict(self) -> bool:
        """Whether differing heads wait for a person to decide."""
        return len(self.heads) > 1


def components(revisions: Iterable[Revision]) -> list[tuple[Revision, ...]]:
    """Group revisions that are linked by instanceID or deprecatedID, each group sorted by digest."""
    links = _Links()
    known = list(revisions)
    present = {revision.instance_id for revision in known}
    for revision in known:
        if revision.deprecated_id in present:
            links.join(revision.instance_id, revision.deprecated_id)
    groups: dict[str, dict[tuple[str, str], Revision]] = defaultdict(dict)
    for revision in known:
        key = (revision.digest, revision.instance_id)
        kept = groups[links.find(revision.instance_id)].get(key)
        if kept is None or revision.stamp < kept.stamp:
            groups[links.find(revision.instance_id)][key] = revision
    return [tuple(group[key] for key in sorted(group)) for _, group in sorted(groups.items())]


def history(revisions: Iterable[Revision]) -> History:
    """Return the history of one connected group, as `components` gives it; at least one revision.

    An edit's parent is the first received of the revisions that carry the instanceID it deprecates; other revisions
    under that ID are siblings and stay heads. An edit that changes nothing counts as what it edits. Revisions that deprecate each other in a circle (hostile input) are
    all heads. Of several heads the one received last is shown, ties broken by the greater digest.
    """
    ordered = sorted(revisions, key=lambda revision: (revision.stamp, revision.digest))
    by_instance: dict[str, Revision] = {}
    for revision in ordered:
        by_instance.setdefault(revision.instance_id, revision)
    parents = {
        revision: by_instance[revision.deprecated_id]
        for revision in ordered
        if revision.deprecated_id in by_instance and revision.deprecated_id != revision.instance_id
    }
    writers = {revision: _writer(revision, parents) for revision in ordered}
    edited = {writers[parent] for child, parent in parents.items() if writers[child] != writers[parent]}
    written = [revision for revision in ordered if writers[revision] == revision]
    heads = _distinct([revision for revision in written if revision not in edited] or ordered)
    return History(
        instance_id=_root(ordered, parents),
        shown=heads[0],
        heads=heads,
        parent_missing=any(r.deprecated_id and r.deprecated_id not in by_instance for r in ordered),
        edits=sum(revision in parents for revision in written),
    )


def _writer(revision: Revision, parents: Mapping[Revision, Revision]) -> Revision:
    """The revision that first said what this one says: saving again without a change writes nothing."""
    seen = {revision}
    while (parent := parents.get(revision)) and parent.content_digest == revision.content_digest:
        if parent in seen:
            return min(seen, key=lambda one: (one.stamp, one.digest))
        seen.add(parent)
        revision = parent
    return revision


def _distinct(tips: list[Revision]) -> tuple[Revision, ...]:
    """One head for each content, the last received first."""
    newest: dict[str, Revision] = {}
    for revision in tips:
        newest[revision.content_digest] = revision
    return tuple(
        sorted(newest.values(), key=lambda revision: (revision.stamp, revision.digest), reverse=True)
    )


def _root(ordered: list[Revision], parents: Mapping[Revision, Revision]) -> str:
    origins = {revision.instance_id for revision in ordered if revision not in parents}
    return min(origins or {revision.instance_id for revision in ordered})


class _Links:
    """Disjoint sets of instanceIDs."""

    def __init__(self) -> None:
        self._parent: dict[str, str] = {}

    def find(self, name: str) -> str:
        while (above := self._parent.setdefault(name, name)) != name:
            self._parent[name] = self._parent[above]
            name = above
        return name

    def join(self, left: str, right: str) -> None:
        low, high = sorted((self.find(left), self.find(right)))
        self._parent[high] = low
