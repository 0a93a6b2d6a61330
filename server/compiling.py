"""Compiling a sheet in a process of its own: its memory is bounded and given back, and its faults stay there.

A hostile workbook costs that process, not the server; and a server that never compiles stays small.
"""

from __future__ import annotations

import resource
from contextlib import suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection

from forms import xform
from forms.compile import CompiledForm, compile_form
from forms.errors import Fault, FormError
from forms.xform import SheetMarks

SECONDS_MAX = 60
MEMORY_BYTES_MAX = 2_000_000_000

Compiled = tuple[bytes, SheetMarks, tuple[Fault, ...], bytes]
Answer = tuple[Compiled | None, tuple[Fault, ...]]
TOO_MUCH: Answer = (
    None,
    (Fault("The sheet needs too much time or memory.", "Make its choice lists shorter."),),
)


def compile_apart(data: bytes, file_name: str) -> CompiledForm:
    """Return what `forms.compile.compile_form` returns, or raise the FormError that it raises.

    Raises FormError too when the sheet needs more than a minute or two gigabytes.
    """
    here, there = get_context("spawn").Pipe(duplex=False)
    worker = get_context("spawn").Process(target=_work, args=(there, data, file_name), daemon=True)
    worker.start()
    there.close()
    try:
        compiled, faults = here.recv() if here.poll(SECONDS_MAX) else TOO_MUCH
    except EOFError:
        compiled, faults = TOO_MUCH
    finally:
        here.close()
        worker.kill()
        worker.join()
    if compiled is None:
        raise FormError(*faults)
    xml, marks, warnings, itemsets = compiled
    return CompiledForm(xml, xform.read(xml, marks), marks, warnings, itemsets)


def _work(there: Connection, data: bytes, file_name: str) -> None:
    with suppress(ValueError, OSError):  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))
    answer: Answer
    try:
        done = compile_form(data, file_name)
        answer = ((done.xform, done.marks, done.warnings, done.itemsets), ())
    except FormError as error:
        answer = (None, error.faults)
    there.send(answer)
