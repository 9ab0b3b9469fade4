"""What a statement in the binlog is: transaction control, data changed as text (which we refuse), or DDL."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum, auto


class Verb(Enum):
    BEGIN = auto()
    COMMIT = auto()
    ROLLBACK = auto()
    ROLLBACK_TO = auto()
    NOTHING = auto()  # savepoints, XA phases, dummies: no effect on rows
    DML = auto()
    DDL = auto()  # everything else


_SKIPPED = re.compile(r"(?:\s+|/\*(?![!M]).*?\*/|--\s[^\n]*\n?|/\*M?!\d*)*", re.DOTALL)
_WORDS = re.compile(r"([A-Za-z]+)(?:\s+([A-Za-z]+))?")
_CONTROL = {
    ("BEGIN", ""): Verb.BEGIN,
    ("START", "TRANSACTION"): Verb.BEGIN,
    ("COMMIT", ""): Verb.COMMIT,
    ("ROLLBACK", ""): Verb.ROLLBACK,
    ("SAVEPOINT", ""): Verb.NOTHING,
    ("RELEASE", ""): Verb.NOTHING,
    ("XA", "START"): Verb.BEGIN,
    ("XA", "BEGIN"): Verb.BEGIN,
    ("XA", ""): Verb.NOTHING,
}
_DML = frozenset({"INSERT", "UPDATE", "DELETE", "REPLACE", "LOAD", "WITH"})
_TEXTS = re.compile(r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|/\*(?![!M]).*?\*/", re.DOTALL)
_NAMES = re.compile(r"(?:`((?:[^`]|``)+)`|([\w$]+))(?:\s*\.\s*(?:`((?:[^`]|``)+)`|([\w$]+)))?")


def verb_of(sql: str) -> Verb:
    """Judges by the first words, behind comments (conditional ones are opened)."""
    if sql in ("BEGIN", "COMMIT"):
        return Verb[sql]
    if sql.startswith("#"):
        return Verb.NOTHING  # MariaDB's dummy in place of an event that a replica would not understand
    match = _WORDS.match(sql, _SKIPPED.match(sql).end())  # type: ignore[union-attr]  # it matches the empty string
    first, second = (match[1].upper(), (match[2] or "").upper()) if match else ("", "")
    if first == "ROLLBACK" and " to " in f" {sql.lower()} ":
        return Verb.ROLLBACK_TO
    found = _CONTROL.get((first, second)) or _CONTROL.get((first, ""))
    return found or (Verb.DML if first in _DML else Verb.DDL)


def touched(sql: str, schema: str, wanted: Callable[[str, str], bool]) -> str:
    """The first wanted table that the text may name ("" = none). Errs on the side of finding one."""
    for match in _NAMES.finditer(_TEXTS.sub(" ", sql)):
        first = (match[1] or match[2]).replace("``", "`")
        second = (match[3] or match[4] or "").replace("``", "`")
        where, name = (first, second) if second else (schema, first)
        if where and wanted(where, name):
            return f"{where}.{name}"
    return ""
