"""Row changes on their way: columns, tables, changes, transactions, a batch. Words only, no I/O.

Row images stay as the binlog had them (DESIGN D4); ``otter.binlog.decoder`` turns them into values where values are
needed. All structs here are msgpack-encoded as arrays, so fields are only ever appended.
"""

from __future__ import annotations

from enum import IntEnum

import msgspec


class Wire(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Base of what is packed by msgpack: fields by position."""


class Position(Wire, frozen=True):
    """A place between two transactions of a source. ``gtid`` is MariaDB's GTID list (``0-1-42,1-2-7``) or MySQL's
    GTID set; empty where the source has GTIDs off, then ``file`` and ``offset`` are the truth."""

    gtid: str = ""
    file: str = ""
    offset: int = 0


class Column(Wire, frozen=True):
    """A column as the TABLE_MAP event of the time describes it (``binlog_row_metadata=FULL``).

    ``type`` is MySQL's binlog type code (ENUM and SET already told apart from CHAR), ``meta`` its metadata word,
    ``collation`` the collation id (0 = not text; 63 = binary), ``labels`` the raw labels of an ENUM or SET."""

    name: str
    type: int
    meta: int = 0
    nullable: bool = True
    unsigned: bool = False
    collation: int = 0
    labels: tuple[bytes, ...] = ()


class Table(Wire, frozen=True):
    """A table definition of its time. ``key`` holds the ordinals of the primary key (empty: none)."""

    schema: str
    name: str
    columns: tuple[Column, ...]
    key: tuple[int, ...] = ()
    mariadb: bool = True  # the flavour decides how some types are stored (JSON, TIME, ...)

    @property
    def address(self) -> str:
        return f"{self.schema}.{self.name}"


class Kind(IntEnum):
    INSERT = 1
    UPDATE = 2
    DELETE = 3


class Change(Wire, frozen=True):
    """One rows event. ``body`` is the packed row images without header, bitmaps and checksum; ``before`` and
    ``after`` are the columns-present bitmaps (as in the event; empty where that image does not exist).
    ``flags`` are the rows event's flags (2 = no foreign key checks, 4 = relaxed unique checks)."""

    table: int  # index into Batch.tables
    kind: Kind
    rows: int
    body: bytes
    before: bytes = b""
    after: bytes = b""
    flags: int = 0


class Part(IntEnum):
    """A giant transaction travels in several pieces and still commits once (D2)."""

    WHOLE = 0
    FIRST = 1
    MIDDLE = 2
    LAST = 3


class Transaction(Wire, frozen=True):
    """A source transaction, or a piece of one. ``position`` is the place after it; ``committed`` is the source's commit
    time, seconds since the epoch by the source's clock; ``gtid`` its own id ("" where GTIDs are off)."""

    gtid: str
    position: Position
    committed: float
    changes: tuple[Change, ...]
    part: Part = Part.WHOLE


class Statement(Wire, frozen=True):
    """A statement the binlog holds as text: DDL. ``schema`` is the default database it ran in."""

    gtid: str
    position: Position
    committed: float
    schema: str
    sql: str


class Batch(Wire, frozen=True):
    """What travels: a run of transactions in commit order, with the definitions their images need.

    ``start`` is the source position before the first transaction, ``end`` the one after the last, filtered transactions
    included: loading an empty batch only moves the mark. At most one transaction of a batch is a piece, and then the
    batch holds nothing else."""

    channel_id: int
    pipeline_id: int
    epoch: int
    number: int  # Otter's process id: 1, 2, 3 ... within a pipeline; one content within one epoch
    start: Position
    end: Position
    tables: tuple[Table, ...]
    transactions: tuple[Transaction, ...]

    @property
    def rows(self) -> int:
        return sum(change.rows for transaction in self.transactions for change in transaction.changes)

    @property
    def part(self) -> Part:
        return self.transactions[0].part if self.transactions else Part.WHOLE

    @property
    def committed(self) -> float:
        """Commit time of the oldest transaction (what delay is measured from); 0.0 for an empty batch."""
        return self.transactions[0].committed if self.transactions else 0.0
