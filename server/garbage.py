"""Python's search for garbage that stands in circles: seldom, in processes that make much and keep little."""

from __future__ import annotations

import gc

GARBAGE_MIN = 10_000
"""So many objects more than before are looked through for circles; 700 are those of five requests."""


def search_seldom() -> None:
    """To be called once all is loaded: that stays, and need not be looked through again and again."""
    gc.collect()
    gc.set_threshold(GARBAGE_MIN)
    gc.freeze()
