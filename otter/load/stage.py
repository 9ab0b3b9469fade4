"""The only way in: batches are prepared (any thread) and applied (one thread), in one write with the mark (D1, D2).

A giant transaction's pieces are applied one by one in one open transaction; only the last one commits.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Any

from otter.binlog.decoder import literals
from otter.binlog.replay import format_description
from otter.dialect import mark
from otter.dialect.connection import MISFIT, Connection, SqlError
from otter.errors import Fatal, OtterError, Retryable
from otter.load.catalog import Catalog
from otter.load.conflict import RowByRow
from otter.load.group import Group
from otter.load.parking import FOLLOWER, Parking, images
from otter.load.plan import plan
from otter.load.replay import Replay, is_replayable, replays
from otter.load.shape import Shape
from otter.load.statement import Statement, statements
from otter.model.batch import Batch, Change, Kind, Part, Table
from otter.model.config import PipelineTask
from otter.model.process import Mark

log = logging.getLogger("otter.load")

#: Bytes of a statement: longer ones gain nothing.
STATEMENT_BYTES = 4 << 20
DENIED = frozenset({1044, 1045, 1142, 1143, 1227, 1698})


@dataclass(frozen=True, eq=False)
class Prepared:
    """A batch as statements. ``rows`` are the source's row changes."""

    batch: Batch
    statements: list[Statement | Replay]
    rows: int


@dataclass(frozen=True)
class Applied:
    """What ``apply`` did. ``mark`` is the target's afterwards; ``committed`` is False between the pieces of a giant
    transaction; ``repeated``: the target had it already, nothing was done. ``applied_at``: our clock, epoch seconds."""

    mark: Mark
    rows: int = 0
    statements: int = 0
    conflicts: int = 0
    parked: int = 0
    committed: bool = True
    repeated: bool = False
    applied_at: float = 0.0


class Loader:
    """Loads one pipeline (clear passwords) into its target; ``nid`` signs the mark. ``prepare`` may run on another
    thread while ``apply`` runs; everything else belongs to one thread. After any error: ``open`` again; the mark
    it returns is where to go on, with batches prepared anew."""

    def __init__(self, task: PipelineTask, nid: int, *, timeout: float = 60.0, lock_wait: int = 10) -> None:
        self._task = task
        self._nid = nid
        self._timeout = timeout
        self._lock_wait = lock_wait
        self._catalog = Catalog(task, timeout)
        self._connection: Connection | None = None
        self._parking = Parking()
        self._limit = STATEMENT_BYTES
        self._in_pieces = False
        self._checked = True  # the session's foreign_key_checks
        self._server_id = 0  # the target's; 0 = it takes no row images
        self._described = False  # whether this session knows how our events look
        self._verified: set[str] = set()  # tables looked at again while this batch is applied
        self._at = mark.SCHEMA + ".otter_mark"  # what the session works on, for errors

    def open(self) -> Mark:
        """Connects (again), makes the retl tables and returns the target's mark. Raises Retryable, Fatal."""
        self.close()
        where = f"on data source {self._task.target.name}"
        try:
            connection = Connection(
                self._task.target, autocommit=False, timeout=self._timeout, lock_wait=self._lock_wait
            )
        except SqlError as error:
            raise error.translated(where) from None
        self._connection = connection
        try:
            return self._begin_from(connection)
        except SqlError as error:
            self.close()
            raise (mark.missing_grant(connection) if error.code in DENIED else error.translated(where)) from None

    def _begin_from(self, connection: Connection) -> Mark:
        task = self._task
        mark.ensure(connection)
        found = mark.read(connection, task.id)
        if found.is_new:
            mark.first(connection, task.id, task.channel_id, task.source.name)
        self._parking = Parking(mark.parked_keys(connection, task.id))
        connection.commit()
        self._limit = min(connection.max_packet // 2, STATEMENT_BYTES)
        self._in_pieces, self._checked, self._described = False, True, False
        self._server_id = int(connection.value("SELECT @@server_id")) if connection.is_mariadb else 0
        return found

    def claim(self, epoch: int) -> Mark:
        """Raises the target's mark to ``epoch`` (a newer one stays) and returns it: from here on older ones are
        refused, and what a predecessor was still committing is in the mark. Raises Retryable, Fatal."""
        connection = self._connection
        if connection is None:
            raise Retryable("the loader is not open", "open it")
        self._at = mark.SCHEMA + ".otter_mark"
        try:
            connection.execute(mark.claim(self._task.id, epoch))
            connection.commit()
            found = mark.read(connection, self._task.id)
            connection.commit()
        except SqlError as error:
            self.rollback()
            raise self._explained(error) from None
        return found

    def keep_alive(self) -> None:
        """Says a word to the target, so that neither a long pause between the pieces of a giant transaction nor an idle
        night ends the session; finds a dead one early. Raises Retryable."""
        if self._connection is None:
            raise Retryable("the loader is not open", "open it")
        try:
            self._connection.execute(b"DO 0")
        except SqlError as error:
            self.rollback()
            raise self._explained(error) from None

    @property
    def parked_keys(self) -> int:
        """Keys of this pipeline that wait in ``retl.otter_parked``."""
        return len(self._parking)

    def prepare(self, batch: Batch) -> Prepared:
        """Decodes, plans and writes the statements; CPU only but for the first look at a target table.
        Raises Fatal (missing table, column, partial images), Damaged, Retryable."""
        changes = [change for transaction in batch.transactions for change in transaction.changes]
        used = sorted({change.table for change in changes})
        shapes = dict(zip(used, self._catalog.shapes(batch.tables[index] for index in used), strict=True))
        decode, size = _Decoding(batch.tables, shapes), self._task.parameters.load_batchsize
        groups = plan(shapes, changes, decode, is_replayable if self._server_id else None)
        made: list[Statement | Replay] = []
        for group in groups:
            if group.images:
                made += replays(group, group.images, decode, self._server_id)
            else:
                made += statements(group, size, self._limit)
        return Prepared(batch, made, sum(change.rows for change in changes))

    def apply(self, prepared: Prepared) -> Applied:
        """Applies the batch and moves the mark; commits unless it is a piece that others follow. Raises Retryable,
        Fatal, LeaseLost, always rolled back."""
        connection = self._connection
        if connection is None:
            raise Retryable("the loader is not open", "open it")
        try:
            return self._apply(connection, prepared)
        except SqlError as error:
            self.rollback()
            raise self._explained(error) from None
        except OtterError:
            self.rollback()
            raise

    def _apply(self, connection: Connection, prepared: Prepared) -> Applied:
        batch = prepared.batch
        if self._in_pieces and batch.part in (Part.WHOLE, Part.FIRST):
            self.rollback()  # the rest of those pieces will never come
        wanted = Mark(batch.epoch, batch.number, batch.end)
        self._at = mark.SCHEMA + ".otter_mark"
        if not connection.execute(mark.move(self._task.id, wanted, batch.committed, self._nid)):
            return self._already(connection, wanted)
        self._verified.clear()
        rows = RowByRow(connection, self._task.parameters, self._parking)
        for statement in prepared.statements:
            self._run(connection, rows, statement)
        parked = self._write_logs(connection, rows, batch.number)
        committed = batch.part in (Part.WHOLE, Part.LAST)
        self._in_pieces = not committed
        if committed:
            self._commit(connection)
        return Applied(
            wanted, prepared.rows, len(prepared.statements), len(rows.log), parked, committed, applied_at=time.time()
        )

    def _already(self, connection: Connection, wanted: Mark) -> Applied:
        self.rollback()
        found = mark.read(connection, self._task.id)
        connection.rollback()
        mark.verdict(found, wanted)
        return Applied(found, repeated=True, applied_at=time.time())

    def _run(self, connection: Connection, rows: RowByRow, statement: Statement | Replay) -> None:
        group = statement.group
        self._at = group.shape.target.address
        if group.unchecked is self._checked:
            connection.execute(f"SET foreign_key_checks={int(not group.unchecked)}")
            self._checked = not group.unchecked
        if isinstance(statement, Replay):
            if not self._replayed(connection, statement):
                for plain in statement.plain(self._task.parameters.load_batchsize, self._limit):
                    self._run(connection, rows, plain)
        elif self._parking.concerns(group.shape):
            for free in self._free(statement):
                self._try(connection, rows, free)
        else:
            self._try(connection, rows, statement)

    def _replayed(self, connection: Connection, replay: Replay) -> bool:
        """Whether the target took the rows as images; if not, nothing of them is there."""
        if not self._server_id or len(replay.text) > self._limit or self._parking.concerns(replay.group.shape):
            return False
        self._hold_still(connection, replay.group.shape)
        connection.execute(b"SAVEPOINT otter")
        try:
            if not self._described:
                connection.execute(format_description(connection.version))
                self._described = True
            connection.execute(replay.text)
        except SqlError as error:
            if error.is_retryable:
                raise
            if not error.is_about_row:  # no BINLOG REPLAY, or a server that reads our events in another way
                log.info("target %s takes no row images, SQL it is: %s", self._task.target.name, error.message)
                self._server_id = 0
            connection.execute(b"ROLLBACK TO SAVEPOINT otter")
            return False
        return True

    def _hold_still(self, connection: Connection, shape: Shape) -> None:
        """Images know columns by place only: nobody can change the table from this read to our commit, and it still is
        what the plan was made with."""
        if self._at not in self._verified:
            connection.execute(b"SELECT 1 FROM %b LIMIT 0" % shape.into)
            self._catalog.verify(shape, connection)
            self._verified.add(self._at)

    def _free(self, statement: Statement) -> list[Statement]:
        """What is left of the statement when rows of parked keys have gone to the parking, too."""
        group = statement.group
        free = []
        for row in statement.rows:
            if self._parking.holds(group.shape, images(group.kind, row)):
                self._parking.add(group, row, FOLLOWER)
            else:
                free.append(row)
        if len(free) == len(statement.rows):
            return [statement]
        rest = Group(group.shape, group.kind, free, group.columns, group.unchecked)
        return statements(rest, max(len(free), 1), self._limit)

    def _try(self, connection: Connection, rows: RowByRow, statement: Statement) -> None:
        """Optimistically; the slow path where the count or an error says that the target differs."""
        group, count = statement.group, len(statement.rows)
        # A multi-row DELETE hides which rows were missing, so it must be undone to find out.
        undo = group.kind is Kind.DELETE and count > 1
        if undo:
            connection.execute(b"SAVEPOINT otter")
        try:
            if connection.execute(statement.text) == count:
                return
        except SqlError as error:
            if not error.is_about_row:
                raise
            if error.is_duplicate and self._at not in self._verified:
                self._verified.add(self._at)
                self._catalog.verify(group.shape, connection)
        if undo:
            connection.execute(b"ROLLBACK TO SAVEPOINT otter")
        rows.apply(group, statement.rows)

    def _write_logs(self, connection: Connection, rows: RowByRow, number: int) -> int:
        """Writes conflicts and parked rows into their tables; returns how many were parked."""
        self._at = mark.SCHEMA
        parked = self._parking.rows
        for start in range(0, len(rows.log), 100):
            connection.execute(mark.log(self._task.id, number, rows.log[start : start + 100]))
        for row in parked:  # one by one: images can be as long as rows
            connection.execute(mark.park(self._task.id, number, [row]))
        self._parking.rows = []
        return len(parked)

    def _commit(self, connection: Connection) -> None:
        self._at = f"while committing (the mark in {mark.SCHEMA}.otter_mark tells whether it happened)"
        connection.commit()
        self._parking.keep()

    def _explained(self, error: SqlError) -> OtterError:
        where = self._at if self._at.startswith("while") else f"on {self._at}"
        if error.code in MISFIT:
            self._catalog.forget()
            return Fatal(
                f"target table {self._at} does not fit the source's: {error.message}",
                "compare its columns with the source's, then start the pipeline again",
            )
        if error.code == 1153:
            return Fatal(f"a row of {self._at} is too long: {error.text}", "SET GLOBAL max_allowed_packet=1073741824;")
        return error.translated(where)

    def rollback(self) -> None:
        """Forgets what is not committed. Never raises: a broken connection has forgotten already."""
        self._in_pieces = False
        self._parking.forget()
        if self._connection is None:
            return
        try:
            self._connection.rollback()
        except SqlError:
            self.close()

    def close(self) -> None:
        """Ends the session (what is not committed is lost) and forgets the target's tables."""
        self._catalog.forget()
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class _Decoding:
    """Rows of a change, through the generated decoders; finds each once per batch."""

    def __init__(self, tables: tuple[Table, ...], shapes: dict[int, Shape]) -> None:
        self._tables = tables
        self._shapes = shapes
        self._found: dict[tuple[int, Kind, bytes, bytes], Any] = {}

    def __call__(self, change: Change) -> list[Any]:
        key = (change.table, change.kind, change.before, change.after)
        decode = self._found.get(key)
        if decode is None:
            self._require_full(change)
            table = self._tables[change.table]
            decode = self._found[key] = literals(table, change.kind, change.before, change.after)
        rows: list[Any] = decode(change.body)
        return rows

    def _require_full(self, change: Change) -> None:
        written = self._shapes[change.table].written
        for bitmap, kind in ((change.before, Kind.INSERT), (change.after, Kind.DELETE)):
            if change.kind is not kind and any(not bitmap[i >> 3] >> (i & 7) & 1 for i in written):
                raise Fatal(
                    f"the source logged partial row images of {self._tables[change.table].address}",
                    "SET GLOBAL binlog_row_image=FULL; on the source, and no session may set it otherwise",
                )
