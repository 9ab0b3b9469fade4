"""Backlogs for ``bench.catchup``: what tables hold before, and the transactions that are then committed on the source.

Everything is drawn from a fixed seed, so that every repetition and every machine drains the same changes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bench.decode import NARROW, WIDE, narrow_row, wide_row

#: Rows that each table of a mixed workload holds before.
PRELOADED = 4000


@dataclass(frozen=True)
class Table:
    """How the tables of a workload look: ``sb``-like (4 columns) or wide (25 columns)."""

    name: str
    columns: str
    row: Callable[[int], str]
    update: str  # what an UPDATE sets; %d is a fresh number


NARROW_TABLE = Table("narrow", NARROW, narrow_row, "k = k + 1, c = 'changed %d'")
WIDE_TABLE = Table("wide", WIDE, wide_row, "price = price + 1, note = 'changed %d', changed = changed + INTERVAL 1 DAY")


@dataclass(frozen=True)
class Workload:
    """``size`` rows in a transaction, about ``rows`` in all. ``mixed``: inserts, updates and deletes over 8 tables;
    else inserts into one."""

    name: str
    table: Table
    size: int
    rows: int
    mixed: bool = True

    @property
    def tables(self) -> list[str]:
        return [f"t{n}" for n in range(1, 9 if self.mixed else 2)]

    def before(self) -> Iterator[str]:
        """Statements that make the tables in the current schema, and what they hold before."""
        for table in self.tables:
            yield f"CREATE TABLE {table} ({self.table.columns})"
            if self.mixed:
                for start in range(1, PRELOADED + 1, 500):
                    yield f"INSERT INTO {table} VALUES " + ",".join(map(self.table.row, range(start, start + 500)))

    def transactions(self) -> Iterator[str]:
        """One statement for each transaction of the backlog."""
        return self._mixed() if self.mixed else self._inserts()

    def _inserts(self) -> Iterator[str]:
        for start in range(1, self.rows + 1, self.size):
            yield "INSERT INTO t1 VALUES " + ",".join(map(self.table.row, range(start, start + self.size)))

    def _mixed(self) -> Iterator[str]:
        draw = random.Random(2026)
        living = {table: list(range(1, PRELOADED + 1)) for table in self.tables}
        fresh = PRELOADED + 1
        for number in range(self.rows // self.size):
            table = draw.choice(self.tables)
            ids = living[table]
            kind = draw.random()
            if kind < 0.3 or len(ids) < 2 * self.size:
                new = range(fresh, fresh + self.size)
                fresh += self.size
                ids += new
                yield f"INSERT INTO {table} VALUES " + ",".join(map(self.table.row, new))
                continue
            places = sorted(draw.sample(range(len(ids)), self.size), reverse=True)
            where = "id IN (" + ",".join(str(ids[place]) for place in places) + ")"
            if kind < 0.7:
                yield f"UPDATE {table} SET {self.table.update % number} WHERE {where}"
                continue
            for place in places:
                ids[place] = ids[-1]
                ids.pop()
            yield f"DELETE FROM {table} WHERE {where}"


def workloads(rows: int) -> list[Workload]:
    """The six of issue 2: ``rows`` for one-row transactions; more where transactions are larger."""
    made = []
    for table in (NARROW_TABLE, WIDE_TABLE):
        made += [
            Workload(f"1-row {table.name}", table, 1, rows),
            Workload(f"10-row {table.name}", table, 10, 2 * rows),
            Workload(f"1000-row inserts {table.name}", table, 1000, 10 * rows, mixed=False),
        ]
    return made
