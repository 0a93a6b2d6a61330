"""Disjoint sets of names: what is linked, directly or through others, belongs together."""

from __future__ import annotations

from collections.abc import Iterator


class Groups:
    """Names in sets that grow together; which set a name is in does not depend on the order of joining."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def join(self, one: str, other: str) -> None:
        """Say that two names belong together."""
        low, high = sorted((self.find(one), self.find(other)))
        self._above[high] = low

    def find(self, name: str) -> str:
        """Return the least name of the set that a name is in."""
        while (above := self._above.setdefault(name, name)) != name:
            self._above[name] = self._above[above]
            name = above
        return name

    def groups(self) -> Iterator[tuple[str, ...]]:
        """Yield each set in order."""
        found: dict[str, list[str]] = {}
        for name in sorted(self._above):
            found.setdefault(self.find(name), []).append(name)
        return (tuple(group) for group in found.values())
