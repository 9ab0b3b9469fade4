"""Table maps and rows events: which table, wanted or not, and the change with its images still packed."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from otter.binlog import tablemap
from otter.binlog.decoder import Counter, counter
from otter.binlog.event import uncompress
from otter.errors import Damaged
from otter.model.batch import Change, Kind, Table

#: Rows event codes (23-25: v1, 30-32: v2; 166-171: MariaDB's compressed ones): kind, has extra data, is compressed.
CODES: dict[int, tuple[Kind, bool, bool]] = {
    23: (Kind.INSERT, False, False), 24: (Kind.UPDATE, False, False), 25: (Kind.DELETE, False, False),
    30: (Kind.INSERT, True, False), 31: (Kind.UPDATE, True, False), 32: (Kind.DELETE, True, False),
    166: (Kind.INSERT, False, True), 167: (Kind.UPDATE, False, True), 168: (Kind.DELETE, False, True),
    169: (Kind.INSERT, True, True), 170: (Kind.UPDATE, True, True), 171: (Kind.DELETE, True, True),
}  # fmt: skip
NO_TABLE = b"\xff\xff\xff\0\0\0"  # the table id of an event that only ends a statement

Wanted = Callable[[str, str], bool]


class Shape(NamedTuple):
    """What the bytes between a rows event's head and its rows mean."""

    kind: Kind
    before: bytes
    after: bytes
    count: Counter


class Mapped:
    """A table id's table: its index, and the shapes of its rows events so far, by code and the bytes that say them."""

    def __init__(self, index: int, table: Table) -> None:
        self.index = index
        self.table = table
        columns = len(table.columns)
        self._columns = bytes([columns]) if columns < 251 else b"\xfc" + columns.to_bytes(2, "little")
        self._width = (columns + 7) // 8
        self.sizes = {
            code: len(self._columns) + self._width * (2 if kind == Kind.UPDATE else 1)
            for code, (kind, _, _) in CODES.items()
        }
        self.shapes: dict[tuple[int, bytes], Shape] = {}

    def shape(self, code: int, head: bytes) -> Shape:
        """Reads ``head`` (number of columns, one or two bitmaps) and keeps what it means."""
        start = len(self._columns)
        if head[:start] != self._columns or len(head) != self.sizes[code]:
            raise Damaged(f"a rows event of {self.table.address} has another number of columns than its TABLE_MAP")
        kind = CODES[code][0]
        first, last = head[start : start + self._width], head[-self._width :]
        before, after = (b"" if kind == Kind.INSERT else first), (b"" if kind == Kind.DELETE else last)
        found = self.shapes[code, head] = Shape(kind, before, after, counter(self.table, kind, before, after))
        return found


class Rows:
    """Knows the tables of a stream. ``tables`` only grows, by one entry for each distinct definition."""

    def __init__(self, wanted: Wanted) -> None:
        self.tables: list[Table] = []
        self._wanted = wanted
        self._answers: dict[tuple[str, str], bool] = {}
        self._indexes: dict[Table, int] = {}
        self._maps: dict[bytes, tuple[bytes, Mapped | None]] = {}
        self.forget()

    def forget(self) -> None:
        """A new file: a server that restarted may use table ids again."""
        self._maps = {NO_TABLE: (b"", None)}

    def wanted(self, schema: str, table: str) -> bool:
        """The consumer's answer, asked once for each table."""
        answer = self._answers.get((schema, table))
        if answer is None:
            answer = self._answers[schema, table] = self._wanted(schema, table)
        return answer

    def learn(self, body: bytes, mariadb: bool) -> None:
        """Takes a TABLE_MAP; one that was seen before costs a comparison."""
        table_id = body[:6]
        known = self._maps.get(table_id)
        if known is not None and known[0] == body:
            return
        self._maps[table_id] = (body, self._map(body[8:], mariadb))

    def _map(self, body: bytes, mariadb: bool) -> Mapped | None:
        if not self.wanted(*tablemap.address(body)):
            return None
        table = tablemap.parse(body, mariadb)
        index = self._indexes.get(table)
        if index is None:
            index = self._indexes[table] = len(self.tables)
            self.tables.append(table)
        return Mapped(index, self.tables[index])

    def mapped(self, event: bytes) -> Mapped | None:
        """The wanted table of a rows event; None: not wanted."""
        try:
            return self._maps[event[19:25]][1]
        except KeyError:
            raise Damaged("a rows event without its TABLE_MAP", "the position is inside a transaction") from None

    def change(self, mapped: Mapped, event: bytes, code: int, end: int) -> Change:
        """The change of a wanted table; ``end`` is where the checksum begins."""
        _, has_extra, compressed = CODES[code]
        at = 27 + (int.from_bytes(event[27:29], "little") if has_extra else 0)
        start = at + mapped.sizes[code]
        head = event[at:start]
        kind, before, after, count = mapped.shapes.get((code, head)) or mapped.shape(code, head)
        body = uncompress(event[start:end]) if compressed else event[start:end]
        return Change(mapped.index, kind, count(body), body, before, after, event[25] | event[26] << 8)
