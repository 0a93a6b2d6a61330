"""Running the scripts that clean: R where it is, and what Stata's manual says of the few statements that are used."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

from server.cleaning.scripts import Script, write_script
from server.cleaning.steps import read_steps
from server.exports.folder import export_form
from server.exports.options import CENTRAL, View
from server.node import Node
from server.store.submissions import FormKey

R = shutil.which("Rscript")
TERM = r'(?:"[^"`\'$\\\r\n]*"|uchar\(\d+\))'
TEXT = rf"{TERM}(?: \+ {TERM})*"
STATEMENT = re.compile(
    rf"(?:capture )?(assert|replace|drop)(?: v(\d+) ==? ((?:v\d+ \+ )?{TEXT}))? (?:if v(\d+) == ({TEXT})|(in 1))"
)
SHOWN = re.compile(rf"if _rc display as error ({TERM}(?: {TERM}| \({TEXT}\))*)")


def export_both(node: Node, form: FormKey, folder: Path) -> None:
    """Write the merged tables into `raw`, the clean ones into `wanted`."""
    for name, view in (("raw", View.MERGED), ("wanted", View.CLEAN)):
        export_form(node, *form, folder / name, replace(CENTRAL, view=view, personal=True))


def script_of(node: Node, form: FormKey, script: Script) -> str:
    return write_script(read_steps(node, form, personal=True), script).decode()


def run_r(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    path = folder / "clean.R"
    path.write_text(script, encoding="utf-8")
    command = [R or "", str(path), str(folder / "raw"), str(folder / "done")]
    return subprocess.run(command, env={"LC_ALL": "C"}, capture_output=True, text=True, check=False)


def run_stata(script: str, folder: Path) -> None:
    """Do what the statements say, as Stata's manual explains them: it is not to be had here."""
    said, rows, out = [], [], folder / "done"
    out.mkdir(exist_ok=True)
    name, failed = "", False
    for line in script.splitlines():
        assert not re.search(r"[*]/|/[*]|//[^ ]", line), "nothing opens a comment"
        if line.startswith("local file = "):
            name = value(line.partition(" = ")[2])
        elif line.startswith("import "):
            with (folder / "raw" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
                rows = list(csv.reader(file))
        elif line.startswith("export "):
            with (out / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
        elif found := STATEMENT.fullmatch(line):
            verb, cell, new, key, wanted, title = found.groups()
            meant = [
                row for row in (rows[:1] if title else rows) if title or row[int(key) - 1] == value(wanted)
            ]
            if verb == "drop":
                rows = [row for row in rows if row not in meant]
            for row in meant if verb != "drop" else ():
                at = int(cell) - 1
                text = value(new.removeprefix(f"v{cell} + "))
                if verb == "assert" and title:
                    failed = row[at : at + 1] != [text]
                elif verb == "assert":
                    assert row[at] == text
                else:
                    row[at] = row[at] + text if new.startswith("v") else text
            said.append(verb)
        elif shown := SHOWN.fullmatch(line):
            assert not failed, value(shown[1])
        elif line == "if _rc exit 9":
            assert not failed
        else:
            assert not line or line.split()[0] in {"*", "version", "args", "if", "local", "capture"}, line


def value(expression: str) -> str:
    terms = re.findall(r'"([^"]*)"|uchar\((\d+)\)', expression)
    return "".join(chr(int(number)) if number else text for text, number in terms)


def tables(folder: Path) -> dict[str, list[list[str]]]:
    found = {}
    for path in sorted(folder.glob("*.csv")):
        if ".codebook" not in path.name and "cleaning" not in path.name:
            with path.open(encoding="utf-8", newline="") as file:
                found[path.name] = list(csv.reader(file))
    return found


def check(node: Node, form: FormKey, folder: Path) -> None:
    """Hold what both scripts make against the clean export, cell by cell; R's byte by byte."""
    export_both(node, form, folder)
    wanted = tables(folder / "wanted")
    run_stata(script_of(node, form, Script.STATA), folder)
    assert tables(folder / "done") == wanted
    if R:
        shutil.rmtree(folder / "done")
        done = run_r(script_of(node, form, Script.R), folder)
        assert (done.returncode, done.stderr) == (0, "")
        for name in wanted:
            assert (folder / "done" / name).read_bytes() == (folder / "wanted" / name).read_bytes()
    assert tables(folder / "raw") != wanted
