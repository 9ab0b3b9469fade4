"""The slow path on a real server: conflicts of each kind, parking and its followers, both STOP policies."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bench.servers import Mariadb
from otter.errors import Fatal
from otter.model.config import ConflictPolicy, OnRowError

from .kit import Source, Target, target


@pytest.fixture
def goal(mariadb2: Mariadb) -> Iterator[Target]:
    with target(mariadb2) as made:
        yield made


def people(goal: Target) -> Source:
    return Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(20), UNIQUE KEY (name)")])


def test_insert_of_an_equal_row_is_nothing(goal: Target) -> None:
    source = people(goal)
    goal.run("INSERT INTO t VALUES (2,'b')")
    source.insert((1, "a"), (2, "b"), (3, "c"))
    applied = goal.load(source.batch())
    assert goal.rows("t") == [(1, "a"), (2, "b"), (3, "c")]
    assert (applied.conflicts, applied.parked) == (0, 0)


def test_insert_of_a_different_row_overwrites_and_logs(goal: Target) -> None:
    source = people(goal)
    goal.run("INSERT INTO t VALUES (2,'B!')")
    source.insert((1, "a"), (2, "b"), (3, "c"))
    applied = goal.load(source.batch())
    assert goal.rows("t") == [(1, "a"), (2, "b"), (3, "c")]
    assert applied.conflicts == 1
    (row,) = goal.conflicts()
    assert row[:3] == ("t", "2", "INSERT")
    assert json.loads(row[3]) == {"id": "2", "name": "B!"}
    assert row[4] == "overwritten"


def test_update_of_a_missing_row_inserts_and_logs(goal: Target) -> None:
    source = people(goal)
    goal.run("INSERT INTO t VALUES (1,'a')")
    source.update(((1, "a"), (1, "x")), ((2, "b"), (2, "y")))
    assert goal.load(source.batch()).conflicts == 1
    assert goal.rows("t") == [(1, "x"), (2, "y")]
    assert goal.conflicts() == [("t", "2", "UPDATE", None, "inserted")]


def test_delete_of_a_missing_row_logs(goal: Target) -> None:
    source = people(goal)
    goal.run("INSERT INTO t VALUES (1,'a'),(3,'c')")
    source.delete((1, "a"), (2, "b"), (3, "c"))
    assert goal.load(source.batch()).conflicts == 1
    assert goal.rows("t") == []
    assert goal.conflicts() == [("t", "2", "DELETE", None, "ignored")]


def test_an_update_that_is_there_already_is_no_conflict(goal: Target) -> None:
    source = people(goal)
    goal.run("INSERT INTO t VALUES (1,'x'),(2,'b')")
    source.update(((1, "a"), (1, "x")), ((2, "b"), (2, "y")))
    assert goal.load(source.batch()).conflicts == 0
    assert goal.rows("t") == [(1, "x"), (2, "y")]


def test_another_unique_key_of_another_row_is_never_overwritten(goal: Target) -> None:
    source = people(goal)
    goal.run("INSERT INTO t VALUES (9,'taken')")
    source.insert((1, "a"), (2, "taken"), (3, "c"))
    applied = goal.load(source.batch())
    assert (applied.conflicts, applied.parked) == (0, 1)
    assert goal.rows("t") == [(1, "a"), (3, "c"), (9, "taken")]
    (row,) = goal.parked()
    assert row[:3] == ("t", "2", "INSERT")
    assert json.loads(row[4]) == {"id": "2", "name": "'taken'"}
    assert "1062" in row[6]


def test_the_swap_of_two_sites_parks_and_swaps_nothing(goal: Target) -> None:
    """DESIGN D3: another site gave the names the other way round; an upsert would rewrite the wrong rows."""
    source = people(goal)
    goal.run("INSERT INTO t VALUES (1,'b'),(2,'a')")
    source.update(((1, "x"), (1, "a")), ((2, "y"), (2, "b")))
    applied = goal.load(source.batch())
    assert goal.rows("t") == [(1, "b"), (2, "a")]
    assert applied.parked == 2
    assert [json.loads(row[5])["name"] for row in goal.parked()] == ["b", "a"]


def test_followers_of_a_parked_key_wait_in_order(goal: Target) -> None:
    source = people(goal)
    goal.run("INSERT INTO t VALUES (9,'taken')")
    source.insert((2, "taken"))
    goal.load(source.batch())
    source.update(((2, "taken"), (2, "free")))
    source.end()
    source.insert((4, "d"), (5, "e"))
    source.end()
    source.update(((2, "free"), (6, "free")))  # the row moves to another key, which waits from now on
    assert goal.load(source.batch()).parked == 2
    assert goal.loader.parked_keys == 2
    goal.loader.open()  # parked keys survive
    assert goal.loader.parked_keys == 2
    source.insert((7, "g"))
    source.end()
    source.delete((6, "free"), (4, "d"))
    assert goal.load(source.batch()).parked == 1
    assert goal.rows("t") == [(5, "e"), (7, "g"), (9, "taken")]
    assert [(row[1], row[2]) for row in goal.parked()] == [
        ("2", "INSERT"), ("2", "UPDATE"), ("2", "UPDATE"), ("6", "DELETE"),
    ]  # fmt: skip


def test_parked_rows_roll_back_with_their_batch(goal: Target) -> None:
    from otter.model.batch import Part

    source = people(goal)
    goal.run("INSERT INTO t VALUES (9,'taken')")
    source.insert((2, "taken"))
    assert goal.load(source.batch(Part.FIRST)).parked == 1
    goal.loader.rollback()
    assert (goal.loader.parked_keys, goal.parked()) == (0, [])


@pytest.mark.parametrize(
    ("definition", "value", "error"),
    [
        ("name VARCHAR(3)", "too long", "1406"),
        ("name VARCHAR(20) NOT NULL", None, "1048"),
        ("name VARCHAR(20) CHECK (name <> 'bad')", "bad", "4025"),
        ("name INT", "no number", "1366"),
    ],
)
def test_rows_that_the_server_refuses_are_parked(goal: Target, definition: str, value: str, error: str) -> None:
    source = Source([goal.table("t", "id name", f"id BIGINT PRIMARY KEY, {definition}")])
    source.insert((1, "1"), (2, value), (3, "3"))
    assert goal.load(source.batch()).parked == 1
    assert [row[0] for row in goal.rows("t")] == [1, 3]
    assert error in goal.parked()[0][6]


def test_a_row_longer_than_the_servers_packet_stops_with_a_hint(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name LONGTEXT")])
    assert goal.loader._connection is not None
    goal.loader._connection.max_packet = 2000
    source.insert((1, "x" * 1500), (2, "y" * 3000))
    with pytest.raises(Fatal, match="max_allowed_packet"):
        goal.load(source.batch())
    assert goal.rows("t") == []


def test_policy_stop_refuses_the_first_difference(mariadb2: Mariadb) -> None:
    with target(mariadb2, conflict_policy=ConflictPolicy.STOP) as goal:
        source = people(goal)
        goal.run("INSERT INTO t VALUES (2,'B!')")
        source.insert((1, "a"), (2, "b"))
        with pytest.raises(Fatal, match=r"row 2 of .*\.t differs from the target"):
            goal.load(source.batch())
        assert goal.rows("t") == [(2, "B!")]
        assert goal.mark().number == 0
        source.number = 0
        source.delete((5, "e"))
        with pytest.raises(Fatal, match=r"row 5 of .* is missing on the target"):
            goal.load(source.batch())


def test_on_row_error_stop_names_table_key_and_error(mariadb2: Mariadb) -> None:
    with target(mariadb2, on_row_error=OnRowError.STOP) as goal:
        source = people(goal)
        source.insert((1, "a"), (2, "a name of more than twenty letters"))
        with pytest.raises(Fatal, match=r"row 2 of .*\.t cannot be applied \(INSERT\): .*1406"):
            goal.load(source.batch())
        assert goal.rows("t") == []


def test_binary_keys_park_and_show_as_hex(goal: Target) -> None:
    from otter.binlog.types import VARCHAR
    from otter.model.batch import Column, Table

    goal.run("CREATE TABLE t (k VARBINARY(20) PRIMARY KEY, name VARCHAR(3)) ENGINE=InnoDB")
    columns = (Column("k", VARCHAR, meta=20, collation=63), Column("name", VARCHAR, meta=1020, collation=45))
    source = Source([Table(goal.schema, "t", columns)])

    def rows(*pairs: tuple[bytes, str]) -> bytes:
        return b"".join(
            b"\0" + bytes([len(k)]) + k + len(v).to_bytes(2, "little") + v.encode() for k, v in pairs
        )  # fmt: skip

    from otter.model.batch import Change, Kind

    body = rows((b"\xff\x00'\\", "long name"), (b"\xfe", "ok"))
    source.changes.append(Change(0, Kind.INSERT, 2, body, b"", b"\x03"))
    assert goal.load(source.batch()).parked == 1
    assert goal.rows("t") == [(b"\xfe", "ok")]
    assert goal.parked()[0][1] == "x'ff00275c'"
