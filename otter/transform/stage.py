"""The only way in: tables of a batch get the names that the mapping pairs give them on the target."""

from __future__ import annotations

import msgspec

from otter.errors import Fatal
from otter.model.batch import Batch, Table
from otter.model.config import PipelineTask


class Transformer:
    """Maps by the task's pairs; names are compared exactly, as the binlog has them."""

    def __init__(self, task: PipelineTask) -> None:
        self._pipeline = task.name
        self._targets = {pair.source: pair.target_name.split(".", 1) for pair in task.pairs}

    def transform(self, batch: Batch) -> Batch:
        """The same changes under target names. Raises Fatal for a table that no pair names."""
        return msgspec.structs.replace(batch, tables=tuple(self._target(table) for table in batch.tables))

    def _target(self, table: Table) -> Table:
        target = self._targets.get(table.address)
        if target is None:
            raise Fatal(
                f"table {table.address} came through pipeline {self._pipeline}, but no mapping pair names it",
                "add the pair, or restart the channel so that both sides have the same pairs",
            )
        schema, name = target
        return msgspec.structs.replace(table, schema=schema, name=name)
