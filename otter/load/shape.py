"""How rows of a source table meet the target table: what is written, what names a row, what may collide. Pure."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from operator import itemgetter

from otter.dialect import sql
from otter.dialect.schema import ForeignKey, TargetColumn, TargetTable
from otter.dialect.sql import NULL, Row
from otter.errors import Fatal
from otter.model.batch import Table

#: A row's value in a key, comparable by ==; None = holds a NULL, so it collides with nothing.
Token = Callable[[Row], Hashable | None]

#: Collations that equate no two ASCII texts but by case and trailing spaces. Others are not trusted to.
_FOLDING = re.compile(r"(_general(_nopad|_mysql500)?_ci|_unicode(_520)?(_nopad)?_ci|_0900_a[is]_c[is]|uca1400_\w+|"
                      r"^(latin1_swedish|latin1_general|ascii_general)(_nopad)?_ci)$")  # fmt: skip
_SINGLE = struct.Struct("<f")
_INEXACT = frozenset({"float", "double", "real"})
TEXT = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})


class Unsure(Exception):
    """A value whose equals we cannot tell: the key that holds it orders changes by kind from now on."""

    def __init__(self, key: Key) -> None:
        super().__init__(key)
        self.key = key


class Compare(Enum):
    """How literals of a key column tell equal values apart."""

    EXACT = 1  # equal values have equal literals
    TRIM = 2  # binary collation: but for trailing spaces
    FOLD = 3  # ASCII: but for case and trailing spaces; other text: unsure
    UNSURE = 4


@dataclass(frozen=True)
class Key:
    """The value of some columns as a thing that collides: a unique key, or one end of a foreign key. Two keys with the
    same ``space`` are compared with each other. Without ``ordinals`` it is computed from columns we do not know."""

    space: str
    ordinals: tuple[int, ...]
    compares: tuple[Compare, ...]
    nullable: bool

    @property
    def sure(self) -> bool:
        return Compare.UNSURE not in self.compares

    @cached_property
    def token(self) -> Token:
        if not self.sure:
            raise Unsure(self)
        exact = all(compare is Compare.EXACT for compare in self.compares)
        if exact and not self.nullable:
            return itemgetter(*self.ordinals)
        # One column's token is its bare value with or without NULLs: both ends of a foreign key must agree.
        return self._single if len(self.ordinals) == 1 else self._several

    def _single(self, row: Row) -> Hashable | None:
        literal = row[self.ordinals[0]]
        return None if literal == NULL else self._normal(literal, self.compares[0])

    def _several(self, row: Row) -> Hashable | None:
        pairs = zip(self.ordinals, self.compares, strict=True)
        values = tuple([self._normal(row[ordinal], compare) for ordinal, compare in pairs])
        return None if NULL in values else values

    def _normal(self, literal: bytes, compare: Compare) -> bytes:
        if compare is Compare.EXACT or literal == NULL:
            return literal
        if literal[:1] != b"'" or (compare is Compare.FOLD and not (literal.isascii() and _is_plain(literal))):
            raise Unsure(self)
        trimmed = literal[1:-1].rstrip(b" ")
        return trimmed if compare is Compare.TRIM else trimmed.lower()


def _is_plain(literal: bytes) -> bool:
    """Without control characters, which some collations ignore."""
    return literal.isalnum() or literal.decode("ascii").isprintable()


@dataclass(frozen=True, eq=False)
class Shape:
    """``columns`` are the quoted target names by source ordinal, ``written`` the ordinals that may be set. ``match``
    names a row (None: the whole row does), ``keys`` are all unique keys, ``match`` first."""

    table: Table
    target: TargetTable
    into: bytes
    columns: tuple[bytes, ...]
    written: tuple[int, ...]
    always: frozenset[int]  # set by every UPDATE: ON UPDATE CURRENT_TIMESTAMP would change them
    match: Key | None
    keys: tuple[Key, ...]

    @property
    def mergeable(self) -> bool:
        """Changes of one row may become one: no trigger counts them."""
        return not self.target.triggers

    @cached_property
    def identity(self) -> Callable[[Row], Hashable]:
        """What says that two images are of the same row, byte for byte."""
        return itemgetter(*(self.match.ordinals if self.match else self.written))

    @cached_property
    def locate(self) -> Callable[[Row], Sequence[bytes]]:
        """The literals that WHERE compares the columns of ``match`` with."""
        ordinals = self.match.ordinals if self.match else ()
        pick = picker(ordinals, -1)
        single = [self.target.by_name[self.table.columns[i].name.lower()].data_type == "float" for i in ordinals]
        if not any(single):
            return pick
        return lambda row: [
            exact_float(value) if is_single else value for value, is_single in zip(pick(row), single, strict=True)
        ]

    @cached_property
    def sensitive(self) -> Callable[[Row], Hashable]:
        """The values that unique keys look at: an UPDATE that leaves them alone collides with its own row only."""
        computed = not self.match or not all(key.ordinals for key in self.keys)
        watched = {ordinal for key in self.keys for ordinal in key.ordinals}
        return itemgetter(*(range(len(self.columns)) if computed else sorted(watched)))

    @cached_property
    def pick(self) -> Callable[[Row], Sequence[bytes]]:
        """The literals that are written by an INSERT."""
        return picker(self.written, len(self.columns))

    def foreign_key(self, foreign: ForeignKey, columns: tuple[str, ...]) -> Key:
        """This table's end of ``foreign``."""
        space = f"{'.'.join(foreign.child)}:{foreign.name}"
        return _key(space, columns, self.table, self.target, unsure=False)


def exact_float(literal: bytes) -> bytes:
    """A FLOAT literal as the double that the server compares the column as (0.1 is not what a FLOAT 0.1 holds)."""
    return literal if literal == NULL else repr(_SINGLE.unpack(_SINGLE.pack(float(literal)))[0]).encode()


def picker(ordinals: Sequence[int], width: int) -> Callable[[Row], Sequence[bytes]]:
    """A function that takes ``ordinals`` out of a row as a sequence."""
    if tuple(ordinals) == tuple(range(width)):
        return lambda row: row
    if len(ordinals) == 1:
        only = ordinals[0]
        return lambda row: (row[only],)
    return itemgetter(*ordinals) if ordinals else lambda _: ()


def shape(table: Table, target: TargetTable) -> Shape:
    """Raises Fatal when columns of the source are missing on the target."""
    missing = [column.name for column in table.columns if column.name.lower() not in target.by_name]
    if missing:
        raise Fatal(
            f"target table {target.address} lacks columns of the source: {', '.join(missing)}",
            f"ALTER TABLE {target.address} ADD COLUMN them, as they are on the source",
        )
    goals = [target.by_name[column.name.lower()] for column in table.columns]
    keys = _keys(table, target)
    match = next((key for key in keys if _names_rows(key, table, target)), None)
    return Shape(
        table=table,
        target=target,
        into=sql.table(target.schema, target.name),
        columns=tuple(sql.name(goal.name) for goal in goals),
        written=tuple(i for i, goal in enumerate(goals) if not goal.generated),
        always=frozenset(i for i, goal in enumerate(goals) if goal.auto_update),
        match=match,
        keys=tuple(sorted(keys, key=lambda key: key is not match)),
    )


def _keys(table: Table, target: TargetTable) -> list[Key]:
    """Unique keys as the source's columns see them; columns that only the target has tell nothing and are left out,
    which makes the key collide more often, never less."""
    known = {column.name.lower() for column in table.columns}
    keys = []
    for unique in target.keys:
        computed = not unique.columns or any(target.by_name[name.lower()].generated for name in unique.columns)
        columns = () if computed else tuple(name for name in unique.columns if name.lower() in known)
        if columns or computed:
            keys.append(_key(f"{target.address}:{unique.name}", columns, table, target, unsure=not unique.whole))
    return keys


def _key(space: str, columns: tuple[str, ...], table: Table, target: TargetTable, *, unsure: bool) -> Key:
    places = {column.name.lower(): i for i, column in enumerate(table.columns)}
    goals = [target.by_name[name.lower()] for name in columns]
    return Key(
        space,
        tuple(places[name.lower()] for name in columns),
        tuple(Compare.UNSURE if unsure else _compare(goal) for goal in goals) or (Compare.UNSURE,),
        any(goal.nullable for goal in goals),
    )


def _compare(column: TargetColumn) -> Compare:
    if column.data_type in _INEXACT:
        return Compare.UNSURE
    if column.data_type not in TEXT or not column.collation:
        return Compare.EXACT
    if column.collation.endswith("_bin"):
        return Compare.TRIM
    return Compare.FOLD if _FOLDING.search(column.collation) else Compare.UNSURE


def _names_rows(key: Key, table: Table, target: TargetTable) -> bool:
    """Whole, never NULL, and all of it known to the source."""
    unique = next(unique for unique in target.keys if f"{target.address}:{unique.name}" == key.space)
    generated = any(target.by_name[name.lower()].generated for name in unique.columns)
    return unique.whole and not key.nullable and not generated and len(key.ordinals) == len(unique.columns)
