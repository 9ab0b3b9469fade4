"""The way into extract. (Processors and filters come in here; rows are decoded only where those need their values.)"""

from __future__ import annotations

from collections.abc import Sequence

from otter.model.batch import Batch, Change, Position, Table, Transaction
from otter.model.config import PipelineTask


class Extractor:
    """Makes the batches of one pipeline."""

    def __init__(self, task: PipelineTask) -> None:
        self._channel_id, self._pipeline_id = task.channel_id, task.id

    def extract(
        self,
        transactions: Sequence[Transaction],
        tables: Sequence[Table],
        start: Position,
        end: Position,
        *,
        epoch: int,
        number: int,
    ) -> Batch:
        """``transactions`` between ``start`` and ``end``, with only the table definitions that they use."""
        used = {change.table for transaction in transactions for change in transaction.changes}
        order = sorted(used)
        kept = tuple(tables[index] for index in order)
        moved = tuple(transactions)
        if order != list(range(len(order))):
            index = {old: new for new, old in enumerate(order)}
            moved = tuple(_reindexed(transaction, index) for transaction in transactions)
        return Batch(self._channel_id, self._pipeline_id, epoch, number, start, end, kept, moved)


def _reindexed(transaction: Transaction, index: dict[int, int]) -> Transaction:
    changes = tuple(
        Change(index[c.table], c.kind, c.rows, c.body, c.before, c.after, c.flags) for c in transaction.changes
    )
    return Transaction(transaction.gtid, transaction.position, transaction.committed, changes, transaction.part)
