"""The way into select: open it at a position, take runs of transactions as fast as the pipe is free."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass

from otter.binlog.statement import touched
from otter.binlog.stream import Stream
from otter.model.batch import Position, Table, Transaction
from otter.model.config import PipelineTask
from otter.select.echo import MARK_TABLE, SCHEMA, EchoFilter
from otter.select.reader import Reader

#: Row images of a transaction beyond this travel in pieces.
PIECE_BYTES = 8 << 20
#: Seconds between position-only runs while only other tables change on the source.
IDLE_MOVE = 10.0


@dataclass(frozen=True, slots=True)
class Run:
    """Transactions in commit order, and the source positions before and after them. May hold none: then only the
    position moves. ``tables`` is what ``Change.table`` indexes."""

    transactions: list[Transaction]
    tables: list[Table]
    start: Position
    end: Position


class Selector:
    """Reads the source of ``task`` (clear password) from ``position`` on, as replica ``server_id``."""

    def __init__(self, task: PipelineTask, server_id: int, position: Position) -> None:
        self._pairs = {tuple(pair.source.split(".", 1)) for pair in task.pairs}
        wanted = {*self._pairs, (SCHEMA, MARK_TABLE)}
        stream = Stream(task.source, server_id, position, lambda schema, name: (schema, name) in wanted, PIECE_BYTES)
        self._most = task.parameters.mainstem_batchsize << 10
        self._reader = Reader(stream, EchoFilter(task.channel_id), 2 * self._most + PIECE_BYTES)
        self._position = position
        self._moved_at = time.monotonic()
        self._flush = 0

    def open(self) -> None:
        self._reader.start()

    async def close(self) -> None:
        await self._reader.close()

    @property
    def read_position(self) -> Position:
        """How far the binlog has been read, filtered transactions included."""
        return self._reader.stream.position

    @property
    def waiting(self) -> int:
        return self._reader.waiting

    def statements(self) -> list[str]:
        """Texts of the DDL on mapped tables that went by since the last call."""
        taken, self._reader.statements = self._reader.statements, []
        return [item.sql for item in taken if touched(item.sql, item.schema, lambda *name: name in self._pairs)]

    @contextlib.contextmanager
    def flushing(self) -> Iterator[None]:
        """While inside, the position moves at once even when only other tables change (somebody waits for it)."""
        self._flush += 1
        self._reader.bell.set()
        try:
            yield
        finally:
            self._flush -= 1

    async def take(self) -> Run:
        """The next run; waits until there is one. Raises what ended the reader."""
        while True:
            self._reader.bell.clear()
            before = self._reader.stream.position  # read before draining: whatever led here is in the queue already
            transactions = self._reader.drain(self._most)
            if transactions:
                return self._run(transactions, transactions[-1].position)
            if self._reader.error is not None:
                raise self._reader.error
            if before != self._position and self._may_move(before):
                return self._run([], before)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.1 if self._flush else 1.0):
                    await self._reader.bell.wait()

    def _may_move(self, read: Position) -> bool:
        """Two pipelines that each wrote down a position because the other did so would never come to rest."""
        return self._flush > 0 or (read != self._reader.quiet and time.monotonic() - self._moved_at > IDLE_MOVE)

    def _run(self, transactions: list[Transaction], end: Position) -> Run:
        run = Run(transactions, self._reader.tables, self._position, end)
        self._position = self._reader.quiet = end
        self._moved_at = time.monotonic()
        return run
