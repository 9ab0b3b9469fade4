"""Our own echoes: a transaction with a mark of this channel was applied here by us and must not go back (D1)."""

from __future__ import annotations

import msgspec

from otter.binlog import decoder
from otter.model.batch import Change, Kind, Part, Table, Transaction

SCHEMA = "retl"
MARK_TABLE = "otter_mark"


class EchoFilter:
    """Drops transactions that this channel's other pipeline wrote; takes the mark rows out of everybody else's."""

    def __init__(self, channel_id: int) -> None:
        self._channel = str(channel_id).encode()
        self._is_mark: list[bool] = []  # by index of the stream's tables
        self._in_echo = False  # the first piece of a giant transaction was ours; its mark is the first row of all

    def keep(self, transaction: Transaction, tables: list[Table]) -> Transaction | None:
        """The transaction without mark rows, or None when nothing of it is to travel."""
        if self._in_echo:
            self._in_echo = transaction.part is not Part.LAST
            return None
        for table in tables[len(self._is_mark) :]:
            self._is_mark.append(table.schema == SCHEMA and table.name == MARK_TABLE)
        marks = [change for change in transaction.changes if self._is_mark[change.table]]
        if not marks:
            return transaction
        if any(self._ours(change, tables[change.table]) for change in marks):
            self._in_echo = transaction.part is Part.FIRST
            return None
        rest = tuple(change for change in transaction.changes if not self._is_mark[change.table])
        if not rest and transaction.part is Part.WHOLE:
            return None
        return msgspec.structs.replace(transaction, changes=rest)

    def _ours(self, change: Change, table: Table) -> bool:
        names = [column.name for column in table.columns]
        ordinal = names.index("channel_id")
        for row in decoder.literals(table, change.kind, change.before, change.after)(change.body):
            image = row[1] if change.kind is Kind.UPDATE else row
            if image[ordinal] == self._channel:
                return True
        return False
