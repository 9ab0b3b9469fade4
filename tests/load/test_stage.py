"""Exactly once, whole transactions, pieces, fencing, transient errors: the loader on a real server."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from bench.servers import Mariadb
from otter.errors import Fatal, LeaseLost, Retryable
from otter.load.stage import Applied, Loader
from otter.model.batch import Batch, Part, Position
from otter.model.process import Mark

from .kit import Source, Target, target


@pytest.fixture
def goal(mariadb2: Mariadb) -> Iterator[Target]:
    with target(mariadb2) as made:
        yield made


def test_a_batch_and_its_mark_are_one_write(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(50)")])
    source.insert((1, "one"), (2, "O'Neil \\ \0 水獭"), (3, None))
    source.end()
    source.update(((1, "one"), (1, "uno")))
    source.end()
    source.delete((3, None))
    applied = goal.load(source.batch())
    assert goal.rows("t") == [(1, "uno"), (2, "O'Neil \\ \0 水獭")]
    assert applied.mark == goal.mark() == Mark(1, 1, Position("0-1-1"))
    assert (applied.rows, applied.conflicts, applied.parked, applied.committed) == (5, 0, 0, True)


def test_reopening_gives_the_mark(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(50)")])
    source.insert((1, "one"))
    goal.load(source.batch())
    goal.load(source.batch())  # an empty batch moves the mark only
    assert goal.loader.open() == Mark(1, 2, Position("0-1-2"))


def test_the_same_batch_twice_is_applied_once(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT, name VARCHAR(50)")])
    source.insert((1, "one"))
    batch = source.batch()
    goal.load(batch)
    again = goal.load(batch)
    assert again.repeated
    assert goal.rows("t") == [(1, "one")]


def test_two_loaders_race_for_one_batch(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT, name VARCHAR(50)")])
    rival = Loader(goal.task, nid=3)
    rival.open()
    for number in range(10):
        source.insert((number, "x"))
        batch = source.batch()
        results = race(goal, [goal.loader, rival], batch)
        assert sorted(applied.repeated for applied in results) == [False, True]
    rival.close()
    assert [row[0] for row in goal.rows("t")] == list(range(10))


def race(goal: Target, loaders: list[Loader], batch: Batch) -> list[Applied]:
    results: list[Applied] = []
    threads = [threading.Thread(target=lambda it=it: results.append(goal.load(batch, it))) for it in loaders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return results


def test_an_older_epoch_is_refused(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(50)")], epoch=5)
    source.insert((1, "new"))
    goal.load(source.batch())
    old = Source(source.tables, epoch=4, number=1)
    old.insert((2, "old"))
    with pytest.raises(LeaseLost, match="epoch 5"):
        goal.load(old.batch())
    assert goal.rows("t") == [(1, "new")]


def test_a_newer_epoch_goes_on_from_the_mark(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(50)")], epoch=5)
    source.insert((1, "a"))
    goal.load(source.batch())
    newer = Source(source.tables, epoch=6, number=1)
    newer.insert((2, "b"))
    assert goal.load(newer.batch()).mark.epoch == 6
    with pytest.raises(LeaseLost):
        goal.load(source.batch())


def test_a_gap_is_refused(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(50)")], number=4)
    source.insert((1, "a"))
    with pytest.raises(LeaseLost, match="does not follow"):
        goal.load(source.batch())
    assert goal.rows("t") == []


def test_pieces_commit_once(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(50)")])
    for part in (Part.FIRST, Part.MIDDLE, Part.LAST):
        source.insert((source.number, part.name))
        applied = goal.load(source.batch(part))
        assert applied.committed is (part is Part.LAST)
        assert len(goal.rows("t")) == (3 if part is Part.LAST else 0)
        assert goal.mark().number == (3 if part is Part.LAST else 0)


def test_pieces_roll_back(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(50)")])
    source.insert((1, "half"))
    goal.load(source.batch(Part.FIRST))
    goal.loader.rollback()
    assert goal.loader.open().number == 0
    again = Source(source.tables, epoch=2)
    again.insert((1, "whole"))
    goal.load(again.batch())
    assert goal.rows("t") == [(1, "whole")]


def test_a_whole_batch_after_half_pieces_does_not_commit_them(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(50)")])
    source.insert((1, "half"))
    goal.load(source.batch(Part.FIRST))
    source.insert((2, "other"))
    with pytest.raises(LeaseLost):
        goal.load(source.batch())
    assert goal.rows("t") == []


def test_lock_wait_names_the_table(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(50)")])
    source.insert((1, "a"))
    goal.load(source.batch())
    source.update(((1, "a"), (1, "b")))
    batch = source.batch()
    with goal.server.connect(goal.schema) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM t WHERE id=1 FOR UPDATE")
        with pytest.raises(Retryable, match=f"lock wait on {goal.schema}.t"):
            goal.load(batch)
        other.rollback()
    assert goal.loader.open().number == 1
    goal.load(batch)
    assert goal.rows("t") == [(1, "b")]


def test_a_deadlock_is_retryable(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(50)")])
    source.insert((1, "a"), (2, "a"))
    source.insert(*((i, "x") for i in range(100, 300)))
    goal.load(source.batch())
    source.update(((1, "a"), (1, "b")))
    first = source.batch(Part.FIRST)
    source.update(((2, "a"), (2, "b")))
    last = source.batch(Part.LAST)
    goal.load(first)
    with goal.server.connect(goal.schema) as other, other.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("UPDATE t SET name='y' WHERE id>=100")  # heavier: the loader is the victim
        cursor.execute("UPDATE t SET name='y' WHERE id=2")
        waiter = threading.Thread(target=cursor.execute, args=("UPDATE t SET name='y' WHERE id=1",))
        waiter.start()
        with pytest.raises(Retryable, match=f"(deadlock|lock wait) on {goal.schema}.t"):
            goal.load(last)
        waiter.join(30)
        other.rollback()
    assert goal.loader.open().number == 1
    goal.load(first)
    goal.load(last)
    assert goal.rows("t")[:2] == [(1, "b"), (2, "b")]


def test_a_killed_connection_loses_nothing(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(50)")])
    source.insert((1, "a"))
    first = source.batch(Part.FIRST)
    source.insert((2, "b"))
    last = source.batch(Part.LAST)
    goal.load(first)
    assert goal.loader._connection is not None
    goal.run(f"KILL {goal.loader._connection.id}")
    with pytest.raises(Retryable, match="connection"):
        goal.load(last)
    with pytest.raises(Retryable, match="not open"):
        goal.load(last)
    assert goal.loader.open().number == 0
    goal.load(first)
    goal.load(last)
    assert goal.rows("t") == [(1, "a"), (2, "b")]


def test_an_unreachable_server_is_retryable_and_a_wrong_password_fatal(mariadb2: Mariadb) -> None:
    from msgspec.structs import replace

    from .kit import task

    its = task(mariadb2)
    with pytest.raises(Retryable, match="cannot be reached"):
        Loader(replace(its, target=replace(its.target, port=1)), 1, timeout=5).open()
    with pytest.raises(Fatal) as caught:
        Loader(replace(its, target=replace(its.target, password="s3cret-wrong")), 1).open()
    assert "s3cret" not in str(caught.value)


def test_missing_table_and_column_say_so(goal: Target) -> None:
    made = goal.table("t", "id name", "id BIGINT PRIMARY KEY")
    source = Source([made])
    source.insert((1, "a"))
    with pytest.raises(Fatal, match="lacks columns of the source: name"):
        goal.load(source.batch())
    goal.run("DROP TABLE t")
    goal.loader.open()
    source.number = 0
    source.insert((1, "a"))
    with pytest.raises(Fatal, match=f"{goal.schema}.t does not exist"):
        goal.load(source.batch())


def test_columns_only_on_the_target_keep_their_default(goal: Target) -> None:
    made = goal.table(
        "t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(50), extra INT DEFAULT 7, upper_name VARCHAR(50) AS "
        "(UPPER(name)) STORED",
    )  # fmt: skip
    source = Source([made])
    source.insert((1, "a"))
    source.end()
    goal.load(source.batch())
    goal.run("UPDATE t SET extra=8")
    source.update(((1, "a"), (1, "b")))
    goal.load(source.batch())
    assert goal.rows("t") == [(1, "b", 8, "B")]


def test_on_update_timestamps_are_not_touched(goal: Target) -> None:
    definition = "id BIGINT PRIMARY KEY, name VARCHAR(50), at VARCHAR(30), i INT DEFAULT 0"
    made = goal.table(
        "t", "id name at", definition.replace("at VARCHAR(30)", "at DATETIME ON UPDATE CURRENT_TIMESTAMP")
    )
    source = Source([made])
    source.insert((1, "a", "2001-01-01 00:00:00"))
    goal.load(source.batch())
    source.update(((1, "a", "2001-01-01 00:00:00"), (1, "b", "2001-01-01 00:00:00")))
    goal.load(source.batch())
    assert goal.run("SELECT name, CAST(at AS CHAR) FROM t") == [("b", "2001-01-01 00:00:00")]


def test_a_changed_target_table_is_read_again_after_the_error(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(50)")])
    source.insert((1, "a"))
    goal.load(source.batch())
    goal.run("ALTER TABLE t CHANGE name title VARCHAR(50)")
    source.insert((2, "b"))
    with pytest.raises(Fatal, match="does not fit"):
        goal.load(source.batch())
    goal.run("ALTER TABLE t CHANGE title name VARCHAR(50)")
    source.number = goal.loader.open().number
    source.insert((2, "b"))
    goal.load(source.batch())
    assert goal.rows("t") == [(1, "a"), (2, "b")]


def test_a_claimed_epoch_shuts_older_ones_out(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(50)")], epoch=3)
    source.insert((1, "a"))
    goal.load(source.batch())
    assert goal.loader.claim(5) == Mark(5, 1, Position("0-1-1"))
    assert goal.loader.claim(4).epoch == 5  # a smaller one changes nothing and learns of the greater
    source.insert((2, "late"))
    with pytest.raises(LeaseLost, match="epoch 5"):
        goal.load(source.batch())
    assert goal.rows("t") == [(1, "a")]


def test_a_claim_waits_for_the_batch_that_is_being_applied(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(50)")])
    source.insert((1, "a"))
    goal.load(source.batch(Part.FIRST))
    rival = Loader(goal.task, nid=3, lock_wait=30)
    rival.open()
    claimed: list[Mark] = []
    thread = threading.Thread(target=lambda: claimed.append(rival.claim(2)))
    thread.start()
    source.insert((2, "b"))
    goal.load(source.batch(Part.LAST))
    thread.join(30)
    rival.close()
    assert [(mark.epoch, mark.number) for mark in claimed] == [(2, 2)]
    assert len(goal.rows("t")) == 2


def test_a_column_without_default_stops_instead_of_parking_everything(goal: Target) -> None:
    source = Source([goal.table("t", "id name", "id BIGINT PRIMARY KEY, name VARCHAR(50), must INT NOT NULL")])
    source.insert((1, "a"), (2, "b"))
    with pytest.raises(Fatal, match=r"does not fit.*must"):
        goal.load(source.batch())
    assert goal.parked() == []
