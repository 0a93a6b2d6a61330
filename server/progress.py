"""How long work tells how far it is: whoever calls it decides whether anybody looks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Advance = Callable[[int], object]
"""Called with how much more is done."""

Report = Callable[[str, int], Advance]
"""Called with what is about to be done, and how much of it there is."""

T = TypeVar("T")


def unseen(_what: str, _total: int) -> Advance:
    """Report to nobody."""
    return lambda _more: None


def counted(items: Iterable[T], advance: Advance) -> Iterator[T]:
    """Yield the items, telling each."""
    for item in items:
        yield item
        advance(1)
