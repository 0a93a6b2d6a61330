"""A write: one change of one entity, exactly as its author asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from forms.schema import Deed


@dataclass(frozen=True, slots=True)
class Header:
    """One revision of a submission, as far as its place in a chain of edits goes. form: with its project.

    edits: the instanceID that it edits, "" for none.
    """

    form: str
    instance: str
    digest: str
    edits: str
    stamp: int


@dataclass(frozen=True)
class Write:
    """One change of one entity, by a submission's revision or by a person over the API.

    revision: where it stands among revisions, None for a person's. digest: of the revision or the entry. index: among
    the revision's actions. stamp, origin: of its first receipt. values: property → text. label: "" for none given.
    base, trunk, branch: as the tablet says. seen: what a person had seen: of each origin, the stamp of the last write.
    resolves: the person says that what was in conflict is settled.
    """

    digest: str
    stamp: int
    origin: str
    deed: Deed
    index: int = 0
    label: str = ""
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    base: int = 0
    trunk: int | None = None
    branch: str = ""
    revision: Header | None = None
    seen: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    resolves: bool = False

    @property
    def key(self) -> tuple[str, int]:
        """What names the write."""
        return (self.digest, self.index)

    @property
    def rank(self) -> tuple[int, str, int]:
        """What orders writes alike at every node: first receipt, then digest."""
        return (self.stamp, self.digest, self.index)

    @property
    def is_edit(self) -> bool:
        """Whether it comes from the edit of a record already sent."""
        return self.revision is not None and bool(self.revision.edits)

    @property
    def is_version(self) -> bool:
        """Whether it gives the entity a new version. Deleting, restoring and settling without a change do not."""
        says = bool(self.values or self.label)
        return self.deed is Deed.CREATE or (self.deed is Deed.UPDATE and (says or not self.resolves))
