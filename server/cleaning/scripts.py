"""The cleaning log as a script that makes the clean tables from the merged ones: in R, or in Stata. Pure.

R: base R from 3.5 on, no package. Stata: 14 or later, that reads its texts as Unicode. Every column is text to both; the
same log gives the same bytes. Texts of people stand in the script as literals that say one thing only, whatever they
hold; in comments what could end or open something is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import StrEnum
from itertools import groupby

from server.cleaning.steps import KEY, PARENT_KEY, Log, Steps


class Script(StrEnum):
    """Whose language."""

    R = "r"
    STATA = "stata"


def write_script(log: Log, script: Script) -> bytes:
    """Return the script, UTF-8."""
    lines = _r(log) if script is Script.R else _stata(log)
    return "".join(f"{line}\n" for line in lines).encode()


R_BEFORE = r"""
folders <- commandArgs(trailingOnly = TRUE)
raw <- if (length(folders) > 0) folders[1] else "raw"
clean <- if (length(folders) > 1) folders[2] else "clean"

read_table <- function(name) {
  path <- file.path(raw, paste0(name, ".csv"))
  bytes <- readBin(path, "raw", file.size(path))
  # R takes a carriage return for the end of a line; no answer holds the sign that stands for it meanwhile
  bytes[bytes == as.raw(13)] <- as.raw(1)
  input <- rawConnection(bytes)
  on.exit(close(input))
  read <- function(...) {
    cells <- scan(input, "", sep = ",", quote = "\"", na.strings = character(0), quiet = TRUE, encoding = "UTF-8", ...)
    gsub("\001", "\r", cells, fixed = TRUE)
  }
  titles <- read(nlines = 1)
  cells <- matrix(read(), ncol = length(titles), byrow = TRUE)
  columns <- lapply(seq_along(titles), function(place) cells[, place])
  names(columns) <- titles
  columns
}

write_table <- function(name) {
  columns <- lapply(seq_along(tables[[name]]), function(place) {
    cells <- c(names(tables[[name]])[place], tables[[name]][[place]][kept[[name]]])
    quoted <- grepl("[\",\n\r]", cells, useBytes = TRUE)
    cells[quoted] <- paste0("\"", gsub("\"", "\"\"", cells[quoted], fixed = TRUE), "\"")
    cells
  })
  output <- file(file.path(clean, paste0(name, ".csv")), "wb")
  on.exit(close(output))
  writeLines(enc2utf8(do.call(paste, c(columns, sep = ","))), output, useBytes = TRUE)
}

# the export's own KEY and PARENT_KEY stand behind questions of that name
own <- function(name, title) {
  titles <- names(tables[[name]])
  length(titles) + 1 - match(title, rev(titles))
}

change <- function(name, key, place, title, old, new) {
  if (!identical(names(tables[[name]])[place], title)) {
    stop(other_columns, ": ", name, ", ", title)
  }
  row <- which(tables[[name]][[own(name, "KEY")]] == key)
  if (length(row) != 1 || !is.na(old) && tables[[name]][[place]][row] != old) {
    stop("The raw tables are not those that this script was made for: ", name, ", ", key, ", ", title)
  }
  tables[[name]][[place]][row] <<- new
}

drop_rows <- function(name, column, key) {
  kept[[name]][tables[[name]][[own(name, column)]] == key] <<- FALSE
}

rename <- function(name, old, key, parent) {
  row <- which(tables[[name]][[own(name, "KEY")]] == old)
  tables[[name]][[own(name, "KEY")]][row] <<- key
  tables[[name]][[own(name, "PARENT_KEY")]][row] <<- parent
}
"""
R_AFTER = """
dir.create(clean, showWarnings = FALSE, recursive = TRUE)
for (name in names(tables)) write_table(name)"""

R_CHARS = 80
"""So many signs are in a literal of R's, and longer texts on lines of their own: Rscript reads 4,096 bytes of a line at a
time and takes an escape that is cut there for another (seen in 4.2)."""

R_PART_CHARS = 50 * R_CHARS


def _r(log: Log) -> Iterator[str]:
    for line in _told(log, "Rscript clean.R raw clean"):
        yield f"# {line}"
    yield R_BEFORE.rstrip("\n")
    yield ""
    yield f'other_columns <- "{_other_columns(log)}"'
    yield ""
    names = ",\n  ".join(_r_text(steps.name) for steps in log.tables)
    yield f"tables <- sapply(c(\n  {names}\n), read_table, simplify = FALSE)"
    yield "kept <- lapply(tables, function(columns) rep(TRUE, length(columns[[1]])))"
    for steps in log.tables:
        name = _r_text(steps.name)
        yield ""
        for change in steps.changes:
            yield from _comment("#", change.why)
            old, (new, *more) = _r_parts(change.old), _r_parts(change.new)
            if more:
                yield f"text <- {new}"
                yield from (f"text <- c(text, {part})" for part in more)
                new = 'paste(text, collapse = "")'
            column = f"{change.place + 1}, {_r_text(steps.columns[change.place])}"
            before = old[0] if len(old) == 1 else "NA"
            yield f"change({name}, {_r_text(change.key)}, {column}, {before}, {new})"
        for drop in steps.drops:
            yield from _comment("#", drop.why)
            yield f"drop_rows({name}, {_r_text(drop.column)}, {_r_text(drop.key)})"
        for one in steps.renames:
            yield f"rename({name}, {_r_text(one.old)}, {_r_text(one.key)}, {_r_text(one.parent)})"
    yield R_AFTER


PIECE_CHARS, PIECES = 500, 50
"""A literal of Stata's holds so many signs at most, and an expression so many literals: its limits are not far above."""


def _stata(log: Log) -> Iterator[str]:
    for line in _told(log, "do clean.do raw clean"):
        yield f"* {_harmless(line)}"
    yield from (
        "version 14",
        "args raw clean",
        """if "`raw'" == "" local raw "raw\"""",
        """if "`clean'" == "" local clean "clean\"""",
        'local rows ""',
        'if c(stata_version) >= 17 local rows "maxquotedrows(unlimited)"',
        """capture mkdir "`clean'\"""",
    )
    for steps in log.tables:
        yield ""
        yield from _stata_table(steps, _other_columns(log))


def _stata_table(steps: Steps, other_columns: str) -> Iterator[str]:
    """The first row is that of the titles, for Stata would alter them: v1, v2, … are the columns in their order."""
    key = _stata_name(steps.own(KEY))
    yield f"local file = {_stata_text(steps.name)}"
    yield (
        'import delimited using "`raw\'/`file\'.csv", clear delimiters(",") varnames(nonames) '
        'stringcols(_all) bindquotes(strict) encoding("utf-8") `rows\''
    )
    owned = {steps.own(title) for title in (KEY, PARENT_KEY) if title in steps.columns}
    for place in sorted(owned | {one.place for one in steps.changes}):
        yield f"capture assert {_stata_name(place)} == {_stata_text(steps.columns[place])} in 1"
        yield f'if _rc display as error "{other_columns}: " {_stata_shown(steps, place)}'
        yield "if _rc exit 9"
    for change in steps.changes:
        yield from _comment("*", _harmless(change.why))
        row, variable = f"if {key} == {_stata_text(change.key)}", _stata_name(change.place)
        old, (first, *more) = _stata_pieces(change.old), _stata_pieces(change.new)
        if len(old) == 1:
            yield f"assert {variable} == {old[0]} {row}"
        yield f"replace {variable} = {first} {row}"
        for piece in more:
            yield f"replace {variable} = {variable} + {piece} {row}"
    for drop in steps.drops:
        yield from _comment("*", _harmless(drop.why))
        yield f"drop if {_stata_name(steps.own(drop.column))} == {_stata_text(drop.key)}"
    for one in steps.renames:
        row = f"if {key} == {_stata_text(one.old)}"
        yield f"replace {_stata_name(steps.own(PARENT_KEY))} = {_stata_text(one.parent)} {row}"
        yield f"replace {key} = {_stata_text(one.key)} {row}"
    yield 'export delimited using "`clean\'/`file\'.csv", replace delimiter(",") novarnames quote'


def _stata_name(place: int) -> str:
    return f"v{place + 1}"


def _stata_shown(steps: Steps, place: int) -> str:
    """Table and column for `display`, that takes expressions side by side."""
    return f'({_stata_text(steps.name)}) ", " ({_stata_text(steps.columns[place])})'


def _other_columns(log: Log) -> str:
    return f"The raw tables have not the columns of this script; export them with {_switches(log)}"


def _switches(log: Log) -> str:
    """The options of `chapar export` that give the tables the script is made for."""
    return "--empty-columns --personal" if log.personal else "--empty-columns"


def _told(log: Log, command: str) -> Iterator[str]:
    yield f"Cleans the tables of the form {_line(log.form_id)} as its cleaning log says."
    yield f"The log: {log.count} entries, SHA-256 {log.sha256}; the journal: up to {log.cut_off}."
    yield f"Run: {command}"
    yield f"raw: folder of `chapar export {_line(log.form_id)} {_switches(log)}`."
    yield "clean: gets what the same with `--view clean` would write."


def _comment(sign: str, why: str) -> Iterator[str]:
    if line := _line(why):
        yield f"{sign} {line}"


def _line(text: str) -> str:
    """A text as part of a comment: one line, nothing that cannot be seen."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def _harmless(text: str) -> str:
    """A comment without what Stata reads even there: macros, and what opens or joins comments."""
    return re.sub(r"[/*`'\"$\\]+", " ", text)


def _r_text(text: str) -> str:
    """A text as an expression of R's, in ASCII: so it says the same in every locale."""
    signs = list(map(_r_sign, text))
    literals = [f'"{"".join(signs[at : at + R_CHARS])}"' for at in range(0, len(signs), R_CHARS)]
    inside = ",\n  ".join(literals)
    return f"paste0(\n  {inside}\n)" if len(literals) > 1 else inside or '""'


def _r_parts(text: str) -> list[str]:
    """A text as expressions whose values are joined: Rscript reads a long one anew with every line."""
    return [_r_text(text[at : at + R_PART_CHARS]) for at in range(0, len(text) or 1, R_PART_CHARS)]


def _r_sign(sign: str) -> str:
    if sign in '"\\':
        return f"\\{sign}"
    if " " <= sign <= "~":
        return sign
    return f"\\U{ord(sign):08x}" if sign > "\uffff" else f"\\u{ord(sign):04x}"


def _stata_text(text: str) -> str:
    """A short text as one expression of Stata's."""
    return " + ".join(_stata_pieces(text))


def _stata_pieces(text: str) -> list[str]:
    """A text as expressions whose values are joined: in quotes, and by its number what Stata reads there or nobody sees."""
    read_there = "\"`'$\\*" + "/" * ("//" in text)
    terms = []
    for is_plain, run in groupby(text, lambda sign: sign.isprintable() and sign not in read_there):
        if is_plain:
            signs = "".join(run)
            terms += [f'"{signs[at : at + PIECE_CHARS]}"' for at in range(0, len(signs), PIECE_CHARS)]
        else:
            terms += [f"uchar({ord(sign)})" for sign in run]
    return [" + ".join(terms[at : at + PIECES]) for at in range(0, len(terms), PIECES)] or ['""']
