"""Rows as the binlog packs them, batches, and a database per test: what the load tests are written with."""

from __future__ import annotations

import itertools
import os
import struct
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench.servers import Mariadb
from otter.binlog.types import LONGLONG, VARCHAR
from otter.load.stage import Applied, Loader
from otter.model.batch import Batch, Change, Column, Kind, Part, Position, Table, Transaction
from otter.model.config import DataSource, Pair, PipelineParameters, PipelineTask, StartFrom
from otter.model.process import Mark

Value = int | str | None
Values = Sequence[Value]
_ids = itertools.count(1)


def data_source(server: Mariadb, name: str = "target") -> DataSource:
    return DataSource(name=name, host="127.0.0.1", port=server.port, username="otter", password="otter")


def task(server: Mariadb, **parameters: Any) -> PipelineTask:
    """A pipeline of its own: its id is new in this run (marks of other tests do not meet it)."""
    number = next(_ids) + os.getpid() * 1000
    source = data_source(server, "hangzhou")
    return PipelineTask(
        id=number, name=f"p{number}", channel_id=1, channel="c", source=source, target=data_source(server),
        select_nids=(1,), load_nids=(2,), pairs=(Pair(source="a.b"),), start=StartFrom(),
        parameters=PipelineParameters(**parameters),
    )  # fmt: skip


def table(schema: str, name: str, columns: str) -> Table:
    """``columns``: names; those that start with ``i`` or end with ``id`` are BIGINT, others VARCHAR."""
    return Table(schema, name, tuple(_column(column) for column in columns.split()))


def _column(name: str) -> Column:
    if name.startswith("i") or name.endswith("id"):
        return Column(name, LONGLONG)
    return Column(name, VARCHAR, meta=1020, collation=45)


def pack(columns: tuple[Column, ...], values: Values) -> bytes:
    """A row image: bitmap of NULLs, then the values."""
    nulls = sum(1 << i for i, value in enumerate(values) if value is None)
    image = nulls.to_bytes((len(columns) + 7) // 8, "little")
    for value in values:
        if isinstance(value, int):
            image += struct.pack("<q", value)
        elif value is not None:
            text = value.encode()
            image += struct.pack("<H", len(text)) + text
    return image


@dataclass
class Source:
    """Makes batches of what a source did: ``insert``/``update``/``delete`` add a change to the open transaction."""

    tables: list[Table]
    epoch: int = 1
    number: int = 0
    changes: list[Change] = field(default_factory=list)
    transactions: list[Transaction] = field(default_factory=list)

    def change(self, kind: Kind, rows: Sequence[Any], table: int = 0, flags: int = 0) -> None:
        columns = self.tables[table].columns
        images = [image for row in rows for image in (row if kind is Kind.UPDATE else (row,))]
        full = b"\xff" * ((len(columns) + 7) // 8)
        self.changes.append(
            Change(
                table, kind, len(rows), b"".join(pack(columns, image) for image in images),
                b"" if kind is Kind.INSERT else full, b"" if kind is Kind.DELETE else full, flags,
            )
        )  # fmt: skip

    def insert(self, *rows: Values, table: int = 0, flags: int = 0) -> None:
        self.change(Kind.INSERT, rows, table, flags)

    def delete(self, *rows: Values, table: int = 0, flags: int = 0) -> None:
        self.change(Kind.DELETE, rows, table, flags)

    def update(self, *pairs: tuple[Values, Values], table: int = 0, flags: int = 0) -> None:
        self.change(Kind.UPDATE, pairs, table, flags)

    def end(self, part: Part = Part.WHOLE) -> None:
        """Ends the transaction (or the piece)."""
        position = Position(f"0-1-{len(self.transactions) + 100 * self.number}")
        self.transactions.append(Transaction("0-1-1", position, time.time(), tuple(self.changes), part))
        self.changes = []

    def batch(self, part: Part = Part.WHOLE) -> Batch:
        """A batch of everything since the last one, with the next number."""
        if self.changes:
            self.end(part)
        self.number += 1
        made = Batch(
            1, 1, self.epoch, self.number, Position(f"0-1-{self.number - 1}"), Position(f"0-1-{self.number}"),
            tuple(self.tables), tuple(self.transactions),
        )  # fmt: skip
        self.transactions = []
        return made


@dataclass
class Target:
    """A database of its own on a real server, and a loader into it."""

    server: Mariadb
    schema: str
    task: PipelineTask
    loader: Loader

    def run(self, *statements: str) -> list[tuple[Any, ...]]:
        return self.server.run(*statements, database=self.schema)

    def table(self, name: str, columns: str, definition: str) -> Table:
        """Makes the table on the target and returns the source's definition of it."""
        self.run(f"CREATE TABLE {name} ({definition}) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4")
        return table(self.schema, name, columns)

    def load(self, batch: Batch, loader: Loader | None = None) -> Applied:
        loader = loader or self.loader
        return loader.apply(loader.prepare(batch))

    def rows(self, name: str, order: str = "1") -> list[tuple[Any, ...]]:
        return self.run(f"SELECT * FROM {name} ORDER BY {order}")

    def conflicts(self) -> list[tuple[Any, ...]]:
        return self.run(
            f"SELECT table_name, row_key, kind, found, decision FROM retl.otter_conflict "
            f"WHERE pipeline_id={self.task.id} ORDER BY id"
        )

    def parked(self) -> list[tuple[Any, ...]]:
        return self.run(
            f"SELECT table_name, row_key, kind, old_image, new_image, current_image, error FROM retl.otter_parked "
            f"WHERE pipeline_id={self.task.id} ORDER BY id"
        )

    def mark(self) -> Mark:
        found = self.run(f"SELECT epoch, process_id, gtid FROM retl.otter_mark WHERE pipeline_id={self.task.id}")
        return Mark(found[0][0], found[0][1], Position(found[0][2])) if found else Mark()


@contextmanager
def target(server: Mariadb, **parameters: Any) -> Iterator[Target]:
    """Opened; the database is dropped at the end."""
    schema = f"load_{uuid.uuid4().hex[:12]}"
    server.run(f"CREATE DATABASE {schema}")
    its = task(server, **parameters)
    loader = Loader(its, nid=2, lock_wait=3)
    try:
        loader.open()
        yield Target(server, schema, its, loader)
    finally:
        loader.close()
        server.run(f"DROP DATABASE {schema}")
