"""Random histories: what plan makes of them, applied group by group with the rows of a group in any order, gives what
one-by-one gives, and never meets a missing row, a taken key or a missing parent on the way."""

from __future__ import annotations

import io
import itertools
import pickle
import random
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.servers import Mariadb
from otter.dialect.schema import ForeignKey, TargetColumn, TargetTable, UniqueKey
from otter.load.group import Group
from otter.load.plan import plan
from otter.load.shape import Shape, shape
from otter.load.statement import statements
from otter.model.batch import Change, Column, Kind, Table

from .kit import Source, Value, target

Row = tuple[Value, ...]
TEXTS = ("a", "A", "a ", "é", "E", "e", "b")


def collated(value: Value) -> Value:
    """What utf8mb4_general_ci takes for equal."""
    if not isinstance(value, str):
        return value
    plain = unicodedata.normalize("NFD", value.rstrip(" ")).encode("ascii", "ignore").decode()
    return plain.lower()


@dataclass(frozen=True)
class Definition:
    """A table of the model: ``columns`` as in kit (``text`` in the name = text), ``keys`` the unique ones by ordinals,
    ``parent`` the index of the table that column 1 refers to (by its column 0)."""

    columns: tuple[str, ...]
    keys: tuple[tuple[int, ...], ...]
    parent: int | None = None
    cascades: bool = False


WORLDS: dict[str, tuple[Definition, ...]] = {
    "one key": (Definition(("id", "iv", "text"), ((0,),)),),
    "text key": (Definition(("text", "iv"), ((0,),)),),
    "two keys": (Definition(("id", "iu", "iv"), ((0,), (1,))),),
    "text unique": (Definition(("id", "text", "iv"), ((0,), (1,))),),
    "composite": (Definition(("id", "jid", "iv", "text"), ((0, 1), (2, 3))),),
    "no key": (Definition(("id", "iv"), ()),),
    "family": (Definition(("id", "iv"), ((0,),)), Definition(("id", "pid", "iv"), ((0,),), parent=0)),
    "tree": (Definition(("id", "pid", "iv"), ((0,),), parent=0),),
    "cascade": (Definition(("id", "iv"), ((0,),)), Definition(("id", "pid", "iv"), ((0,),), parent=0, cascades=True)),
    "family with unique": (
        Definition(("id", "iu"), ((0,), (1,))),
        Definition(("id", "pid", "text"), ((0,), (2,)), parent=0),
        Definition(("id", "iv"), ((0,),)),
    ),
}


class Violation(Exception):
    """A statement that the server would refuse, or that misses a row."""


@dataclass
class Model:
    """Tables as lists of rows, with the server's rules. ``values`` of a row are compared by collation in keys."""

    world: tuple[Definition, ...]
    tables: list[list[Row]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.tables = self.tables or [[] for _ in self.world]

    def copy(self) -> Model:
        return Model(self.world, [list(rows) for rows in self.tables])

    def insert(self, table: int, row: Row) -> None:
        self.tables[table].append(row)
        self._check(table, row)

    def delete(self, table: int, row: Row) -> None:
        if row not in self.tables[table]:
            raise Violation(f"delete of missing {row}")
        self._refuse_own_parent(table, row)
        self.tables[table].remove(row)
        self._orphans(table, row[0])

    def update(self, table: int, before: Row, after: Row) -> None:
        if before not in self.tables[table]:
            raise Violation(f"update of missing {before}")
        if before[0] != after[0]:
            self._refuse_own_parent(table, before)
        self.tables[table].remove(before)
        self.insert(table, after)
        if before[0] != after[0]:
            self._orphans(table, before[0], moved=True)

    def _refuse_own_parent(self, table: int, row: Row) -> None:
        """InnoDB does not delete a row that refers to itself."""
        if self.world[table].parent == table and row[1] == row[0]:
            raise Violation(f"{row} refers to itself")

    def _check(self, table: int, row: Row) -> None:
        definition = self.world[table]
        for key in definition.keys:
            mine = [collated(row[i]) for i in key]
            if None not in mine and sum([collated(other[i]) for i in key] == mine for other in self.tables[table]) > 1:
                raise Violation(f"duplicate {row}")
        if definition.parent is None or row[1] is None:
            return
        if not any(parent[0] == row[1] for parent in self.tables[definition.parent]):
            raise Violation(f"no parent of {row}")

    def _orphans(self, table: int, value: Value, moved: bool = False) -> None:
        for child, definition in enumerate(self.world):
            if definition.parent != table:
                continue
            orphans = [row for row in self.tables[child] if row[1] == value]
            if orphans and (not definition.cascades or moved):
                raise Violation(f"children of {value}")
            for row in orphans:
                self.tables[child].remove(row)
                self._orphans(child, row[0])

    def sorted(self) -> list[list[Row]]:
        return [sorted(rows, key=repr) for rows in self.tables]


#: Raw choices: table, kind, which row, new values.
CHOICES = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from([1, 1, 1, 2, 2, 2, 3]), st.integers(0, 99), st.integers(0, 9999)),
    max_size=60,
)


def value(column: str, seed: int) -> Value:
    if column.startswith("text"):
        return TEXTS[seed % len(TEXTS)]
    if column in ("pid", "iu") and seed % 7 == 0:
        return None
    return seed % 6 if column != "iv" else seed


def history(model: Model, choices: Sequence[tuple[int, int, int, int]]) -> list[tuple[Kind, int, Any]]:
    """What a source would log: the choices that are possible, done on ``model``."""
    log = []
    for pick, kind, which, seed in choices:
        table = pick % len(model.world)
        columns = model.world[table].columns
        row = tuple(value(column, seed // 7**i % 1000) for i, column in enumerate(columns))
        rows = model.tables[table]
        trial = model.copy()
        try:
            if kind == Kind.INSERT:
                trial.insert(table, row)
                log.append((Kind.INSERT, table, row))
            elif rows and kind == Kind.DELETE:
                trial.delete(table, rows[which % len(rows)])
                log.append((Kind.DELETE, table, rows[which % len(rows)]))
            elif rows:
                before = rows[which % len(rows)]
                # mostly the last column only: updates that change no key
                after = row if seed % 3 == 0 else (*before[:-1], row[-1])
                trial.update(table, before, after)
                log.append((Kind.UPDATE, table, (before, after)))
        except Violation:
            continue
        model.tables = trial.tables
    return log


def literal(item: Value) -> bytes:
    return b"NULL" if item is None else repr(item).encode() if isinstance(item, int) else b"'" + item.encode() + b"'"


def unliteral(item: bytes) -> Value:
    return None if item == b"NULL" else item[1:-1].decode() if item[:1] == b"'" else int(item)


def literals(row: Row) -> tuple[bytes, ...]:
    return tuple(map(literal, row))


def change(kind: Kind, table: int, rows: list[Any]) -> Change:
    packed = [tuple(map(literals, row)) if kind is Kind.UPDATE else literals(row) for row in rows]
    return Change(table, kind, len(rows), b"".join(map(pickle.dumps, packed)))


def decode(change: Change) -> list[Any]:
    stream = io.BytesIO(change.body)
    return [pickle.load(stream) for _ in range(change.rows)]


def shapes(world: tuple[Definition, ...]) -> dict[int, Shape]:
    return {i: shape(*definitions(world, i)) for i in range(len(world))}


def definitions(world: tuple[Definition, ...], index: int) -> tuple[Table, TargetTable]:
    definition, name = world[index], f"t{index}"
    columns = []
    for i, column in enumerate(definition.columns):
        text = column.startswith("text")
        nullable = not any(i in key for key in definition.keys) or column == "iu"
        kind, collation = ("varchar", "utf8mb4_general_ci") if text else ("bigint", "")
        columns.append(TargetColumn(column, kind, kind, nullable, None, False, False, collation))
    foreign = tuple(
        ForeignKey(f"f{child}", ("s", f"t{child}"), ("pid",), ("s", f"t{its.parent}"), ("id",), its.cascades)
        for child, its in enumerate(world)
        if its.parent is not None and index in (child, its.parent)
    )
    keys = tuple(UniqueKey(f"k{n}", tuple(definition.columns[i] for i in key)) for n, key in enumerate(definition.keys))
    source = Table("s", name, tuple(Column(column, 8) for column in definition.columns))
    return source, TargetTable("s", name, tuple(columns), keys, foreign)


def carry_out(model: Model, groups: list[Group], rng: random.Random) -> None:
    """Applies the groups as the server would, the rows of each in any order."""
    for group in groups:
        table = int(group.shape.target.name[1:])
        rows = list(group.rows)
        rng.shuffle(rows)
        for row in rows:
            if group.kind is Kind.UPDATE:
                before, after = (tuple(map(unliteral, image)) for image in row)
                now = current(model, group, table, before)
                model.update(table, now, tuple(after[i] if i in group.columns else now[i] for i in range(len(now))))
            else:
                values = tuple(map(unliteral, row))
                if group.kind is Kind.INSERT:
                    model.insert(table, values)
                else:
                    model.delete(table, current(model, group, table, values))


def current(model: Model, group: Group, table: int, named: Row) -> Row:
    """The row that WHERE finds for ``named``."""
    ordinals = group.shape.match.ordinals if group.shape.match else range(len(named))
    alike = collated if group.shape.match else (lambda item: item)
    for row in model.tables[table]:
        if all(alike(row[i]) == alike(named[i]) for i in ordinals):
            return row
    raise Violation(f"{named} is missing")


def packed(log: list[tuple[Kind, int, Any]], rng: random.Random) -> list[Change]:
    """Successive changes of a kind and table share an event, sometimes."""
    changes = []
    for (kind, table), run in itertools.groupby(log, lambda item: (item[0], item[1])):
        rows = [item[2] for item in run]
        size = rng.choice([1, len(rows)])
        changes += [change(kind, table, rows[i : i + size]) for i in range(0, len(rows), size)]
    return changes


@pytest.mark.parametrize("name", WORLDS)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(before=CHOICES, choices=CHOICES, seed=st.integers(0, 1000))
def test_any_order_within_groups_gives_the_same(name: str, before: Any, choices: Any, seed: int) -> None:
    rng = random.Random(seed)
    source = Model(WORLDS[name])
    history(source, before)
    goal = source.copy()
    groups = plan(shapes(source.world), packed(history(source, choices), rng), decode)
    carry_out(goal, groups, rng)
    assert goal.sorted() == source.sorted()


def make_tables(world: tuple[Definition, ...]) -> list[str]:
    """CREATE TABLE statements of a world."""
    made = []
    for index, definition in enumerate(world):
        parts = []
        for i, column in enumerate(definition.columns):
            in_key = any(i in key for key in definition.keys) and column != "iu"
            kind = "VARCHAR(20) COLLATE utf8mb4_general_ci" if column.startswith("text") else "BIGINT"
            parts.append(f"{column} {kind}{' NOT NULL' if in_key else ''}")
        for n, key in enumerate(definition.keys):
            names = ",".join(definition.columns[i] for i in key)
            parts.append(f"{'UNIQUE' if n else 'PRIMARY'} KEY ({names})")
        if definition.parent is not None:
            rule = " ON DELETE CASCADE" if definition.cascades else ""
            parts.append(f"CONSTRAINT f{index} FOREIGN KEY (pid) REFERENCES t{definition.parent}(id){rule}")
        made.append(f"CREATE TABLE t{index} ({','.join(parts)}) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4")
    return made


@pytest.mark.parametrize("name", WORLDS)
def test_random_histories_on_a_real_server(name: str, mariadb2: Mariadb) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    world = WORLDS[name]
    with target(mariadb2) as goal:
        goal.run(*make_tables(world))
        tables = [
            goal_table(goal.schema, f"t{i}", definition) for i, definition in enumerate(world)
        ]  # fmt: skip
        source, model = Source(tables), Model(world)
        for _ in range(6):
            choices = [
                (rng.randrange(3), rng.choice([1, 1, 2, 2, 3]), rng.randrange(99), rng.randrange(9999))
                for _ in range(80)
            ]
            for kind, table, row in history(model, choices):
                source.change(kind, [row], table)
                if rng.random() < 0.3:
                    source.end()
            applied = goal.load(source.batch())
            assert (applied.conflicts, applied.parked) == (0, 0), (
                seed,
                goal.conflicts(),
                [row[1:] for row in goal.parked()][:2],
            )
            found = [sorted(goal.run(f"SELECT * FROM t{i}"), key=repr) for i in range(len(world))]
            assert found == model.sorted(), seed


def goal_table(schema: str, name: str, definition: Definition) -> Table:
    from .kit import table

    return table(schema, name, " ".join(definition.columns))


def small_world() -> dict[int, Shape]:
    return shapes((Definition(("id", "iv", "text"), ((0,),)),))


def sizes(groups: list[Group]) -> list[tuple[str, int, int]]:
    """(kind, rows, statements) of each group."""
    return [(group.kind.name, len(group.rows), len(statements(group, 200, 1 << 20))) for group in groups]


def test_small_transactions_become_large_statements() -> None:
    log: list[tuple[Kind, int, Any]] = []
    for i in range(1000):
        log += [
            (Kind.UPDATE, 0, ((i, 1, "c"), (i, 2, "c"))), (Kind.UPDATE, 0, ((i, 2, "c"), (i, 2, "d"))),
            (Kind.DELETE, 0, (5000 + i, 1, "x")), (Kind.INSERT, 0, (5000 + i, 3, "y")),
            (Kind.INSERT, 0, (9000 + i, 3, "y")),
        ]  # fmt: skip
    changes = [change(kind, table, [row]) for kind, table, row in log]
    assert sizes(plan(small_world(), changes, decode)) == [("UPDATE", 2000, 16), ("INSERT", 1000, 5)]


def test_an_update_back_and_forth_is_nothing() -> None:
    rows = [((1, 1, "a"), (1, 2, "a")), ((1, 2, "a"), (1, 1, "a"))]
    assert plan(small_world(), [change(Kind.UPDATE, 0, rows)], decode) == []


def test_updates_that_set_the_same_columns_go_together() -> None:
    rows = [((i, 1, "a"), (i, 2, "a") if i % 2 else (i, 1, "b")) for i in range(10)]
    groups = plan(small_world(), [change(Kind.UPDATE, 0, rows)], decode)
    assert sorted((group.columns, len(group.rows)) for group in groups) == [((1,), 5), ((2,), 5)]
