"""Our own echoes: a transaction with a mark of this channel was applied here by us and must not go back (D1)."""

from __future__ import annotations

from enum import Enum, auto

from otter.binlog import decoder
from otter.model.batch import Change, Kind, Part, Table, Transaction

SCHEMA = "retl"
MARK_TABLE = "otter_mark"


class Origin(Enum):
    """Whose work a transaction is."""

    APPLICATION = auto()  # it travels
    OURS = auto()  # rows that this channel wrote here
    MARK = auto()  # only a position was written down, by whatever channel


class EchoFilter:
    """Tells transactions of this channel from everybody else's, and takes the mark rows out of those.

    The mark is in the first piece of a giant transaction; what that one is, the others are."""

    def __init__(self, channel_id: int) -> None:
        self._channel = str(channel_id).encode()
        self._seen = 0  # of the stream's tables
        self._marks: set[int] = set()  # those that are marks
        self._giant = Origin.APPLICATION

    def look(self, transaction: Transaction, tables: list[Table]) -> tuple[Origin, Transaction]:
        """The origin, and the transaction without mark rows (what is left of one that travels)."""
        if len(tables) > self._seen:
            self._learn(tables)
        if not self._marks and transaction.part is Part.WHOLE:
            return Origin.APPLICATION, transaction  # on every transaction's way, so before all else
        if transaction.part in {Part.MIDDLE, Part.LAST}:
            return self._giant, transaction
        origin, rest = self._judge(transaction, tables)
        if transaction.part is Part.FIRST:
            self._giant = origin = Origin.APPLICATION if origin is Origin.MARK else origin  # its rows are to come
        return origin, rest

    def _learn(self, tables: list[Table]) -> None:
        new = enumerate(tables[self._seen :], self._seen)
        self._marks |= {index for index, table in new if (table.schema, table.name) == (SCHEMA, MARK_TABLE)}
        self._seen = len(tables)

    def _judge(self, transaction: Transaction, tables: list[Table]) -> tuple[Origin, Transaction]:
        marks = [change for change in transaction.changes if change.table in self._marks]
        if not marks:
            return Origin.APPLICATION, transaction
        rest = tuple(change for change in transaction.changes if change.table not in self._marks)
        left = Transaction(transaction.gtid, transaction.position, transaction.committed, rest, transaction.part)
        if any(self._is_ours(change, tables[change.table]) for change in marks):
            alone = not rest and transaction.part is Part.WHOLE
            return Origin.MARK if alone else Origin.OURS, left
        return Origin.APPLICATION if rest else Origin.MARK, left

    def _is_ours(self, change: Change, table: Table) -> bool:
        names = [column.name for column in table.columns]
        ordinal = names.index("channel_id")
        for row in decoder.literals(table, change.kind, change.before, change.after)(change.body):
            image = row[1] if change.kind is Kind.UPDATE else row
            if image[ordinal] == self._channel:
                return True
        return False
