"""Compiling in a child process gives what compiling here gives, and survives what a sheet does to it."""

import os
import signal

import pytest
from conftest import HOUSEHOLD

from forms.compile import compile_form
from forms.errors import FormError
from server import compiling


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_sheet_compiled_apart_is_the_sheet_compiled_here():
    assert compiling.compile_apart(HOUSEHOLD.encode(), "h.md") == compile_form(HOUSEHOLD.encode(), "h.md")


def test_the_faults_of_a_sheet_come_back_with_their_places():
    with pytest.raises(FormError) as caught:
        compiling.compile_apart(HOUSEHOLD.replace("integer  ", "intger  ").encode(), "h.md")
    assert {(fault.sheet, fault.column) for fault in caught.value.faults} == {("survey", "type")}


def test_a_child_that_is_killed_is_told_as_a_fault_of_the_sheet(monkeypatch):
    monkeypatch.setattr(compiling, "_compiled", die)
    with pytest.raises(FormError, match="too much time or memory"):
        compiling.compile_apart(b"", "h.md")
