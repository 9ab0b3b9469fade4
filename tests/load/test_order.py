"""Changes that depend on each other, on a real server: no conflict may be seen where the source had none."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bench.servers import Mariadb
from otter.errors import Retryable
from otter.load.stage import Applied

from .kit import Source, Target, target


@pytest.fixture
def goal(mariadb2: Mariadb) -> Iterator[Target]:
    with target(mariadb2) as made:
        yield made


def clean(applied: Applied) -> Applied:
    """Nothing differed from what the source had."""
    assert (applied.conflicts, applied.parked) == (0, 0)
    return applied


def test_unique_values_swap_inside_one_transaction(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(20) UNIQUE")])
    goal.run("INSERT INTO t VALUES (1,'a'),(2,'b')")
    source.update(((1, "a"), (1, "tmp")))
    source.update(((2, "b"), (2, "a")))
    source.update(((1, "tmp"), (1, "b")))
    clean(goal.load(source.batch()))
    assert goal.rows("t") == [(1, "b"), (2, "a")]


def test_primary_keys_move_along_a_chain(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(20)")])
    goal.run("INSERT INTO t VALUES (1,'a'),(2,'b'),(3,'c')")
    for number in (3, 2, 1):
        name = "abc"[number - 1]
        source.update(((number, name), (number + 1, name)))
    source.insert((1, "new"))
    clean(goal.load(source.batch()))
    assert goal.rows("t") == [(1, "new"), (2, "a"), (3, "b"), (4, "c")]


def test_delete_insert_update_of_one_key(goal: Target) -> None:
    source = Source([goal.table("t", "id name other", "id BIGINT PRIMARY KEY, name VARCHAR(20), other VARCHAR(9)")])
    goal.run("INSERT INTO t VALUES (1,'a','o')")
    source.delete((1, "a", "o"))
    source.insert((1, "b", "o"))
    source.update(((1, "b", "o"), (1, "c", "p")))
    source.insert((2, "x", "y"))
    source.delete((2, "x", "y"))
    applied = clean(goal.load(source.batch()))
    assert goal.rows("t") == [(1, "c", "p")]
    assert applied.statements == 1


def test_a_unique_value_is_freed_and_taken(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(20) UNIQUE")])
    goal.run("INSERT INTO t VALUES (1,'a'),(2,'b')")
    source.delete((1, "a"))
    source.insert((3, "A"))  # the same name for the collation
    source.update(((2, "b"), (2, "c")))
    source.insert((4, "b "))
    clean(goal.load(source.batch()))
    assert goal.rows("t") == [(2, "c"), (3, "A"), (4, "b ")]


def test_values_that_only_the_collation_equates_keep_their_order(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(20) UNIQUE")])
    goal.run("INSERT INTO t VALUES (1,'ÉTÉ')")
    source.delete((1, "ÉTÉ"))
    source.insert((2, "ete"))
    source.delete((2, "ete"))
    source.insert((3, "été"))
    source.update(((3, "été"), (3, "x")))
    source.insert((4, "Eté"))
    clean(goal.load(source.batch()))
    assert goal.rows("t") == [(3, "x"), (4, "Eté")]


def test_string_primary_key_changes_case_only(goal: Target) -> None:
    source = Source([goal.table("t", "name id", "name VARCHAR(20) PRIMARY KEY, id BIGINT")])
    goal.run("INSERT INTO t VALUES ('a',1)")
    source.update((("a", 1), ("A", 1)))
    source.update((("A", 1), ("A", 2)))
    clean(goal.load(source.batch()))
    assert goal.rows("t") == [("A", 2)]


def test_composite_keys(goal: Target) -> None:
    source = Source([goal.table("t", "aid bid name", "aid BIGINT, bid BIGINT, name VARCHAR(9), PRIMARY KEY (aid,bid)")])
    source.insert(*((a, b, "x") for a in range(5) for b in range(5)))
    source.end()
    goal.load(source.batch())
    source.update(*(((a, b, "x"), (a, b, f"{a}{b}")) for a in range(5) for b in range(3)))
    source.delete(*((a, 4, "x") for a in range(5)))
    applied = clean(goal.load(source.batch()))
    assert applied.statements == 2
    expected = [(a, b, f"{a}{b}" if b < 3 else "x") for a in range(5) for b in range(4)]
    assert goal.rows("t", "1,2") == expected


def test_tables_without_a_key_keep_duplicates_apart(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT, name VARCHAR(20)")])
    source.insert((1, "a"), (1, "a"), (1, "A"), (1, None), (1, None), (1, "a "))
    source.end()
    source.delete((1, "a"))
    source.update(((1, None), (2, None)))
    source.update(((1, "A"), (3, "A")))
    clean(goal.load(source.batch()))
    assert sorted(goal.rows("t"), key=repr) == sorted(
        [(1, "a"), (1, "a "), (1, None), (2, None), (3, "A")], key=repr
    )  # fmt: skip


def test_unique_key_with_nulls_is_no_row_name(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT NULL UNIQUE, name VARCHAR(20)")])
    source.insert((None, "a"), (None, "a"), (1, "a"))
    source.update(((None, "a"), (2, "b")))
    source.delete((1, "a"))
    clean(goal.load(source.batch()))
    assert goal.rows("t") == [(None, "a"), (2, "b")]


def test_float_key(goal: Target) -> None:
    from otter.binlog.types import FLOAT
    from otter.model.batch import Change, Column, Kind, Table

    goal.run("CREATE TABLE t (f FLOAT PRIMARY KEY, g FLOAT) ENGINE=InnoDB")
    import struct

    source = Source([Table(goal.schema, "t", (Column("f", FLOAT, 4), Column("g", FLOAT, 4)))])

    def image(f: float, g: float) -> bytes:
        return b"\0" + struct.pack("<ff", f, g)

    body = b"".join(image(i / 10, 0.1) for i in range(5))
    source.changes.append(Change(0, Kind.INSERT, 5, body, b"", b"\x03"))
    body = b"".join(image(i / 10, 0.1) + image(i / 10, 0.3) for i in range(5))
    source.changes.append(Change(0, Kind.UPDATE, 5, body, b"\x03", b"\x03"))
    source.changes.append(Change(0, Kind.DELETE, 2, image(0.1, 0.3) + image(0.3, 0.3), b"\x03", b""))
    clean(goal.load(source.batch()))
    assert goal.run("SELECT f, g FROM t ORDER BY 1") == [(0.0, 0.3), (0.2, 0.3), (0.4, 0.3)]


FAMILY = "id BIGINT PRIMARY KEY, pid BIGINT, name VARCHAR(20), KEY (pid)"


def family(goal: Target, rule: str = "") -> Source:
    parent = goal.table("parent", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(20)")
    child = goal.table("child", "id pid name", f"{FAMILY}, FOREIGN KEY (pid) REFERENCES parent(id) {rule}")
    return Source([parent, child])


def test_parents_come_before_children_and_go_after_them(goal: Target) -> None:
    source = family(goal)
    for i in range(50):
        source.insert((i, "p"))
        source.insert((i * 10, i, "c"), (i * 10 + 1, i, "c"), table=1)
        source.update(((i, "p"), (i, "q")))
        source.end()
    applied = clean(goal.load(source.batch()))
    assert applied.statements == 2
    for i in range(0, 50, 2):
        source.delete((i * 10, i, "c"), table=1)
        source.update(((i * 10 + 1, i, "c"), (i * 10 + 1, 1, "c")), table=1)
        source.delete((i, "q"))
        source.end()
    applied = clean(goal.load(source.batch()))
    assert applied.statements == 3
    assert len(goal.rows("parent")) == 25
    assert len(goal.rows("child")) == 75


def test_a_table_that_refers_to_itself(goal: Target) -> None:
    made = goal.table("t", "id pid", "id BIGINT PRIMARY KEY, pid BIGINT, FOREIGN KEY (pid) REFERENCES t(id)")
    source = Source([made])
    source.insert(*((i, i - 1 if i else None) for i in range(20)))
    clean(goal.load(source.batch()))
    source.delete(*((i, i - 1 if i else None) for i in reversed(range(20))))
    clean(goal.load(source.batch()))
    assert goal.rows("t") == []


def test_cascades_keep_their_place(goal: Target) -> None:
    source = family(goal, "ON DELETE CASCADE")
    source.insert((1, "p"), (2, "p"), (3, "p"))
    source.insert((10, 1, "c"), (20, 2, "c"), (30, 3, "c"), table=1)
    goal.load(source.batch())
    source.update(((10, 1, "c"), (10, 2, "c")), table=1)
    source.delete((1, "p"))
    source.end()
    source.delete((3, "p"))  # takes child 30 with it, which the binlog does not say
    source.insert((30, 2, "again"), table=1)
    clean(goal.load(source.batch()))
    assert goal.rows("child") == [(10, 2, "c"), (20, 2, "c"), (30, 2, "again")]


def test_rows_written_without_foreign_key_checks(goal: Target) -> None:
    source = family(goal)
    source.insert((10, 1, "orphan"), table=1, flags=2)
    source.end()
    source.insert((2, "p"))
    source.insert((20, 2, "c"), table=1)
    clean(goal.load(source.batch()))
    assert goal.rows("child") == [(10, 1, "orphan"), (20, 2, "c")]
    source.insert((30, 3, "checked"), table=1)
    assert goal.load(source.batch()).parked == 1


def test_triggers_see_every_change(goal: Target) -> None:
    made = goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(20)")
    goal.run(
        "CREATE TABLE seen (n INT)", "CREATE TRIGGER tr AFTER UPDATE ON t FOR EACH ROW INSERT INTO seen VALUES (1)"
    )
    source = Source([made])
    source.insert((1, "a"))
    source.update(((1, "a"), (1, "b")))
    source.update(((1, "b"), (1, "c")))
    clean(goal.load(source.batch()))
    assert len(goal.rows("seen")) == 2


def test_big_batches_are_cut(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(2000)")])
    goal.loader._limit = 20_000
    rows = [(i, "x" * (i % 1500)) for i in range(1000)]
    source.insert(*rows)
    applied = clean(goal.load(source.batch()))
    assert applied.statements > 20
    assert goal.rows("t") == rows
    source.update(*(((i, x), (i, x + "y")) for i, x in rows))
    clean(goal.load(source.batch()))
    source.delete(*((i, x + "y") for i, x in rows))
    clean(goal.load(source.batch()))
    assert goal.rows("t") == []


def test_a_key_that_the_target_got_meanwhile_is_seen(goal: Target) -> None:
    """The plan of a batch knows the keys of its time; a stale one must not park rows that have a place."""
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(20)")])
    source.insert((1, "a"), (2, "b"))
    goal.load(source.batch())
    goal.run("ALTER TABLE t ADD UNIQUE KEY (name)")
    source.update(((1, "a"), (1, "c")))
    source.update(((2, "b"), (2, "a")))
    source.update(((1, "c"), (1, "b")))
    batch = source.batch()
    with pytest.raises(Retryable, match="was changed"):
        goal.load(batch)
    goal.loader.open()
    clean(goal.load(batch))
    assert goal.rows("t") == [(1, "b"), (2, "a")]
