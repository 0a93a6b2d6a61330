"""Reading sheets in a process of its own: its memory is bounded and given back, and its faults stay there.

A hostile workbook costs that process, not the server; and a server that never compiles stays small.
"""

from __future__ import annotations

import resource
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import TypeVar, cast

from forms import xform
from forms.check.check import check_form
from forms.check.finding import Finding
from forms.compile import CompiledForm, compile_form
from forms.errors import Fault, FormError
from forms.xform import SheetMarks

SECONDS_MAX = 60
MEMORY_BYTES_MAX = 2_000_000_000

Compiled = tuple[bytes, SheetMarks, tuple[Fault, ...], bytes]
Result = TypeVar("Result")
TOO_MUCH = Fault("The sheet needs too much time or memory.", "Make its choice lists shorter.")


def compile_apart(data: bytes, file_name: str) -> CompiledForm:
    """Return what `forms.compile.compile_form` returns, or raise the FormError that it raises.

    Raises FormError too when the sheet needs more than a minute or two gigabytes.
    """
    xml, marks, warnings, itemsets = _apart(partial(_compiled, data, file_name))
    return CompiledForm(xml, xform.read(xml, marks), marks, warnings, itemsets)


def check_apart(data: bytes, file_name: str) -> tuple[Finding, ...]:
    """Return what `forms.check.check.check_form` returns, ODK Validate asked where Java is.

    Raises FormError when the sheet needs more than a minute or two gigabytes.
    """
    return _apart(partial(check_form, data, file_name, validate=True))


def _compiled(data: bytes, file_name: str) -> Compiled:
    """Return the parts of a compiled form that can be sent; the schema is read again from them."""
    done = compile_form(data, file_name)
    return done.xform, done.marks, done.warnings, done.itemsets


def _apart(job: Callable[[], Result]) -> Result:
    here, there = get_context("spawn").Pipe(duplex=False)
    worker = get_context("spawn").Process(target=_work, args=(there, job), daemon=True)
    worker.start()
    there.close()
    answer: tuple[Result | None, tuple[Fault, ...]]
    try:
        answer = here.recv() if here.poll(SECONDS_MAX) else (None, (TOO_MUCH,))
    except EOFError:
        answer = (None, (TOO_MUCH,))
    finally:
        here.close()
        worker.kill()
        worker.join()
    result, faults = answer
    if result is None:
        raise FormError(*faults)
    return cast(Result, result)  # a pipe carries no types


def _work(there: Connection, job: Callable[[], object]) -> None:
    with suppress(ValueError, OSError):  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
        resource.setrlimit(
            resource.RLIMIT_CPU, (SECONDS_MAX, SECONDS_MAX)
        )  # Java's, too, when this one is killed
    try:
        there.send((job(), ()))
    except FormError as error:
        there.send((None, error.faults))
