"""From a real binlog to a real target: the rows of every type arrive as they were, whatever was done to them."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from bench.servers import Mariadb
from otter.binlog.stream import Stream
from otter.dialect import source
from otter.dialect.connection import Connection
from otter.model.batch import Batch, Position, Transaction

from .kit import Target, data_source, target

WIDE = """id BIGINT UNSIGNED AUTO_INCREMENT, t1 TINYINT, s2 SMALLINT UNSIGNED, m3 MEDIUMINT, i4 INT UNSIGNED,
 de DECIMAL(20,6), fl FLOAT, dou DOUBLE, bi BIT(11), da DATE, ti TIME(3), dt DATETIME(6),
 ts TIMESTAMP(6) NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6), ye YEAR, ch CHAR(20),
 la VARCHAR(50) CHARACTER SET latin1, gb VARCHAR(50) CHARACTER SET gbk, tx MEDIUMTEXT, bn BINARY(6), vb VARBINARY(40),
 bl BLOB, en ENUM('a','é','''c'), se SET('x','y','z'), js JSON, po POINT,
 virt INT AS (t1+1) VIRTUAL, sto INT AS (t1*2) STORED, PRIMARY KEY (id), UNIQUE KEY (la), KEY (i4)"""


@pytest.fixture
def goal(mariadb: Mariadb, mariadb2: Mariadb) -> Iterator[Target]:
    with target(mariadb2) as made:
        mariadb.run(f"CREATE DATABASE {made.schema}")
        yield made
        mariadb.run(f"DROP DATABASE {made.schema}")


def head(server: Mariadb) -> Position:
    with Connection(data_source(server)) as connection:
        return source.head(connection)


def carry(server: Mariadb, goal: Target, start: Position, size: int = 7) -> tuple[int, int]:
    """Everything after ``start`` to the target, in batches of ``size`` transactions; (conflicts, parked)."""
    server.run("CREATE TABLE IF NOT EXISTS done (id INT)", "INSERT INTO done VALUES (1)", database=goal.schema)
    stream = Stream(data_source(server), 7000 + random.randrange(1000), start, lambda schema, _: schema == goal.schema)
    taken: list[Transaction] = []
    for item in stream:
        if not isinstance(item, Transaction):
            continue
        if any(stream.tables[change.table].name == "done" for change in item.changes):
            break
        taken.append(item)
    stream.stop()
    conflicts = parked = 0
    number = goal.loader.open().number
    for first in range(0, len(taken), size):
        number += 1
        run = tuple(taken[first : first + size])
        applied = goal.load(Batch(1, 1, 1, number, start, run[-1].position, tuple(stream.tables), run))
        conflicts, parked = conflicts + applied.conflicts, parked + applied.parked
    server.run("DROP TABLE done", database=goal.schema)
    return conflicts, parked


def same(server: Mariadb, goal: Target, name: str) -> None:
    columns = [row[0] for row in server.run(f"SHOW COLUMNS FROM {name}", database=goal.schema)]
    query = "SELECT " + ",".join(f"HEX({column})" for column in columns) + f" FROM {name} ORDER BY 1,2,3"
    assert goal.run(query) == server.run(query, database=goal.schema)


def wide_values(rng: random.Random) -> str:
    """One row of WIDE, without id and generated columns."""

    def pick(*texts: str) -> str:
        return rng.choice([*texts, "NULL"])

    return ",".join([
        pick("-128", "126"), pick("0", "65535"), pick("-8388608", "5"), pick("4294967295", "0"),
        pick("-12345678901234.123456", "0", "0.000001"), pick("0.1", "-3.4e38", "16777217"), pick("1e-300", "-0.1"),
        pick("b'10101010101'", "0"), pick("'0000-00-00'", "'2024-02-29'"), pick("'-838:59:59.999'", "'12:00:00.5'"),
        pick("'9999-12-31 23:59:59.999999'", "'2024-01-01 00:00:00'"), pick("'2038-01-19 03:14:07.999999'", "NOW(6)"),
        pick("0", "2155"), pick("'a b'", "'it''s \\\\ %'", "''", "'水獭'"),
        "'" + str(rng.random()) + pick("é", "x") + "'",
        pick("'中文'", "'\\''"), f"REPEAT('😀x', {rng.randrange(200)})", pick("x'00ff27'", "'ab'"),
        pick("x'00ff275c0a0d1a22'", "''"), pick("REPEAT(x'ff', 300)", "''"), pick("'a'", "'é'", "'''c'"),
        pick("''", "'x,z'", "'y'"), pick("'{\"a\": [1, 2.5, \"水\\\\n\"]}'", "'[]'"), pick("POINT(1.5,-2)"),
    ])  # fmt: skip


NAMES = [part.split()[0] for part in WIDE.replace("\n", "").split(", ")[1:-5]]


def wide_statement(rng: random.Random, ids: list[int]) -> str:
    choice = rng.random()
    if choice < 0.4 or not ids:
        rows = ",".join(f"({wide_values(rng)})" for _ in range(rng.randrange(1, 6)))
        return f"INSERT INTO w ({','.join(NAMES)}) VALUES {rows}"
    some = ",".join(map(str, rng.sample(ids, min(len(ids), rng.randrange(1, 6)))))
    if choice < 0.85:
        values = dict(zip(NAMES, wide_values(rng).split(","), strict=False))
        sets = ",".join(f"{name}={values[name]}" for name in rng.sample(NAMES[:9], 3))
        return f"UPDATE w SET {sets}{rng.choice(['', ', ts=ts', ', tx=NULL'])} WHERE id IN ({some})"
    return f"DELETE FROM w WHERE id IN ({some})"


def test_all_types_and_random_statements(mariadb: Mariadb, goal: Target) -> None:
    seed = random.randrange(1 << 30)
    print(f"seed {seed}")
    rng = random.Random(seed)
    for server in (mariadb, goal.server):
        server.run(f"CREATE TABLE w ({WIDE}) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4", database=goal.schema)
    start = head(mariadb)
    with mariadb.connect(goal.schema) as connection, connection.cursor() as cursor:
        cursor.execute("SET sql_mode='NO_AUTO_VALUE_ON_ZERO', time_zone='+08:00'")
        connection.autocommit(False)
        for _ in range(60):
            for _ in range(rng.randrange(1, 4)):
                cursor.execute("SELECT id FROM w")
                cursor.execute(wide_statement(rng, [row[0] for row in cursor.fetchall()]))
            if rng.random() < 0.1:
                connection.rollback()
            connection.commit()
    assert carry(mariadb, goal, start) == (0, 0)
    same(mariadb, goal, "w")


@pytest.mark.parametrize("key", ["", ", PRIMARY KEY (id)", ", UNIQUE KEY (n)"])
def test_duplicates_savepoints_and_replace(mariadb: Mariadb, goal: Target, key: str) -> None:
    definition = f"id INT NOT NULL, n VARCHAR(20), f FLOAT{key}"
    for server in (mariadb, goal.server):
        server.run(f"CREATE TABLE k ({definition}) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4", database=goal.schema)
    start = head(mariadb)
    mariadb.run(
        "REPLACE INTO k VALUES (1,'a',0.1),(2,'b',0.2),(3,NULL,NULL)",
        "BEGIN", "UPDATE k SET f=f+1", "SAVEPOINT s", "DELETE FROM k", "ROLLBACK TO SAVEPOINT s",
        "REPLACE INTO k VALUES (1,'c',0.3),(4,'A',0.1)", "COMMIT",
        "UPDATE k SET n=CONCAT(n,'x'), f=-f WHERE id<3", "DELETE FROM k WHERE id=3 LIMIT 1",
        "INSERT INTO k VALUES (5,'ax',1) ON DUPLICATE KEY UPDATE f=7",
        database=goal.schema,
    )  # fmt: skip
    assert carry(mariadb, goal, start, size=100) == (0, 0)
    same(mariadb, goal, "k")


def test_savepoints_of_the_loader_are_readable_again(mariadb: Mariadb, goal: Target) -> None:
    """The target's binlog holds SAVEPOINT statements of ours: the reverse direction must be able to pass them."""
    for server in (mariadb, goal.server):
        server.run("CREATE TABLE k (id INT PRIMARY KEY, n INT) ENGINE=InnoDB", database=goal.schema)
    start, there = head(mariadb), head(goal.server)
    mariadb.run(
        "INSERT INTO k VALUES (1,1),(2,2),(3,3)", "DELETE FROM k WHERE id<3", "INSERT INTO k VALUES (8,8)",
        database=goal.schema,
    )  # fmt: skip
    assert carry(mariadb, goal, start, size=1) == (0, 0)
    goal.run("CREATE TABLE stop (id INT)", "INSERT INTO stop VALUES (1)")
    stream = Stream(data_source(goal.server), 6999, there, lambda schema, _: schema in (goal.schema, "retl"))
    seen = []
    for item in stream:
        if isinstance(item, Transaction):
            seen.append([stream.tables[change.table].name for change in item.changes])
            if seen[-1] == ["stop"]:
                break
    stream.stop()
    assert [names for names in seen if "k" in names] == [["otter_mark", "k"]] * 3
